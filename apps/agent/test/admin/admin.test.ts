import { listening } from '@proj/testkit/listening'
import { exchangeRaw } from '@proj/testkit/raw-http'
import { expect, test } from 'vitest'

import { createAgentAdmin } from '../../src/admin/admin.ts'
import { SAMPLE } from '../status/status-sample.ts'

async function ask(path: string, head = 'host: localhost', method = 'GET', ready = true) {
  const status = async () => ({ ...SAMPLE, ready })
  await using server = await listening(createAgentAdmin(status, ['printers.example']))
  const request = `${method} ${path} HTTP/1.1\r\n${head}\r\nconnection: close\r\n\r\n`
  const { status: code, body, headers } = await exchangeRaw(server.port, request)
  return { code, body: body.toString(), headers }
}

test('it tells health, readiness, metrics and status', async () => {
  expect(await ask('/health')).toMatchObject({ code: 200, body: '' })
  expect((await ask('/ready')).code).toBe(200)
  expect((await ask('/ready', undefined, 'GET', false)).code).toBe(503)
  expect((await ask('/metrics')).body).toContain('adit_agent_link_up{half="offers"} 1\n')
  expect(JSON.parse((await ask('/status?x')).body)).toEqual({ ...SAMPLE, ready: true })
  expect((await ask('/nothing')).code).toBe(404)
})

test('it can only be read', async () => {
  expect(await ask('/status', 'host: localhost\r\ncontent-length: 0', 'POST')).toMatchObject({
    code: 405,
    headers: { allow: 'GET, HEAD' },
  })
})

test.for([
  ['localhost', 200],
  ['LOCALHOST:1234', 200],
  ['127.0.0.1:80', 200],
  ['[::1]:80', 200],
  ['printers.example:80', 200],
  ['evil.example', 403],
  ['localhost.evil.example', 403],
  ['127.0.0.1.evil.example', 403],
  ['web.localhost', 200],
] as const)('a web page that calls it %s gets %i', async ([host, code]) => {
  expect((await ask('/status', `host: ${host}`)).code).toBe(code)
})

test.for([
  ['origin: http://localhost', 200],
  ['origin: http://evil.example', 403],
  ['origin: null', 403],
  ['sec-fetch-site: none', 200],
  ['sec-fetch-site: cross-site', 403],
] as const)('a request with %s gets %i', async ([header, code]) => {
  expect((await ask('/status', `host: localhost\r\n${header}`)).code).toBe(code)
})

test('a state that cannot be had is a 500, and the server goes on', async () => {
  const failing = createAgentAdmin(async () => await Promise.reject(new Error('odd')), undefined)
  await using server = await listening(failing)
  const request = 'GET /status HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n'
  for (let round = 0; round < 2; round += 1) {
    expect((await exchangeRaw(server.port, request)).status).toBe(500)
  }
})
