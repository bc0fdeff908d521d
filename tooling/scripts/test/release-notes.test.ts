import { expect, test } from 'vitest'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { releaseNotes, releaseVersion } from '../src/release-notes.mjs'

const changelog = (name: string, more = ''): string =>
  `# ${name}\n\n## 0.2.0\n\n### Minor Changes\n\n- 1234567: Reach more\n\n  What it is.\n${more}\n## 0.1.0\n\n### Minor Changes\n\n- Old\n`

test('what several packages say is told once, without commits and dependencies', () => {
  using folder = temporaryDirectory()
  const add = (path: string, version: string, text?: string, isPrivate = false): void => {
    const manifest = { name: path, version, private: isPrivate }
    folder.write(`${path}/package.json`, JSON.stringify(manifest))
    if (text !== undefined) folder.write(`${path}/CHANGELOG.md`, text)
  }
  const more = '\n### Patch Changes\n\n- Mend\n- Updated dependencies [1234567]\n  - x@0.2.0\n'
  add('apps/agent', '0.2.0', changelog('agent'))
  add('packages/mux', '0.2.0', changelog('mux', more))
  add('packages/new', '0.2.0')
  add('tooling/own', '0.0.0', changelog('own', '\n### Patch Changes\n\n- Private\n'), true)
  expect(releaseVersion(folder.path)).toBe('0.2.0')
  expect(releaseNotes(folder.path, '0.2.0')).toBe('**Reach more**\n\nWhat it is.\n\n**Mend**\n')
  expect(releaseNotes(folder.path, '0.1.0')).toBe('**Old**\n')
  expect(() => releaseNotes(folder.path, '0.3.0')).toThrow('no changelog')
  add('packages/late', '0.1.0')
  expect(() => releaseVersion(folder.path)).toThrow('0.2.0, 0.1.0')
})
