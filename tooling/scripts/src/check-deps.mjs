// @ts-check
// What users install with our packages: known licences, engines no narrower than ours, no types, no install
// scripts, and for each direct dependency a line that says why we have it.
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import semver from 'semver'
import { productionGraph } from './production-graph.mjs'
import { readManifest } from './workspace.mjs'

const LICENCES = new Set(['0BSD', 'Apache-2.0', 'BSD-2-Clause', 'BSD-3-Clause', 'ISC', 'MIT'])
const NEWEST_LTS = '26.0.0'
const INSTALL_SCRIPTS = ['preinstall', 'install', 'postinstall']
const DOC = 'docs/dependencies.md'

/**
 * @param {string} root
 * @returns {string[]} problems
 */
export function checkDeps(root) {
  const graph = productionGraph(root)
  return [...checkGraph(root, graph), ...checkReasons(root, graph), ...checkInstallScripts(root)]
}

/**
 * @param {string} root
 * @param {import('./production-graph.mjs').Installed[]} graph
 */
function checkGraph(root, graph) {
  const floor = semver.minVersion(readManifest(root)['engines'].node)?.version ?? ''
  return graph.flatMap(({ name, version, license, node, via }) => {
    const refused = [floor, NEWEST_LTS].filter((ours) => node && !semver.satisfies(ours, node))
    return [
      ...(name.startsWith('@types/')
        ? [`${via}: types are for compilers, and installed there`]
        : []),
      ...(LICENCES.has(license)
        ? []
        : [`${via} ${version}: licence ${license} is not on the list`]),
      ...refused.map((ours) => `${via} ${version}: wants Node ${node}, we run on ${ours}`),
    ]
  })
}

/**
 * @param {string} root
 * @param {import('./production-graph.mjs').Installed[]} graph
 */
function checkReasons(root, graph) {
  const text = existsSync(join(root, DOC)) ? readFileSync(join(root, DOC), 'utf8') : ''
  const production = text.split(/^## /m).find((section) => section.startsWith('Production')) ?? ''
  const cells = [...production.matchAll(/^\| (`[^|]+`) +\|/gm)].map(([, cell = '']) => cell)
  const rows = cells.flatMap((cell) =>
    [...cell.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name),
  )
  const direct = graph.filter((found) => found.direct).map(({ name }) => name)
  return [
    ...direct
      .filter((name) => !rows.some((row) => covers(row, name)))
      .map((name) => `${DOC}: no line under Production says why we have ${name}`),
    ...rows
      .filter((row) => !direct.some((name) => covers(row, name)))
      .map((row) => `${DOC}: ${row} is not used`),
  ]
}

/**
 * Whether a row is about a package; `@a/*` is about the binaries of one library for each platform.
 *
 * @param {string} row
 * @param {string} name
 */
function covers(row, name) {
  return row === name || (row.endsWith('/*') && name.startsWith(row.slice(0, -1)))
}

/**
 * Every installed package that would run something at install time stands in `allowBuilds`, where
 * it is refused with a reason.
 *
 * @param {string} root
 */
function checkInstallScripts(root) {
  const workspace = readFileSync(join(root, 'pnpm-workspace.yaml'), 'utf8')
  const listed = /^allowBuilds:\n((?: .*\n)*)/m.exec(workspace)?.[1] ?? ''
  const names = [...listed.matchAll(/^ {2}'?([^':]+)'?: (\w+)/gm)]
  const known = new Set(names.map(([, name]) => name))
  return [
    ...names
      .filter(([, , value]) => value !== 'false')
      .map(([, name]) => `pnpm-workspace.yaml: the install script of ${name} may not run`),
    ...installedWithScripts(root)
      .filter((name) => !known.has(name))
      .map(
        (name) => `pnpm-workspace.yaml: ${name} has an install script and is not in allowBuilds`,
      ),
  ]
}

/**
 * @param {string} root
 * @returns {string[]}
 */
function installedWithScripts(root) {
  const store = join(root, 'node_modules/.pnpm')
  if (!existsSync(store)) return []
  return readdirSync(store)
    .map((entry) => join(store, entry, 'node_modules', nameOf(entry)))
    .filter((folder) => existsSync(join(folder, 'package.json')))
    .map((folder) => readManifest(folder))
    .filter(({ scripts }) => INSTALL_SCRIPTS.some((name) => scripts?.[name] !== undefined))
    .map(({ name }) => name)
}

/**
 * The package that a folder of pnpm's store holds: `@a+b@1.2.3_peer@4` is `@a/b`.
 *
 * @param {string} entry
 */
function nameOf(entry) {
  return entry.slice(0, entry.indexOf('@', 1)).replace('+', '/')
}
