// Strangers that ask or fail too often, over real sockets: 429 on every port, and when to come again.
import { onTestFinished, expect, test } from 'vitest'

import { Authenticator } from '../../src/auth/authenticator.ts'
import { Server } from '../../src/server.ts'
import { MemoryTokenStore } from '../../src/store/token-store.ts'
import { memoryStore } from '../../src/store/store.ts'
import { storedToken } from './signed.ts'

const silent = { debug() {}, info() {}, warn() {}, error() {} }
const at = '127.0.0.1:0'

test('whose credentials are refused too often is told so on every port', async () => {
  const tokens = new MemoryTokenStore()
  const { text } = await storedToken(tokens, { may: ['listen', 'connect', 'admin'] })
  const store = memoryStore(silent)
  const failureRate = { amount: 2, periodMs: 3_600_000 }
  using authenticator = new Authenticator({
    tokens,
    audit: store.audit,
    logger: silent,
    failureRate,
  })
  const server = await Server.start({
    proxy: { at },
    upstream: { at },
    admin: { at },
    software: 'test',
    logger: silent,
    store,
    authenticator,
  })
  onTestFinished(() => server.destroy())
  const url = (name: 'proxy' | 'upstream' | 'admin', path: string): string =>
    `http://127.0.0.1:${server.listeners[name].bound[0]?.port}${path}`
  const pages = [
    url('upstream', '/piko/v1/upstream/web'),
    url('upstream', '/adit/v1/reservations'),
    url('proxy', '/_piko/v1/tcp/web'),
    url('admin', '/metrics'),
  ]
  const [page = ''] = pages
  for (let tries = 0; tries < 2; tries++) expect((await fetch(page)).status).toBe(401)
  const headers = { authorization: `Bearer ${text}` }
  for (const one of pages) {
    const answer = await fetch(one, { headers })
    expect([one, answer.status]).toEqual([one, 429])
    expect(await answer.json()).toEqual({ error: 'too many failed attempts' })
    // Half an hour, less the time since the first failure.
    const waitS = Number(answer.headers.get('retry-after'))
    expect(waitS).toBeGreaterThan(1700)
    expect(waitS).toBeLessThanOrEqual(1800)
  }
  // Visitors of endpoints and what asks whether the server is alive are nobody's guesses.
  expect((await fetch(url('proxy', '/'), { headers: { host: 'web.example' } })).status).not.toBe(
    429,
  )
  expect((await fetch(url('admin', '/health'))).status).toBe(200)
  expect(authenticator.limits.refused).toEqual({ handshakes: 0, failures: 4 })
})

test('metrics count who was held off, by limit', async () => {
  const store = memoryStore(silent)
  const handshakeRate = { amount: 3, periodMs: 3_600_000 }
  const options = { tokens: store.tokens, audit: store.audit, logger: silent, handshakeRate }
  using authenticator = new Authenticator(options)
  const server = await Server.start({
    proxy: { at },
    upstream: { at },
    admin: { at },
    software: 'test',
    logger: silent,
    store,
    authenticator,
  })
  onTestFinished(() => server.destroy())
  const port = (name: 'upstream' | 'admin'): number => server.listeners[name].bound[0]?.port ?? 0
  const metrics = async (): Promise<string> =>
    await (await fetch(`http://127.0.0.1:${port('admin')}/metrics`)).text()
  expect(await metrics()).toContain('adit_handshakes_held_off_total{limit="handshakes"} 0')
  await fetch(`http://127.0.0.1:${port('upstream')}/piko/v1/upstream/web`)
  expect(await metrics()).toContain('adit_handshakes_held_off_total{limit="failures"} 0')
  const held = await fetch(`http://127.0.0.1:${port('upstream')}/piko/v1/upstream/web`)
  expect(held.status).toBe(429)
  // A third of the hour, less the time since the first request.
  const waitS = Number(held.headers.get('retry-after'))
  expect(waitS).toBeGreaterThan(1100)
  expect(waitS).toBeLessThanOrEqual(1200)
})
