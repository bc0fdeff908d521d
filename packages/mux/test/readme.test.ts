import { readFileSync } from 'node:fs'
import * as stream from 'node:stream'
import * as consumers from 'node:stream/consumers'
import * as promises from 'node:stream/promises'
import { compileFunction } from 'node:vm'
import { describe, expect, test } from 'vitest'
import * as mux from '../src/index.ts'

const README = readFileSync(new URL('../README.md', import.meta.url), 'utf8')

/** Cells of the table below a heading, without its two head rows. */
function tableBelow(heading: string): string[][] {
  const section = README.split(`\n## ${heading}\n`)[1]?.split('\n## ')[0] ?? ''
  const lines = section.split('\n').filter((line) => line.startsWith('|'))
  return lines.slice(2).map((line) => {
    return line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim())
  })
}

describe('the README', () => {
  test('has the table of errors of the code', () => {
    const rows = Object.entries(mux.MUX_ERRORS).map(([code, { what, ends, retryable, goAway }]) => {
      return [`\`${code}\``, what, ends, retryable ? 'yes' : 'no', String(goAway ?? '')]
    })
    expect(tableBelow('Errors')).toEqual(rows)
  })

  test('has every option with its default and range', () => {
    const rows = tableBelow('Options')
    expect(rows.map(([name]) => name)).toEqual(
      Object.keys(mux.DEFAULTS).map((name) => `\`${name}\``),
    )
    for (const [quoted = '', , byDefault, range = ''] of rows) {
      const name = quoted.slice(1, -1)
      const [min = Number.NaN] = range.split(' to ').map(Number)
      const resolve = (value: number): object =>
        mux.resolveOptions({ role: 'client', [name]: value })
      expect(mux.DEFAULTS).toHaveProperty(name, Number(byDefault))
      expect(resolve(min)).toHaveProperty(name, min)
      expect(() => resolve(min - 1)).toThrow(name)
    }
  })

  test('has the unit, range and default of each doc comment', () => {
    const source = readFileSync(new URL('../src/limits.ts', import.meta.url), 'utf8')
    const [, fields = ''] = /interface SessionLimits \{([^}]*)\}/.exec(source) ?? []
    const documented = [
      ...fields
        .replaceAll(/\n +\*(?!\/)/g, '')
        .matchAll(
          /(?:In (bytes|ms)|(Count)): (\w+ to \w+), default (\w+)\.\s*\*\/\s*readonly (\w+)/g,
        ),
    ].map(([, unit, count, range, byDefault, name]) => [
      `\`${name}\``,
      unit ?? count?.toLowerCase(),
      byDefault,
      range,
    ])
    expect(documented).toEqual(tableBelow('Options').map((cells) => cells.slice(0, 4)))
  })

  test('has an example that runs', async () => {
    const [, example = ''] = /```ts\n([\s\S]*?)```/.exec(README) ?? []
    const modules = {
      'node:stream': stream,
      'node:stream/consumers': consumers,
      'node:stream/promises': promises,
      '@proj/mux': mux,
    }
    const code = example.replaceAll(/^import (.*) from ('.*')$/gm, 'const $1 = modules[$2]')
    const printed: unknown[] = []
    const run = compileFunction(`return (async () => {${code}})()`, ['modules', 'console'])
    await run(modules, { log: (line: unknown) => printed.push(line) })
    expect(printed).toEqual(['hello', 'MUX_TRANSPORT_CLOSED'])
  })
})
