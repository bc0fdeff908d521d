// @ts-check
// Adds up the reports of all vitest runs. A package that has tests and no report, or an empty report,
// counts as a failure: a suite that did not run must never look like one that passed.
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { filesBelow, workspacePackages } from './workspace.mjs'

/** Failed tests whose errors are shown: what broke everything needs no more. */
const MAX_ERRORS = 10

/**
 * @typedef {object} Failure
 * @property {string} test - its name, or what kept tests from running
 * @property {string} [error] - what it threw, some lines
 */

/**
 * @typedef {object} Summary
 * @property {number} passed
 * @property {Failure[]} failed - tests that saw a wrong fact, and what kept tests from running
 * @property {(Failure & { limitMs: number })[]} outOfTime - tests that a time limit ended
 * @property {{ test: string, reason?: string | undefined }[]} skipped
 */

/** Which files belong to which run, and the script that runs them. */
const RUNS = [
  { report: 'unit', script: 'test', owns: (/** @type {string} */ file) => !isE2e(file) },
  { report: 'e2e', script: 'test:e2e', owns: isE2e },
]

/**
 * Removes the reports of earlier runs.
 *
 * @param {string} root
 */
export function clearReports(root) {
  for (const { path } of workspacePackages(root)) {
    rmSync(join(path, '.reports'), { recursive: true, force: true })
  }
}

/** @param {Summary} summary */
export function hasFailures({ failed, outOfTime }) {
  return failed.length + outOfTime.length > 0
}

/**
 * Reads and adds up the reports of all packages.
 *
 * @param {string} root
 * @returns {Summary}
 */
export function summarise(root) {
  /** @type {Summary} */
  const total = { passed: 0, failed: [], outOfTime: [], skipped: [] }
  for (const { folder, path, manifest } of workspacePackages(root)) {
    const testFiles = filesBelow(join(path, 'test'), ['.test.ts'])
    for (const { report, script, owns } of RUNS) {
      const expected = testFiles.some(owns)
      const found = readReport(join(path, '.reports', `${report}.json`))
      if (expected && manifest.scripts?.[script] === undefined) {
        total.failed.push({ test: `${folder}: has ${report} tests but no script "${script}"` })
      } else if (expected && found === undefined) {
        total.failed.push({ test: `${folder}: the ${report} tests did not run to their end` })
      } else if (expected && found && count(found) === 0) {
        total.failed.push({ test: `${folder}: has ${report} test files, yet no test ran` })
      }
      if (found === undefined) continue
      total.passed += found.passed
      total.failed.push(...found.failed.map((one) => ({ ...one, test: `${folder}/${one.test}` })))
      total.outOfTime.push(
        ...found.outOfTime.map((one) => ({ ...one, test: `${folder}/${one.test}` })),
      )
      total.skipped.push(
        ...found.skipped.map(({ test, reason }) => ({ test: `${folder}/${test}`, reason })),
      )
    }
  }
  return total
}

/**
 * Writes a summary for people, the counts alone on the last line.
 *
 * @param {Summary} summary
 * @param {string[]} warnings
 */
export function formatSummary(summary, warnings) {
  const lines = ['']
  for (const warning of warnings) lines.push(`WARNING  ${warning}`)
  for (const { test, reason } of summary.skipped) {
    lines.push(`SKIPPED  ${test}`, `         ${reason ?? 'NO REASON GIVEN'}`)
  }
  const { passed, failed, outOfTime, skipped } = summary
  let shown = 0
  /** @param {string | undefined} error */
  const show = (error) => {
    if (error === undefined || error === '' || ++shown > MAX_ERRORS) return
    lines.push(...error.split('\n').map((line) => `         ${line}`))
  }
  for (const { test, limitMs, error } of outOfTime) {
    lines.push(`FAILED   ${test}`, `         ran out of time (limit ${limitMs / 1000} s)`)
    show(error)
  }
  for (const { test, error } of failed) {
    lines.push(`FAILED   ${test}`)
    show(error)
  }
  if (outOfTime.length > 0) {
    lines.push(
      '',
      `${outOfTime.length} ran out of time: run those alone before you look for a fault`,
    )
  }
  const failures = failed.length + outOfTime.length
  lines.push('', `${passed} passed, ${failures} failed, ${skipped.length} skipped`)
  return lines.join('\n')
}

/** @param {string} file */
function isE2e(file) {
  return file.startsWith('e2e/')
}

/** @param {Summary} report */
function count(report) {
  return report.passed + report.failed.length + report.outOfTime.length + report.skipped.length
}

/**
 * @param {string} file
 * @returns {Summary | undefined}
 */
function readReport(file) {
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined
}
