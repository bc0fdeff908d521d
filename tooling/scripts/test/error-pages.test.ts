// After a change of a code or its texts: `pnpm reference`.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { ERROR_PAGES, formatErrorPages } from '../src/error-pages.mjs'
import { ERROR_FAMILIES } from '../src/error-tables.mjs'
import { filesBelow, ROOT, workspacePackages } from '../src/workspace.mjs'

const CODES = new Set(ERROR_FAMILIES.flatMap(({ entries }) => entries.map(({ code }) => code)))

/** A page without what the formatter does to it: padded tables, another sign of emphasis. */
const plain = (page: string) =>
  page
    .replaceAll(/ {2,}\|/g, ' |')
    .replaceAll(/-{3,}/g, '---')
    .trim()

/** Codes of errors in the texts of all sources, by a pattern that has one group. */
function codesInSources(pattern: RegExp): ReadonlySet<string> {
  const texts = workspacePackages()
    .filter(({ folder }) => /^(?:apps|packages)\//.test(folder))
    .flatMap(({ path }) =>
      filesBelow(join(path, 'src'), ['.ts']).map((file) =>
        readFileSync(join(path, 'src', file), 'utf8'),
      ),
    )
  return new Set(texts.flatMap((text) => [...text.matchAll(pattern)].map(([, code = '']) => code)))
}

test('the pages are those of the definitions', () => {
  const pages = formatErrorPages()
  const folder = join(ROOT, ERROR_PAGES)
  const files = readdirSync(folder).map((name) => `${ERROR_PAGES}/${name}`)
  expect(files.toSorted()).toEqual(Object.keys(pages).toSorted())
  const written = files.map((file) => [file, plain(readFileSync(join(ROOT, file), 'utf8'))])
  const wanted = Object.entries(pages).map(([file, text]) => [file, plain(text)])
  expect(Object.fromEntries(written)).toEqual(Object.fromEntries(wanted))
})

test('each code of the sources has an entry', () => {
  const prefixes = [...CODES].flatMap((code) => /^[A-Z]+(?=_)/.exec(code) ?? [])
  const known = [...new Set(prefixes)].filter((prefix) => prefix !== 'HTTP').join('|')
  const found = codesInSources(new RegExp(`'((?:${known})(?:_[A-Z0-9]+)+)'`, 'g'))
  // an environment variable
  const others = new Set(['PORTCHECK_FDS'])
  expect([...found].filter((code) => !CODES.has(code) && !others.has(code))).toEqual([])
  expect(found.size).toBeGreaterThan(150)
})

test('each code of an answer to visitors has an entry', () => {
  const found = codesInSources(/'adit-error': '(\w+)'/g)
  expect([...found].filter((code) => !CODES.has(code))).toEqual([])
  expect(found.size).toBeGreaterThan(0)
})

test('each entry says what it means, who should act and what to do', () => {
  const empty = ERROR_FAMILIES.flatMap(({ page, entries }) =>
    entries
      .filter(({ meaning, who, todo }) => [meaning, who, todo].some((text) => !text))
      .map(({ code }) => `${page}: ${code}`),
  )
  expect(empty).toEqual([])
})
