import { readFileSync } from 'node:fs'
import { runInNewContext } from 'node:vm'
import { describe, expect, it } from 'vitest'
import { HTTP_FAULTS } from '../src/errors.ts'
import * as http1 from '../src/index.ts'
import { HTTP_LIMITS } from '../src/limits.ts'

const README = readFileSync(new URL('../README.md', import.meta.url), 'utf8')

/** Cells of the table under a heading, without its two header rows. */
function tableBelow(heading: string): string[][] {
  const section = README.split(`\n## ${heading}\n`)[1]?.split('\n## ')[0] ?? ''
  return section
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .slice(2)
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    )
}

describe('the README', () => {
  it('lists every fault with the values of the code', () => {
    const rows = Object.entries(HTTP_FAULTS).map(([fault, { meaning, status, sides, hint }]) => {
      const side = sides.length === 2 ? 'both' : sides[0]
      return [`\`${fault}\``, meaning, String(status), side, hint]
    })
    expect(tableBelow('Errors')).toEqual(rows)
  })

  it('lists every limit with its default, range and fault', () => {
    const rows = tableBelow('Options')
    const names = rows.map(([name]) => name)
    expect(names).toEqual(Object.keys(HTTP_LIMITS).map((name) => `\`${name}\``))
    for (const [quotedName = '', , defaultText, range = '', effect = ''] of rows) {
      const name = quotedName.slice(1, -1)
      const [min = NaN, max = NaN] = range.split(' to ').map(Number)
      expect(http1.resolveHttpLimits()).toHaveProperty(name, Number(defaultText))
      expect(Object.entries(HTTP_LIMITS).find(([key]) => key === name)?.[1]).toEqual({
        default: Number(defaultText),
        min,
        max,
      })
      const [, fault = '', status] = /^`(\w+)`, (\d+)$/.exec(effect) ?? []
      expect(Object.entries(HTTP_FAULTS).find(([key]) => key === fault)?.[1].status).toBe(
        Number(status),
      )
    }
  })

  it('has an example that runs', () => {
    const [, example = ''] = /```ts\n([\s\S]*?)```/.exec(README) ?? []
    const printed: string[] = []
    const context = {
      ...http1,
      Buffer,
      console: { log: (text: unknown) => printed.push(String(text)) },
    }
    runInNewContext(example.replace(/import \{[^}]*\} from '@proj\/http1'/, ''), context)
    expect(printed).toEqual([
      'POST /a HTTP/1.1\r\nHost: web.example\r\nContent-Length: 2\r\nx-forwarded-for: 192.0.2.1\r\n' +
        'x-forwarded-proto: http\r\nx-forwarded-host: web.example\r\nx-piko-forward: true\r\nadit-hops: 1\r\n\r\n',
      'hi',
      '6',
      expect.stringMatching(
        /^HTTP\/1\.1 400 Bad Request\r\n[\s\S]*adit-error: HTTP_REQUEST_LF_BARE/,
      ),
    ])
  })
})
