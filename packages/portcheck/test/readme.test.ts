import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createContext, Script } from 'node:vm'

import { describe, expect, it } from 'vitest'

import { PORTCHECK_ERRORS } from '../src/errors.ts'
import * as portcheck from '../src/index.ts'
import { PORTCHECK_LIMITS } from '../src/limits.ts'
import { WARNINGS } from '../src/warnings.ts'

const README = readFileSync(new URL('../README.md', import.meta.url), 'utf8')

/** Cells of the table under a heading, without its two header rows. */
function tableBelow(heading: string): string[][] {
  const section = README.split(`\n## ${heading}\n`)[1]?.split('\n## ')[0] ?? ''
  return section
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .slice(2)
    .map((line) => line.split('|').slice(1, -1))
    .map((cells) => cells.map((cell) => cell.trim()))
}

describe('the README', () => {
  it('lists every error with the values of the code', () => {
    const rows = Object.entries(PORTCHECK_ERRORS).map(([code, { happened, retryable, hint }]) => [
      `\`${code}\``,
      happened,
      retryable ? 'yes' : 'no',
      hint,
    ])
    expect(tableBelow('Errors')).toEqual(rows)
  })

  it('lists every warning code', () => {
    const codes = tableBelow('Warnings').flatMap(([cell = '']) => cell.match(/PC\d+/g) ?? [])
    expect(codes).toEqual(Object.keys(WARNINGS))
  })

  it('lists every limit with its default and range', () => {
    const rows = tableBelow('Options')
      .map(([name, , value, range]) => [name, value, range])
      .filter(([name]) => name !== '`conflict`')
    const limits = Object.entries(PORTCHECK_LIMITS).map(([name, { default: value, min, max }]) => [
      `\`${name}\``,
      String(value),
      `${min} to ${max}`,
    ])
    expect(rows).toEqual(limits)
  })

  it('has an example that runs', async () => {
    const [, example = ''] = /```ts\n([\s\S]*?)```/.exec(README) ?? []
    const printed: string[] = []
    const console = { log: (...values: unknown[]) => printed.push(values.join(' ')) }
    const context = createContext({ ...portcheck, createServer, console })
    const body = example.replaceAll(/^import .*$/gm, '')
    await new Script(`(async () => {${body}})()`).runInContext(context)
    expect(printed).toEqual(['busy self', 'IPv4,IPv6', 'IPv4', '0'])
  })
})
