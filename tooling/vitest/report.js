// What `pnpm test` adds up: one small file per vitest run with the counts and, unlike the built-in
// JSON reporter, the reason each test was skipped for, which tests ran out of time, and the start of
// what each failed test threw: the end of a long log must be enough to find out why it is red.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stripVTControlCharacters } from 'node:util'

/** @typedef {{ state: string, note?: string }} Result */

/** Lines kept of the errors of one failed test. */
const MAX_ERROR_LINES = 40
/** Characters kept of one such line. */
const MAX_LINE_CHARS = 300
/** Frames kept of the stack of one error. */
const MAX_FRAMES = 8
const FRAME = /^ +at /

const OUT_OF_TIME = 'TESTKIT_OUT_OF_TIME' // of OutOfTimeError in tooling/testkit

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
    const failed = inState('failed')
    // a file that does not load, a hook that throws, an unhandled rejection: no test failed, and
    // nothing was shown to work
    const broken = modules.filter(
      (module) => module.errors().length > 0 || (!module.ok() && !hasFailure(module)),
    )
    const endings = [
      ...failed.map((test) => ({
        test: nameOf(test),
        limitMs: limitOf(test),
        error: textOf(test.result().errors ?? []),
      })),
      ...broken.map((module) => ({
        test: `${module.relativeModuleId}: the file itself`,
        limitMs: waitLimitOf(module.errors()),
        error: textOf([...module.errors(), ...suiteErrors(module)]),
      })),
    ]
    // one that many tests cause is one
    const unhandled = new Map(unhandledErrors.map((error) => [messageOf(error), error]))
    const report = {
      passed: inState('passed').length,
      failed: [
        ...endings.filter(({ limitMs }) => limitMs === undefined),
        ...[...unhandled].map(([message, error]) => ({
          test: `outside of any test: ${message}`,
          error: textOf([error]),
        })),
      ],
      outOfTime: endings.filter(({ limitMs }) => limitMs !== undefined),
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

/** @param {import('vitest/node').TestModule} module */
function suiteErrors(module) {
  return [...module.children.allSuites()].flatMap((suite) => suite.errors())
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

/**
 * The limit that ended a failed test, ms: its own, or that of a wait of testkit. Undefined when it
 * failed otherwise.
 *
 * @param {import('vitest/node').TestCase} test
 */
function limitOf(test) {
  const { outOfTimeMs } = /** @type {{ outOfTimeMs?: number }} */ (test.meta())
  return outOfTimeMs ?? waitLimitOf(test.result().errors ?? [])
}

/**
 * The limit of the first wait among errors that are all waits which ran out of time.
 *
 * @param {readonly object[]} errors
 */
function waitLimitOf(errors) {
  const waits = /** @type {readonly { code?: unknown, limitMs?: number }[]} */ (errors)
  return waits.every(({ code }) => code === OUT_OF_TIME) ? waits[0]?.limitMs : undefined
}

/** @param {unknown} error */
function messageOf(error) {
  return error !== null && typeof error === 'object' && 'message' in error
    ? String(error.message)
    : String(error)
}

/**
 * What people read of errors: message, difference, own frames of the stack, causes.
 *
 * @param {readonly unknown[]} errors
 */
function textOf(errors) {
  const lines = errors.flatMap((error) => linesOf(error))
  const text = lines.slice(0, MAX_ERROR_LINES).map((line) => line.slice(0, MAX_LINE_CHARS))
  if (lines.length > text.length) text.push(`(${lines.length - text.length} more lines)`)
  return text.join('\n')
}

/**
 * @param {unknown} error
 * @returns {string[]}
 */
function linesOf(error) {
  const { name, diff, stack, cause } =
    /** @type {{ name?: string, diff?: string, stack?: string, cause?: unknown }} */ (error ?? {})
  const frames = (stack ?? '').split('\n').filter((line) => FRAME.test(line))
  const text = [`${name ?? 'thrown'}: ${messageOf(error)}`, ...(diff === undefined ? [] : [diff])]
  const lines = stripVTControlCharacters(text.join('\n')).split('\n')
  lines.push(...frames.filter((line) => !line.includes('/node_modules/')).slice(0, MAX_FRAMES))
  if (cause !== undefined && cause !== null) lines.push('caused by:', ...linesOf(cause))
  return lines
}
