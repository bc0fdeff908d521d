import { expect, test } from 'vitest'

import { editYaml } from '../../src/index.ts'

test('values are written into a new file', () => {
  const values = { 'connect.url': ['http://localhost:8001'], 'connect.token': 'a: b', live: 'true' }
  expect(editYaml('', values)).toBe(
    'connect:\n  url:\n    - http://localhost:8001\n  token: "a: b"\nlive: "true"\n',
  )
})

test('the rest of a file stays, with its comments', () => {
  const text =
    '# mine\nconnect:\n  url: http://old # old\n  token: one\n\nlisteners:\n  - endpoint: web # a\n    addr: 3000\n'
  expect(editYaml(text, { 'connect.url': 'http://new', 'connect.token': undefined })).toBe(
    '# mine\nconnect:\n  url: http://new\n\nlisteners:\n  - endpoint: web # a\n    addr: 3000\n',
  )
})

test('a file of comments alone keeps them', () => {
  expect(editYaml('# to do\n', { live: 'false' })).toBe('# to do\n\nlive: "false"\n')
})

test('a group that has no keys yet gets them', () => {
  const text = 'connect: # the server\nlive: true\n'
  const edited = editYaml(text, { 'connect.token': undefined, 'connect.tls.server_name': 'a' })
  expect(edited).toBe('connect:\n  # the server\n  tls:\n    server_name: a\nlive: true\n')
})

test.each([
  ['a: [', 'not valid YAML'],
  ['- a', 'the file has no keys'],
  ['connect: text', 'connect has no keys'],
])('%j is refused', (text, why) => {
  expect(() => editYaml(text, { 'connect.url': 'x' })).toThrow(
    expect.objectContaining({
      code: 'CONFIG_FILE_SYNTAX',
      message: expect.stringContaining(why),
    }),
  )
})
