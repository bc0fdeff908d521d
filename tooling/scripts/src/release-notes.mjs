// @ts-check
// The notes of a release, from the changelogs that changesets wrote: what several packages say is told once.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { readManifest, workspacePackages } from './workspace.mjs'

/**
 * The version that all published packages have. Throws if they differ: the config of changesets keeps them equal.
 *
 * @param {string} root
 */
export function releaseVersion(root) {
  const versions = workspacePackages(root)
    .filter(({ published }) => published)
    .map(({ path }) => String(readManifest(path)['version']))
  const [version, ...others] = [...new Set(versions)]
  if (version === undefined || others.length > 0) {
    throw new Error(`the published packages have the versions ${[version, ...others].join(', ')}`)
  }
  return version
}

/**
 * @param {string} root
 * @param {string} version
 * @returns {string} Markdown; throws if there is nothing to tell
 */
export function releaseNotes(root, version) {
  const entries = workspacePackages(root)
    .filter(({ published, path }) => published && existsSync(join(path, 'CHANGELOG.md')))
    .flatMap(({ path }) => entriesOf(readFileSync(join(path, 'CHANGELOG.md'), 'utf8'), version))
  const texts = [...new Set(entries)]
  if (texts.length === 0) throw new Error(`no changelog has something about ${version}`)
  return `${texts.join('\n\n')}\n`
}

/**
 * @param {string} changelog
 * @param {string} version
 */
function entriesOf(changelog, version) {
  const sections = changelog.split(/^## /m)
  const section = sections.find((text) => text.startsWith(`${version}\n`)) ?? ''
  return section
    .split(/^### .*$/m)
    .slice(1)
    .flatMap((kind) => kind.split(/^- /m).slice(1))
    .filter((entry) => !entry.startsWith('Updated dependencies'))
    .map((entry) => {
      // the commit that changesets puts in front, and the indent of a list
      const [first = '', ...rest] = entry
        .replace(/^[0-9a-f]{7,40}: /, '')
        .trimEnd()
        .split('\n')
      return [`**${first}**`, ...rest.map((line) => line.replace(/^ {2}/, ''))].join('\n')
    })
}
