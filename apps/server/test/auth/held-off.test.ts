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

test('a session goes on when others behind its address fail, and ends with its token', async () => {
  const store = memoryStore(silent)
  const { text, id } = await storedToken(store.tokens, { may: ['admin'], endpoints: [] })
  const failureRate = { amount: 2, periodMs: 3_600_000 }
  const { tokens, audit } = store
  using authenticator = new Authenticator({ tokens, audit, logger: silent, failureRate })
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
  const ask = async (path: string, init: RequestInit = {}): Promise<Response> =>
    await fetch(`http://127.0.0.1:${server.listeners.admin.bound[0]?.port}/api/v1${path}`, init)
  const bearer = (token: string) => ({
    authorization: `Bearer ${token}`,
    'content-type': 'application/json',
  })
  const begun = await ask('/session', { method: 'POST', headers: bearer(text) })
  expect(begun.status).toBe(201)
  const { proof } = (await begun.json()) as { proof: string }
  const cookie = begun.headers.get('set-cookie')?.split(';')[0] ?? ''
  const session = { headers: { cookie, 'adit-session': proof } }
  for (const status of [401, 401, 429]) {
    expect((await ask('/tokens', { headers: bearer('wrong') })).status).toBe(status)
  }
  expect((await ask('/tokens', session)).status).toBe(200)
  expect((await ask('/tokens', { headers: bearer(text) })).status).toBe(429)
  expect((await ask('/tokens', { headers: { cookie, 'adit-session': 'wrong' } })).status).toBe(429)
  await store.tokens.revoke(id, Date.now())
  // The end is told once; then it is a stranger like others.
  for (const status of [401, 429]) expect((await ask('/tokens', session)).status).toBe(status)
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
