import { Ajv2020 } from 'ajv/dist/2020.js'
import { describe, expect, test } from 'vitest'
import { parseDocument } from 'yaml'

import { formatReference, jsonSchema, loadSettings } from '../../src/index.ts'
import { settings } from '../fixtures/sample.ts'
import { Workspace } from '../fixtures/workspace.ts'

test('the reference page', () => {
  expect(formatReference(settings, 'Settings')).toMatchSnapshot()
})

describe('the JSON Schema', () => {
  const schema = jsonSchema(settings, 'https://example.com/adit.json', 'Settings')
  const options = { strict: true, strictRequired: false, allowUnionTypes: true } as const
  const check = new Ajv2020(options).compile(schema)

  async function judge(content: string): Promise<{ schema: boolean; program: boolean }> {
    using files = new Workspace({ 'a.yaml': content })
    const env = { X: '5s' }
    const loaded = await loadSettings(settings, { cwd: files.path, files: ['a.yaml'], env })
    return { schema: check(parseDocument(content).toJS()), program: loaded.ok }
  }

  test.each([
    '{}',
    '$schema: ./adit.json',
    'connect: {url: "https://x", timeout: 30s, bind_addr: 10.0.0.1}',
    'connect: {bind_addr: [10.0.0.1, "::1"], token: 12345}',
    'connect: {timeout: "${X}", tls: {insecure_skip_verify: true}}',
    'connect:\nlisteners:\nlog: {level: }',
    'metrics_addr: 8080',
    'metrics_addr: [8080, "[::1]:80", unix:/x]',
    'max_head: 1.5kib',
    'listeners: []',
    'listeners: [{endpoint: a, addr: 3000, protocol: tcp, timeout: 0}]',
    'listeners: [{endpoint: a, addr: "x:1", timeout: inf, password: x, tls: {server_name: a}}]',
  ])('accepts what the program accepts: %s', async (content) => {
    expect(await judge(content)).toEqual({ schema: true, program: true })
  })

  test.each([
    '[]',
    'connect: true',
    'connect: []',
    'conect: {}',
    'connect: {tokn: x}',
    'connect: {token: [x]}',
    'connect: {token: {a: b}}',
    'connect: {token: a, token_file: b}',
    'connect: {url: 5}',
    'connect: {url: ftp://x}',
    'connect: {url: [http://x]}',
    'connect: {timeout: 30}',
    'connect: {timeout: 30x}',
    'connect: {timeout: -1s}',
    'connect: {timeout: true}',
    'connect: {bind_addr: [[10.0.0.1]]}',
    'connect: {bind_addr: {a: 10.0.0.1}}',
    'connect: {bind_addr: [5]}',
    'connect: {tls: {insecure_skip_verify: yes}}',
    'connect: {tls: {insecure_skip_verify: 1}}',
    'connect: {tls: {root_cas: ""}}',
    'log: {level: verbose}',
    'log: {level: INFO}',
    'log: info',
    'max_head: 65536',
    'max_head: 64K',
    'metrics_addr: true',
    'metrics_addr: [true]',
    'listeners: {endpoint: a, addr: 1}',
    'listeners: [a]',
    'listeners: [{addr: 1}]',
    'listeners: [{endpoint: a}]',
    'listeners: [{endpoint: A, addr: 1}]',
    'listeners: [{endpoint: a, addr: 1, protocol: udp}]',
    'listeners: [{endpoint: a, addr: 1, port: 1}]',
    'listeners: [{endpoint: a, addr: [1]}]',
    'listeners: [{endpoint: a, addr: 1, tls: x}]',
  ])('refuses what the program refuses: %s', async (content) => {
    expect(await judge(content)).toEqual({ schema: false, program: false })
  })
})
