import { expect, test } from 'vitest'

import {
  neverReachedService,
  RESET_REASONS,
  resetReasonName,
  resetReasonText,
  type ResetReason,
} from '../src/reset-reason.ts'

const names = Object.keys(RESET_REASONS) as ResetReason[]

test('every reason has a number of its own, which reads back as its name', () => {
  const values = names.map((name) => RESET_REASONS[name])
  expect(new Set(values).size).toBe(names.length)
  expect(values.map(resetReasonName)).toEqual(names)
})

test('every reason has one sentence for people', () => {
  expect(new Set(names.map(resetReasonText)).size).toBe(names.length)
  for (const name of names)
    expect(resetReasonText(name)).toMatch(/^the |^a limit|^no agent|^nothing/)
})

test.each([14, 255, 0xffff_ffff])('%d, of a later version, reads as unspecified', (value) => {
  expect(resetReasonName(value)).toBe('unspecified')
})

test('a request may go elsewhere only where no byte can have reached the service', () => {
  expect(names.filter(neverReachedService)).toEqual([
    'serviceRefused',
    'serviceTimeout',
    'serviceUnreachable',
    'endpointUnknown',
    'draining',
  ])
})
