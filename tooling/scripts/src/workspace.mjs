// @ts-check
// The packages of this repository, as every script here sees them.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

/**
 * @typedef {object} Manifest
 * @property {string} name
 * @property {boolean} [private]
 * @property {Record<string, string>} [scripts]
 * @property {Record<string, string | Record<string, string>>} [exports]
 * @property {Record<string, string>} [dependencies]
 * @property {Record<string, string>} [devDependencies]
 * @property {Record<string, string>} [optionalDependencies]
 * @property {Record<string, string>} [peerDependencies]
 */

/**
 * @typedef {object} WorkspacePackage
 * @property {string} folder - below the root, with forward slashes: `packages/mux`
 * @property {string} path - absolute
 * @property {Manifest} manifest
 * @property {boolean} published - goes to npm
 */

/** The repository this script lies in. */
export const ROOT = resolve(import.meta.dirname, '../../..')

const GROUPS = ['apps', 'examples', 'packages', 'tooling']

/**
 * Lists the workspace packages below `root`, in order of their folders.
 *
 * @returns {WorkspacePackage[]}
 */
export function workspacePackages(root = ROOT) {
  return GROUPS.flatMap((group) => {
    const parent = join(root, group)
    if (!existsSync(parent)) return []
    return readdirSync(parent)
      .toSorted()
      .map((name) => ({ folder: `${group}/${name}`, path: join(parent, name) }))
      .filter(({ path }) => existsSync(join(path, 'package.json')))
      .map((found) => {
        const manifest = readManifest(found.path)
        return { ...found, manifest, published: manifest.private !== true }
      })
  })
}

/**
 * Reads the package.json of a folder.
 *
 * @param {string} folder
 * @returns {Manifest & Record<string, any>}
 */
export function readManifest(folder) {
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
}

/**
 * Lists the files below a folder, relative to it, in order; nothing if it does not exist.
 *
 * @param {string} folder
 * @param {string[]} [endings] - keep only names that end in one of these
 * @returns {string[]}
 */
export function filesBelow(folder, endings = ['']) {
  if (!existsSync(folder)) return []
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .filter((name) => !name.split('/').includes('node_modules'))
    .filter((name) => endings.some((ending) => name.endsWith(ending)))
    .toSorted()
}
