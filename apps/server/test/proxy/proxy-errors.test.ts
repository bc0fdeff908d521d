import { readFileSync } from 'node:fs'

import { expect, it } from 'vitest'

import { PROXY_ERRORS } from '../../src/proxy/proxy-errors.ts'

const README = readFileSync(new URL('../../README.md', import.meta.url), 'utf8')

it.each(Object.values(PROXY_ERRORS))('$status $code is in the table of the README', (error) => {
  const row = README.split('\n').find((line) => line.includes(`\`${error.code}\``))
  // A code with two statuses has the second one in its text.
  expect(row).toMatch(new RegExp(`^\\| +${error.status} +\\||; ${error.status} for `))
})
