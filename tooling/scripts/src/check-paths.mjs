// @ts-check
// Paths in the documentation of the repository: a file or folder that a text names between backticks
// exists, so that a reader who looks for it finds it. Paths start at the root; those in the README of a
// package may also start at its folder, and names of folders at its `src`.
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { filesBelow, workspacePackages } from './workspace.mjs'

const ROOT_TEXTS = ['ARCHITECTURE.md', 'CONTRIBUTING.md', 'README.md', 'SECURITY.md']
// `packages/mux/src/session.ts`, `apps/*/src`, `docs/protocol.md`; not `packages/<name>`
const PATH = /`((?:apps|docs|examples|packages|tooling)\/[\w./*-]*)`/g
// only in the README of a package: `src/session.ts`, `test/poison.ts`, `../mux/README.md`, `admin/`
const OWN_PATH = /`((?:(?:\.{1,2}\/)+|(?:src|test)\/)[\w./*-]*|[\w-]+(?:\/[\w-]+)*\/)`/g
const LINK = /\]\((?!\w+:|#)([^)#]+)/g

/**
 * @param {string} root
 * @returns {string[]} problems
 */
export function checkPaths(root) {
  const texts = [
    ...ROOT_TEXTS.filter((file) => existsSync(join(root, file))),
    ...filesBelow(join(root, 'docs'), ['.md']).map((file) => join('docs', file)),
    ...workspacePackages(root)
      .map(({ folder }) => join(folder, 'README.md'))
      .filter((file) => existsSync(join(root, file))),
  ]
  return texts.flatMap((file) => {
    const text = readFileSync(join(root, file), 'utf8')
    const found = (/** @type {RegExp} */ pattern) =>
      [...text.matchAll(pattern)].map(([, path = '']) => path)
    const folder = dirname(file)
    const isReadme = folder !== '.' && file.endsWith('README.md')
    const own = isReadme ? [folder, join(folder, 'src')] : []
    const named = new Map([
      ...(isReadme ? found(OWN_PATH) : []).map((path) => startingAt(own, path)),
      ...found(PATH).map((path) => startingAt(['.', ...own], path)),
      ...found(LINK).map((link) => startingAt(['.'], join(folder, link))),
    ])
    return [...named]
      .filter(([, places]) => !places.some((place) => existsSync(join(root, untilGlob(place)))))
      .map(([path]) => `${file}: there is no ${path}`)
  })
}

/**
 * A path as it is written, and the places it may mean.
 *
 * @param {readonly string[]} folders
 * @param {string} path
 * @returns {[path: string, places: string[]]}
 */
function startingAt(folders, path) {
  return [path, folders.map((folder) => join(folder, path))]
}

/**
 * The part of a path before its first segment with a star.
 *
 * @param {string} path
 */
function untilGlob(path) {
  const segments = path.split('/')
  const glob = segments.findIndex((segment) => segment.includes('*'))
  return (glob < 0 ? segments : segments.slice(0, glob)).join('/')
}
