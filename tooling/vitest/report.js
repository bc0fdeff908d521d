// What `pnpm test` adds up: one small file per vitest run with the counts and, unlike the built-in
// JSON reporter, the reason each test was skipped for.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** @typedef {{ state: string, note?: string }} Result */

export class Report {
  #name
  #folder = ''

  /** @param {string} name - base name of the file: which of a package's runs this is */
  constructor(name) {
    this.#name = name
  }

  /** @param {{ config: { root: string } }} vitest */
  onInit(vitest) {
    this.#folder = join(vitest.config.root, '.reports')
  }

  /**
   * @param {readonly import('vitest/node').TestModule[]} modules
   * @param {readonly unknown[]} unhandledErrors
   */
  onTestRunEnd(modules, unhandledErrors) {
    const tests = modules.flatMap((module) => [...module.children.allTests()])
    const inState = (/** @type {string} */ state) =>
      tests.filter((test) => test.result().state === state)
    // a file that does not load, a hook that throws, a rejection nobody handled: no test failed, yet
    // nothing was shown to work either
    const broken = modules.filter(
      (module) => module.errors().length > 0 || (!module.ok() && !hasFailure(module)),
    )
    const report = {
      passed: inState('passed').length,
      failed: [
        ...inState('failed').map(nameOf),
        ...broken.map((module) => `${module.relativeModuleId}: the file itself`),
        ...new Set(unhandledErrors.map((error) => `outside of any test: ${messageOf(error)}`)),
      ],
      skipped: [...inState('skipped'), ...inState('pending')].map((test) => ({
        test: nameOf(test),
        reason: reasonOf(test),
      })),
    }
    mkdirSync(this.#folder, { recursive: true })
    writeFileSync(join(this.#folder, `${this.#name}.json`), JSON.stringify(report, null, 2))
  }
}

/** @param {import('vitest/node').TestModule} module */
function hasFailure(module) {
  return [...module.children.allTests('failed')].length > 0
}

/** @param {import('vitest/node').TestCase} test */
function nameOf(test) {
  return `${test.module.relativeModuleId} > ${test.fullName}`
}

/** @param {import('vitest/node').TestCase} test */
function reasonOf(test) {
  const { note } = /** @type {Result} */ (test.result())
  return note ?? (test.options.mode === 'todo' ? 'to be written' : undefined)
}

/** @param {unknown} error */
function messageOf(error) {
  return error !== null && typeof error === 'object' && 'message' in error
    ? String(error.message)
    : String(error)
}
