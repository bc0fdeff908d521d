import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'

import { expect, onTestFinished, test } from 'vitest'

import { adviseOn, judgeCertificate, judgeClock, readAnswer } from '../../src/commands/doctor.ts'

const NOW = Date.UTC(2026, 0, 1)

test.each([
  [0, true, 'agree'],
  [30, true, 'agree'],
  [31, false, '31 s ahead of'],
  [-31, false, '31 s behind'],
])('a clock that is %d s ahead', (seconds, ok, text) => {
  const check = judgeClock('http://a', NOW, NOW + seconds * 1000)
  expect(check).toMatchObject({ code: 'clock', ok, detail: expect.stringContaining(text) })
  expect(check.hint === undefined).toBe(ok)
})

test.each([
  [7, true],
  [6.9, false],
  [-1, false],
])('a certificate that ends in %d days', (days, ok) => {
  const check = judgeCertificate('https://a', NOW + days * 86_400_000, NOW)
  expect(check).toMatchObject({ code: 'certificate', ok })
  expect(check.hint === undefined).toBe(ok)
})

test('where no server is configured, that is what to do', () => {
  const failed = {
    code: 'server',
    subject: 'http://localhost:8001',
    ok: false,
    detail: '',
  } as const
  expect(adviseOn(failed, 'default').hint).toContain('adit login')
  expect(adviseOn({ ...failed, hint: 'start it' }, 'file').hint).toBe('start it')
  expect(adviseOn({ ...failed, ok: true }, 'default').hint).toBeUndefined()
})

test.each([
  ['switches protocols', '101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x', []],
  ['answers', '404 Not Found\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT', ['clock']],
])('a server that %s', async (_, head, codes) => {
  const server = createServer((socket) => {
    socket.on('error', () => {}).once('data', () => socket.write(`HTTP/1.1 ${head}\r\n\r\n`))
  }).listen(0, '127.0.0.1')
  onTestFinished(() => void server.close())
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const checks = await readAnswer(url, { url: [url] }, new AbortController().signal)
  expect(checks.map(({ code }) => code)).toEqual(codes)
})
