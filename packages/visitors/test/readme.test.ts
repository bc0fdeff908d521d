import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

import { VISITORS_ERRORS } from '../src/errors.ts'

const README = readFileSync(new URL('../README.md', import.meta.url), 'utf8')

test('the README lists every error as the code has it', () => {
  const section = README.split('\n## Errors\n')[1]?.split('\n## ')[0] ?? ''
  const rows = section
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    )
  expect(rows).toEqual(
    Object.entries(VISITORS_ERRORS).map(([code, { what, hint }]) => [`\`${code}\``, what, hint]),
  )
})
