// After a change of settings: `pnpm reference`.
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { formatReference, jsonSchema } from '@proj/config'

import { SCHEMA_ID } from '../src/program.ts'
import { settings } from '../src/settings.ts'

const docs = (name: string) =>
  readFileSync(new URL(`../../../docs/${name}`, import.meta.url), 'utf8')

/** A page without what the formatter does to it: padded tables, another sign of emphasis. */
const plain = (page: string) =>
  page
    .replaceAll(/ {2,}\|/g, ' |')
    .replaceAll(/-{3,}/g, '---')
    .replaceAll(/\*(\w+)\*/g, '_$1_')

test('docs/reference/server.md is what `adit-server config reference` prints', () => {
  const printed = formatReference(settings, 'Configuration of adit-server')
  expect(plain(docs('reference/server.md'))).toBe(plain(printed))
})

test('docs/schema/server.json is what `adit-server config schema` prints', () => {
  const printed = jsonSchema(settings, SCHEMA_ID, 'Configuration of adit-server')
  expect(JSON.parse(docs('schema/server.json'))).toEqual(JSON.parse(JSON.stringify(printed)))
})
