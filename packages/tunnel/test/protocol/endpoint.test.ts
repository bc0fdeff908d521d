import { expect, test } from 'vitest'

import { checkEndpointName, MAX_ENDPOINT_BYTES } from '../../src/protocol/endpoint.ts'

test.each([
  'web',
  'Web.1',
  'a b'.replace(' ', '-'),
  'ümlaut',
  '%2F',
  'e'.repeat(MAX_ENDPOINT_BYTES),
])('%j can be used', (name) => {
  expect(checkEndpointName(name)).toBe(name)
})

test.each([
  ['', 'is empty'],
  ['a/b', 'contains a slash'],
  ['a b', 'contains a space or control character'],
  ['a\n', 'contains a space or control character'],
  ['a\u007f', 'contains a space or control character'],
  ['e'.repeat(MAX_ENDPOINT_BYTES + 1), `is longer than ${MAX_ENDPOINT_BYTES} bytes`],
  ['ü'.repeat(127), `is longer than ${MAX_ENDPOINT_BYTES} bytes`],
])('%j is refused with TUNNEL_ENDPOINT_INVALID', (name, problem) => {
  expect(() => checkEndpointName(name)).toThrow(
    expect.objectContaining({
      code: 'TUNNEL_ENDPOINT_INVALID',
      message: `endpoint ${JSON.stringify(name)} ${problem}`,
    }),
  )
})
