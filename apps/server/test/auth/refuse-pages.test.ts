// Web pages on the tunnel routes: every route with every Host and Origin, on ports with and without
// credentials, as real WebSocket handshakes and requests. The rule below knows nothing of the code.
import { exchangeRaw } from '@proj/testkit/raw-http'
import { describe, expect, onTestFinished, test } from 'vitest'

import { Authenticator } from '../../src/auth/authenticator.ts'
import { Server, type ServerOptions } from '../../src/server.ts'
import { memoryStore } from '../../src/store/store.ts'
import { storedToken } from './signed.ts'

const silent = { debug() {}, info() {}, warn() {}, error() {} }
const NO_LIMIT = { amount: Infinity, periodMs: 60_000 }

const UPGRADE = [
  'connection: upgrade',
  'upgrade: websocket',
  'sec-websocket-version: 13',
  'sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==',
]

/** Requests of a peer of Adit, of a Piko agent and of a program that reserves names. */
const ROUTES = [
  { port: 'upstream', line: 'GET /piko/v1/upstream/web', headers: UPGRADE, granted: 101 },
  {
    port: 'upstream',
    line: 'GET /piko/v1/upstream/web',
    headers: [...UPGRADE, 'adit-protocol: 1'],
    granted: 101,
  },
  {
    port: 'proxy',
    line: 'GET /_piko/v1/tcp/adit-session',
    headers: [...UPGRADE, 'adit-protocol: 1'],
    granted: 101,
  },
  { port: 'proxy', line: 'GET /_piko/v1/tcp/web', headers: UPGRADE, granted: 502 },
  {
    port: 'upstream',
    line: 'GET /_piko/v1/tcp/adit-session',
    headers: [...UPGRADE, 'adit-protocol: 1'],
    granted: 101,
  },
  { port: 'upstream', line: 'GET /adit/v1/reservations', headers: [], granted: 200 },
  { port: 'upstream', line: 'PUT /adit/v1/reservations/web', headers: [], granted: 503 },
] as const

/** Host, and whether it is one of a loopback port. */
const HOSTS = [
  ['localhost:8000', true],
  ['web.localhost:8000', true],
  ['127.0.0.1:8000', true],
  ['[::1]:8000', true],
  ['tunnel.internal:8000', true],
  ['web.apps.example:8000', true],
  ['evil.example:8000', false],
  ['localhost.evil.example', false],
] as const

/** What a browser says of the page that asks; `own` is the origin of the request's Host. */
const PAGES = ['none', 'own', 'http://evil.example', 'null', 'cross-site'] as const

async function start(
  options: Partial<ServerOptions>,
): Promise<(port: 'proxy' | 'upstream', text: string) => Promise<number>> {
  const at = { at: '127.0.0.1:0' }
  const names = ['tunnel.internal', '*.apps.example']
  const server = await Server.start({
    proxy: at,
    upstream: at,
    admin: at,
    hosts: { proxy: names, upstream: names },
    // The requests register names and leave: nobody waits for them.
    waits: { absentWaitMs: 0 },
    software: 'adit-server/test',
    logger: silent,
    ...options,
  })
  onTestFinished(() => server.destroy())
  return async (port, text) => {
    const number = server.listeners[port].bound[0]?.port ?? 0
    return (await exchangeRaw(number, text)).status
  }
}

function requests(more: readonly string[] = []) {
  return ROUTES.flatMap(({ port, line, headers, granted }) =>
    HOSTS.flatMap(([host, isOwnHost]) =>
      PAGES.map((page) => {
        const origin = page === 'own' ? `http://${host}` : page
        const marks =
          page === 'none'
            ? []
            : page === 'cross-site'
              ? ['sec-fetch-site: cross-site']
              : [`origin: ${origin}`]
        const all = [`${line} HTTP/1.1`, `host: ${host}`, ...headers, ...more, ...marks, '', '']
        const isHandshake = headers.length > 0
        return { port, granted, isHandshake, isOwnHost, page, text: all.join('\r\n') }
      }),
    ),
  )
}

describe('without credentials', () => {
  test('a loopback port serves no page, and only its own host names', async () => {
    const ask = await start({})
    for (const { port, granted, isOwnHost, page, text } of requests()) {
      const expected = isOwnHost && page === 'none' ? granted : 403
      expect({ text, status: await ask(port, text) }).toEqual({ text, status: expected })
    }
  })

  test('a port that others reach serves no page either, handshakes by every host name', async () => {
    const open = { at: '*:0' }
    const ask = await start({ proxy: open, upstream: open })
    for (const { port, granted, isHandshake, isOwnHost, page, text } of requests()) {
      const expected = page === 'none' && (isHandshake || isOwnHost) ? granted : 403
      expect({ text, status: await ask(port, text) }).toEqual({ text, status: expected })
    }
  })
})

describe('with credentials', () => {
  async function guarded() {
    const store = memoryStore(silent)
    const { text } = await storedToken(store.tokens, { may: ['listen', 'connect'] })
    const { tokens, audit } = store
    const limits = { handshakeRate: NO_LIMIT, failureRate: NO_LIMIT }
    const authenticator = new Authenticator({ tokens, audit, logger: silent, ...limits })
    onTestFinished(() => authenticator[Symbol.dispose]())
    return { ask: await start({ store, authenticator }), token: text }
  }

  test('a page without a token gets no route', async () => {
    const { ask } = await guarded()
    for (const { port, page, text } of requests()) {
      const isPage = page !== 'none'
      expect({ text, status: await ask(port, text) }).toEqual({ text, status: isPage ? 403 : 401 })
    }
  })

  test('a program with a token may send its own origin, and any host name', async () => {
    const { ask, token } = await guarded()
    for (const { port, granted, page, text } of requests([`authorization: Bearer ${token}`])) {
      const isForeign = page !== 'none' && page !== 'own'
      expect({ text, status: await ask(port, text) }).toEqual({
        text,
        status: isForeign ? 403 : granted,
      })
    }
  })
})

test('the refusal says why, with a code and a hint', async () => {
  const at = { at: '127.0.0.1:0' }
  const server = await Server.start({
    proxy: at,
    upstream: at,
    admin: at,
    software: 'adit-server/test',
    logger: silent,
  })
  onTestFinished(() => server.destroy())
  const port = server.listeners.upstream.bound[0]?.port ?? 0
  const lines = ['GET /piko/v1/upstream/web HTTP/1.1', 'host: evil.example', ...UPGRADE, '', '']
  const { body } = await exchangeRaw(port, lines.join('\r\n'))
  expect(JSON.parse(body.toString())).toEqual({
    error: 'this host name is not one of the upstream port',
    code: 'host-refused',
    hint: 'use an IP address or localhost, put the name into upstream.bind_addr, or let the port ask for credentials',
  })
})
