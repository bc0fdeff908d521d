import * as fc from 'fast-check'
import { expect, test } from 'vitest'

import { expandVariables } from '../../src/sources/expand-variables.ts'
import { fileLayer } from '../../src/sources/file-layer.ts'
import { readFileText } from '../../src/sources/read-file-text.ts'
import { resolveSettings } from '../../src/sources/resolve-settings.ts'
import { settings } from '../fixtures/sample.ts'

const PIECES = [
  ...settings.entries.flatMap(({ key }) => key.split('.')),
  ...': |- |{|}|[|]|, |- |\n|\n  |\n    |\t|#|&a |*a|!t |? |"|\'|\\|>|%|@|`|---\n|...\n|<<|null|~|true'.split(
    '|',
  ),
  ...'30s|64KiB|:8000|localhost:1|${X}|${|$$|0x1|1e9|-1|\0|\uFEFF|\u2028|é|__proto__|constructor'.split(
    '|',
  ),
]

const contents = fc.oneof(
  fc.array(fc.constantFrom(...PIECES), { maxLength: 30 }).map((parts) => parts.join('')),
  fc.string({ unit: 'binary', maxLength: 60 }),
)

const read = (content: string, form: 'yaml' | 'jsonc') =>
  readFileText({ path: 'f', content, expand: (text) => expandVariables(text, { X: 'x' }) }, form)

test.each(['yaml', 'jsonc'] as const)(
  'any file of %s becomes values or problems, each with a place inside the file',
  (form) => {
    fc.assert(
      fc.property(contents, (content) => {
        const { root, problems } = read(content, form)
        const layer = fileLayer(settings.entries, root, '/')
        const resolution = resolveSettings(settings.entries, [layer], {
          baseDir: '/',
          secrets: new Map(),
        })
        const lines = content.split(/\r?\n/).length
        for (const { origin } of [...problems, ...layer.problems, ...resolution.problems]) {
          const place = origin?.kind === 'file' ? origin : undefined
          expect(place?.line).toBeGreaterThanOrEqual(1)
          expect(place?.line).toBeLessThanOrEqual(lines)
          expect(place?.column).toBeGreaterThanOrEqual(1)
        }
      }),
      { numRuns: 1000 },
    )
  },
)

test('no key of a file reaches a prototype', () => {
  const { root } = read('__proto__: {polluted: true}\nconstructor: 1\n', 'yaml')
  const { problems } = fileLayer(settings.entries, root, '/')
  expect(problems.map(({ key }) => key)).toEqual(['__proto__', 'constructor'])
  expect(Object.hasOwn(Object.prototype, 'polluted')).toBe(false)
})
