import { readFileSync } from 'node:fs'

import { expect, test } from 'vitest'

import { PROGRAM_ADVICE } from '../src/error-advice.ts'
import { PROGRAM_ERRORS, SERVICE_ERRORS } from '../src/index.ts'

const README = readFileSync(new URL('../README.md', import.meta.url), 'utf8')

test('the table of errors says what the code says', () => {
  const rows = [...README.matchAll(/^\| `((?:CONFIG|SERVICE)_\w+)` *\| (.*?) *\| (.*?) *\|$/gm)]
  expect(Object.fromEntries(rows.map(([, code, meaning]) => [code, meaning]))).toEqual({
    ...PROGRAM_ERRORS,
    ...SERVICE_ERRORS,
  })
  expect(Object.fromEntries(rows.map(([, code, , advice]) => [code, advice]))).toEqual(
    PROGRAM_ADVICE,
  )
})
