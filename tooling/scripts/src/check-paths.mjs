// @ts-check
// Paths in the documentation of the repository: a file or folder that a text names between backticks
// exists, so that a reader who is sent somewhere arrives.
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { filesBelow, workspacePackages } from './workspace.mjs'

const ROOT_TEXTS = ['ARCHITECTURE.md', 'CONTRIBUTING.md', 'README.md', 'SECURITY.md']
// `packages/mux/src/session.ts`, `apps/*/src`, `docs/protocol.md`; not `packages/<name>`
const PATH = /`((?:apps|docs|examples|packages|tooling)\/[\w./*-]*)`/g
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
    const paths = [...text.matchAll(PATH)].map(([, path = '']) => path)
    const links = [...text.matchAll(LINK)].map(([, link = '']) => join(dirname(file), link))
    return [...new Set([...paths, ...links])]
      .filter((path) => !existsSync(join(root, untilGlob(path))))
      .map((path) => `${file}: there is no ${path}`)
  })
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
