// @ts-check
// The error codes of a package stand in three places: its table in the code, the table of its
// README, and the tests: its own, or those of the packages and apps that use it. The three must be
// the same.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { filesBelow, workspacePackages } from './workspace.mjs'

// a key of the table, or a member of the union above it
const CODE_KEY = /^ +(?:\| ')?([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)(?:: |'$)/gm
const README_ROW = /^\| *`([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)` *\|/gm

/**
 * @param {string} root
 * @returns {string[]} problems
 */
export function checkTables(root) {
  const packages = workspacePackages(root)
  const tests = packages
    .flatMap(({ path }) =>
      filesBelow(join(path, 'test'), ['.ts']).map((file) => join(path, 'test', file)),
    )
    .map(read)
    .join('\n')
  return packages
    .filter(({ folder }) => folder.startsWith('packages/'))
    .flatMap(({ folder, path }) => {
      const codes = firstGroups(read(join(path, 'src/errors.ts')), CODE_KEY)
      // other constants have rows too: an error code begins as the known ones do
      const prefixes = new Set(codes.map(prefixOf))
      const documented = firstGroups(read(join(path, 'README.md')), README_ROW).filter((name) =>
        prefixes.has(prefixOf(name)),
      )
      return [
        ...codes
          .filter((code) => !documented.includes(code))
          .map((code) => `${folder}/README.md: no row for ${code}`),
        ...documented
          .filter((code) => !codes.includes(code))
          .map((code) => `${folder}/README.md: ${code} is not in src/errors.ts`),
        ...codes
          .filter((code) => !tests.includes(code))
          .map((code) => `${folder}/src/errors.ts: no test produces ${code}`),
      ]
    })
}

/** @param {string} code */
function prefixOf(code) {
  return code.slice(0, code.indexOf('_'))
}

/** @param {string} file */
function read(file) {
  return existsSync(file) ? readFileSync(file, 'utf8') : ''
}

/**
 * @param {string} text
 * @param {RegExp} pattern
 */
function firstGroups(text, pattern) {
  return [...new Set([...text.matchAll(pattern)].map(([, group = '']) => group))]
}
