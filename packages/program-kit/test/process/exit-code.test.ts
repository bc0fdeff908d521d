import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

import { EXIT, EXIT_MEANINGS, UserError } from '../../src/index.ts'

test('docs/exit-codes.md has the codes and meanings of the code, and no others', () => {
  const page = readFileSync(new URL('../../../../docs/exit-codes.md', import.meta.url), 'utf8')
  const rows = [...page.matchAll(/^\| (\d+) +\| `(\w+)` +\| (.+?) +\|$/gm)]
  expect(rows.map(([, code, name, meaning]) => [Number(code), name, meaning])).toEqual(
    Object.entries(EXIT).map(([name, code]) => [
      code,
      name,
      EXIT_MEANINGS[name as keyof typeof EXIT],
    ]),
  )
})

test('a UserError carries exit code, hint and cause', () => {
  const cause = new Error('why')
  const error = new UserError('what', { exitCode: EXIT.failed, hint: 'do this', cause })
  expect(error).toMatchObject({ name: 'UserError', exitCode: 1, hint: 'do this', cause })
  expect(new UserError('what', { exitCode: 2 }).hint).toBeUndefined()
})
