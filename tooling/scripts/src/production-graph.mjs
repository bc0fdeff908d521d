// @ts-check
// What a user gets with our published packages: all their dependencies, direct and indirect, read from the
// installed manifests. A program is a bundle: what it contains stands under `devDependencies`, with a version
// of the catalog `prod`.
import { existsSync, realpathSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { readManifest, workspacePackages } from './workspace.mjs'

/**
 * @typedef {object} Installed
 * @property {string} name
 * @property {string} version
 * @property {string} license
 * @property {string | undefined} node - its engines range
 * @property {string} via - a chain that leads to it: `@proj/dialer > socks > ip-address`
 * @property {boolean} direct - one of our manifests names it
 */

/**
 * Lists the production dependencies of the published packages, each version once.
 *
 * @param {string} root
 * @returns {Installed[]}
 */
export function productionGraph(root) {
  /** @type {Map<string, Installed>} */
  const found = new Map()
  for (const { path, manifest, published } of workspacePackages(root)) {
    if (!published) continue
    const bundled = Object.entries(manifest.devDependencies ?? {}).filter(
      ([, range]) => range === 'catalog:prod',
    )
    const dependencies = { ...manifest.dependencies, ...Object.fromEntries(bundled) }
    collect(path, { ...manifest, dependencies }, manifest.name, true, found)
  }
  return [...found.values()].toSorted((a, b) => a.name.localeCompare(b.name))
}

/**
 * @param {string} folder
 * @param {import('./workspace.mjs').Manifest} manifest
 * @param {string} via
 * @param {boolean} direct
 * @param {Map<string, Installed>} found
 */
function collect(folder, manifest, via, direct, found) {
  const needed = { ...manifest.dependencies, ...manifest.optionalDependencies }
  for (const [name, range] of Object.entries(needed)) {
    if (range.startsWith('workspace:')) continue
    const installed = locate(folder, name)
    if (installed === undefined) {
      if (manifest.optionalDependencies?.[name] !== undefined) continue // not for this platform
      throw new Error(`${via} > ${name} is not installed`)
    }
    const theirs = readManifest(installed)
    const key = `${name}@${theirs['version']}`
    const known = found.get(key)
    if (known) {
      known.direct ||= direct
      continue
    }
    found.set(key, {
      name,
      version: theirs['version'],
      license: licenseOf(theirs),
      node: theirs['engines']?.node,
      via: `${via} > ${name}`,
      direct,
    })
    collect(installed, theirs, `${via} > ${name}`, false, found)
  }
}

/**
 * Finds a package the way Node does: in the nearest node_modules upward.
 *
 * @param {string} from
 * @param {string} name
 * @returns {string | undefined}
 */
function locate(from, name) {
  for (let folder = realpathSync(from); ; folder = dirname(folder)) {
    const candidate = join(folder, 'node_modules', name)
    if (existsSync(join(candidate, 'package.json'))) return realpathSync(candidate)
    if (folder === dirname(folder)) return undefined
  }
}

/** @param {Record<string, any>} manifest */
function licenseOf(manifest) {
  const license = manifest['license']
  return typeof license === 'string' ? license : (license?.type ?? 'none')
}
