import { expect, test } from 'vitest'

import { sqlFailureOf, sqlStateOf } from '../../src/engine/sql-state.ts'

test.each([
  ['25006', 'readOnly'],
  ['28P01', 'refused'],
  ['3D000', 'refused'],
  ['42P01', 'emptied'],
  ['53100', 'full'],
  ['53300', 'unreachable'],
  ['53200', 'passing'],
  ['57P01', 'unreachable'],
  ['57014', 'passing'],
  ['08006', 'unreachable'],
  ['40P01', 'passing'],
  ['42601', undefined], // a wrong statement
])('%s means %s', (code, failure) => {
  expect(sqlFailureOf(code)).toBe(failure)
})

test.each([
  [{ code: '57P01' }, '57P01'],
  [{ code: 'EPIPE' }, undefined],
  [{ code: 'ECONNREFUSED' }, undefined],
  [new Error('no code'), undefined],
  [undefined, undefined],
])('the code of %j is %s', (error, code) => {
  expect(sqlStateOf(error)).toBe(code)
})
