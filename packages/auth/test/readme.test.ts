import { readFileSync } from 'node:fs'
import { runInNewContext } from 'node:vm'
import { describe, expect, it } from 'vitest'
import { AUTH_ERRORS } from '../src/errors.ts'
import * as auth from '../src/index.ts'

const README = readFileSync(new URL('../README.md', import.meta.url), 'utf8')

/** Cells of the table below a heading, without its two head rows. */
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
  it('lists every error as the code has it', () => {
    const rows = Object.entries(AUTH_ERRORS).map(([code, { what, status, text, hint }]) => [
      `\`${code}\``,
      what,
      String(status ?? 'none'),
      status === undefined ? 'nothing' : `\`${text}\``,
      hint,
    ])
    expect(tableBelow('Errors')).toEqual(rows)
    expect(Object.values(AUTH_ERRORS).filter(({ retryable }) => retryable)).toEqual([
      AUTH_ERRORS.IDENTITY_KEYS_UNAVAILABLE,
      AUTH_ERRORS.IDENTITY_TOKENS_UNAVAILABLE,
    ])
  })

  it('has the limits of the code', () => {
    for (const [, name = '', value] of tableBelow('Limits and security')) {
      expect(auth).toHaveProperty(name.replaceAll('`', ''), Number(value))
    }
  })

  it('has an example that runs', () => {
    const [, example = ''] = /## Example\n\n```ts\n([\s\S]*?)```/.exec(README) ?? []
    const printed: unknown[] = []
    const context = {
      ...auth,
      console: { log: (...values: unknown[]) => printed.push(values) },
    }
    const script = example
      .replace(/import \{[^}]*\} from '@proj\/auth'/, '')
      .replaceAll(' as const', '')
    runInNewContext(script, context)
    expect(printed).toEqual([[true, true, false]])
  })
})
