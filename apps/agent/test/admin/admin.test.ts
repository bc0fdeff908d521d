import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { listening } from '@proj/testkit/listening'
import { exchangeRaw } from '@proj/testkit/raw-http'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'

import { controlFolder } from '../../src/control/control-folder.ts'
import { createControlServer } from '../../src/admin/admin.ts'
import { SAMPLE } from '../status/status-sample.ts'

async function ask(path: string, head = 'host: localhost', method = 'GET', ready = true) {
  const status = async () => ({ ...SAMPLE, ready })
  await using server = await listening(createControlServer(status, ['printers.example']))
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
] as const)('a web page that calls it %s gets %i', async ([host, code]) => {
  expect((await ask('/status', `host: ${host}`)).code).toBe(code)
})

test('a state that cannot be had is a 500, and the server goes on', async () => {
  const failing = createControlServer(async () => await Promise.reject(new Error('odd')))
  await using server = await listening(failing)
  const request = 'GET /status HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n'
  for (let round = 0; round < 2; round += 1) {
    expect((await exchangeRaw(server.port, request)).status).toBe(500)
  }
})

test('control sockets lie where nobody else can enter', () => {
  using folder = temporaryDirectory()
  const env = { XDG_RUNTIME_DIR: folder.path }
  const control = controlFolder(env)
  const path = control.path('1-abc')
  expect(path).toBe(`${folder.path}/adit/1-abc.sock`)
  writeFileSync(path, '')
  writeFileSync(`${folder.path}/adit/other`, '')
  expect(controlFolder(env).sockets()).toEqual([path])
  const temporary = { XDG_RUNTIME_DIR: 'not/absolute', TMPDIR: folder.path }
  const uid = process.getuid?.() ?? 0
  expect(controlFolder(temporary).path('1')).toBe(`${folder.path}/adit-${uid}/1.sock`)
})

test.for([
  ['others may enter it', (at: string) => (mkdirSync(at), chmodSync(at, 0o755))],
  ['it is no folder', (at: string) => symlinkSync('/tmp', at)],
  ['it is no folder', (at: string) => writeFileSync(at, '')],
] as const)('a folder is not used: %s', ([why, make]) => {
  using folder = temporaryDirectory()
  make(`${folder.path}/adit`)
  expect(() => controlFolder({ XDG_RUNTIME_DIR: folder.path })).toThrow(why)
})

test('pipes of Windows are named after the user', () => {
  expect(controlFolder({}, 'win32').path('7-abc')).toMatch(/^\\\\\.\\pipe\\adit-.+-7-abc$/)
})
