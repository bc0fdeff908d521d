// @ts-check
// The entry points of a package: the source files that its `exports` name, and every declaration
// that a user can import through them.
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { exportedDeclarations, reExports } from './declarations.mjs'
import { filesBelow } from './workspace.mjs'

/** @typedef {import('./workspace.mjs').WorkspacePackage} WorkspacePackage */

/**
 * Lists the entry points of a package by subpath: `.` or `./address`, with the source file below the
 * package folder. A pattern (`./*`) stands for every file it matches.
 *
 * @param {Pick<WorkspacePackage, 'path' | 'manifest'>} found
 * @returns {Map<string, string>}
 */
export function entryPoints({ path, manifest }) {
  /** @type {Map<string, string>} */
  const entries = new Map()
  for (const [subpath, target] of Object.entries(manifest.exports ?? {})) {
    const source = typeof target === 'string' ? target : target['@proj/source']
    if (source === undefined || !/\.(?:ts|mjs)$/.test(source)) continue
    const [before = '', after] = normalize(source).split('*')
    if (after === undefined) {
      entries.set(subpath, before)
      continue
    }
    for (const file of filesBelow(join(path, before.replace(/\/$/, '')), [after])) {
      entries.set(subpath.replace('*', file.slice(0, -after.length)), before + file)
    }
  }
  return entries
}

/**
 * Lists the declarations that the entry points of a package export: for each source file below the
 * package folder, the names under which they are declared there.
 *
 * @param {WorkspacePackage} found
 * @returns {Map<string, Set<string>>}
 */
export function publishedNames(found) {
  /** @type {Map<string, Set<string>>} */
  const published = new Map()
  for (const file of entryPoints(found).values()) {
    const { declared, forwarded } = exportsOf(found.path, file)
    for (const name of [...declared, ...forwarded.keys()]) {
      publish(found.path, file, name, published)
    }
  }
  return published
}

/**
 * Follows a name from a file that exports it to the file that declares it.
 *
 * @param {string} path - of the package
 * @param {string} file
 * @param {string} name
 * @param {Map<string, Set<string>>} published
 */
function publish(path, file, name, published) {
  const origin = exportsOf(path, file).forwarded.get(name)
  if (origin !== undefined) return publish(path, origin.file, origin.name, published)
  published.set(file, (published.get(file) ?? new Set()).add(name))
}

/**
 * @param {string} path
 * @param {string} file
 */
function exportsOf(path, file) {
  const whole = join(path, file)
  const text = existsSync(whole) ? readFileSync(whole, 'utf8') : ''
  /** @type {Map<string, { file: string, name: string }>} */
  const forwarded = new Map()
  const declared = exportedDeclarations(text).map(({ name }) => name)
  for (const { name, exportedAs, from } of reExports(text)) {
    if (from === undefined) declared.push(name)
    else if (from.startsWith('.')) {
      forwarded.set(exportedAs, { file: join(dirname(file), from), name })
    }
  }
  return { declared, forwarded }
}
