// The proxy port with keys of JWTs: every visitor of an HTTP endpoint shows one, as with Piko.
import { createServer, type RequestListener } from 'node:http'

import { Agent, forward } from '@proj/tunnel'
import { listening } from '@proj/testkit/listening'
import { connectRaw, exchangeRaw } from '@proj/testkit/raw-http'
import { describe, expect, onTestFinished, test } from 'vitest'

import { Authenticator } from '../../src/auth/authenticator.ts'
import { Server } from '../../src/server.ts'
import { memoryStore } from '../../src/store/store.ts'
import { authOf, hs256, storedToken } from './signed.ts'

const silent = { debug() {}, info() {}, warn() {}, error() {} }
const KEY = 'the key of the proxy port, thirty-two bytes or more'
const at = '127.0.0.1:0'
const HOUR_MS = 3_600_000
const ALL = hs256(KEY, {})

/** A server that asks its visitors, and an agent that offers `web` in a tenant or in none. */
async function guarded(http: RequestListener = (_, response) => void response.end('served')) {
  const store = memoryStore(silent)
  const authenticator = new Authenticator({
    ports: { proxy: { auth: authOf(KEY) } },
    tokens: store.tokens,
    audit: store.audit,
    logger: silent,
    failureRate: { amount: 20, periodMs: HOUR_MS }, // none is forgotten during a test
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
  const service = await listening(createServer(http))
  const url = `http://127.0.0.1:${server.listeners.upstream.bound[0]?.port}`
  const agent = new Agent({ url, connections: 1 })
  const to = { host: service.host, port: service.port }
  await forward(agent, 'web', { kind: 'http', service: to }).ready()
  onTestFinished(async () => {
    await agent[Symbol.asyncDispose]()
    server.destroy()
    authenticator[Symbol.dispose]()
    await service.close()
  })
  const port = server.listeners.proxy.bound[0]?.port ?? 0
  return { port, server, store }
}

function get(...headers: readonly string[]): string {
  return ['GET / HTTP/1.1', 'host: web.example', 'connection: close', ...headers, '', ''].join(
    '\r\n',
  )
}

describe('a visitor', () => {
  test.for([
    ['nothing', [], 401, 'missing authorization'],
    ['a good token', [`authorization: Bearer ${ALL}`], 200, ''],
    ['one in the other header', [`x-piko-authorization: Bearer ${ALL}`], 200, ''],
    ['a token of another key', [`authorization: Bearer ${hs256('x', {})}`], 401, 'invalid token'],
    ['an old token', [`authorization: Bearer ${hs256(KEY, { exp: 1 })}`], 401, 'expired token'],
    ['another scheme', ['authorization: Basic YTpi'], 401, 'unsupported auth type'],
    ['one word', ['authorization: Bearer'], 401, 'invalid authorization'],
    [
      'a token for others',
      [`authorization: Bearer ${hs256(KEY, { piko: { endpoints: ['api'] } })}`],
      401,
      'endpoint not permitted',
    ],
    [
      'a token for it',
      [`authorization: Bearer ${hs256(KEY, { piko: { endpoints: ['web'] } })}`],
      200,
      '',
    ],
    [
      'a token to listen',
      [`authorization: Bearer ${hs256(KEY, { adit: { may: ['listen'] } })}`],
      401,
      'endpoint not permitted',
    ],
    ['two tokens', Array(2).fill(`authorization: Bearer ${ALL}`), 401, 'invalid token'],
    [
      'a tenant that is none',
      [`authorization: Bearer ${ALL}`, 'x-piko-tenant-id: acme'],
      401,
      'unknown tenant',
    ],
  ] as const)('with %s', async ([, headers, status, error]) => {
    const { port } = await guarded()
    const answer = await exchangeRaw(port, get(...headers))
    expect(answer.status).toBe(status)
    const body = status === 200 ? 'served' : `${JSON.stringify({ error })}\n`
    expect(answer.body.toString()).toBe(body)
    expect(answer.headers['adit-error']).toBe(status === 200 ? undefined : 'unauthorized')
  })

  test('with a good token and nobody to serve it is told so', async () => {
    const { port } = await guarded()
    const token = `authorization: Bearer ${ALL}`
    const answer = await exchangeRaw(port, get(token).replace('web.', 'none.'))
    expect([answer.status, answer.body.toString()]).toEqual([
      503,
      '{"error":"no available upstreams"}\n',
    ])
  })

  test('with a token of the server that may connect gets in as well', async () => {
    const { port, store } = await guarded()
    const connect = await storedToken(store.tokens, { may: ['connect'], endpoints: ['w*'] })
    const listen = await storedToken(store.tokens, { may: ['listen'] })
    const statusOf = async (text: string): Promise<number> =>
      (await exchangeRaw(port, get(`authorization: Bearer ${text}`))).status
    expect([await statusOf(connect.text), await statusOf(listen.text)]).toEqual([200, 401])
  })

  test('is judged for each request of a connection, with its body', async () => {
    const { port } = await guarded((request, response) => {
      request.setEncoding('utf8').on('data', (text: string) => void response.end(text))
    })
    const visitor = await connectRaw(port)
    const post = (...headers: readonly string[]): string =>
      ['POST / HTTP/1.1', 'host: web.example', 'content-length: 4', ...headers, '', 'body'].join(
        '\r\n',
      )
    const token = `authorization: Bearer ${ALL}`
    await visitor.send(post(token) + post(token) + post())
    const answers = [
      await visitor.readResponse(),
      await visitor.readResponse(),
      await visitor.readResponse(),
    ]
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 401])
    expect(answers[1]?.body.toString()).toBe('body')
    visitor.end()
  })

  test('who has no token guesses none, and holds nobody at the same address off', async () => {
    const { port } = await guarded()
    for (let tries = 0; tries < 30; tries++) {
      expect((await exchangeRaw(port, get())).status).toBe(401)
    }
    expect((await exchangeRaw(port, get(`authorization: Bearer ${ALL}`))).status).toBe(200)
  })

  test('whose token is wrong too often is held off, with a good one too', async () => {
    const { port } = await guarded()
    for (let tries = 0; tries < 20; tries++) {
      expect((await exchangeRaw(port, get('authorization: Bearer junk'))).status).toBe(401)
    }
    const answer = await exchangeRaw(port, get(`authorization: Bearer ${ALL}`))
    expect([answer.status, answer.headers['adit-error']]).toEqual([429, 'too_many_failures'])
    // A twentieth of the hour, less the time since the first failure.
    const waitS = Number(answer.headers['retry-after'])
    expect(waitS).toBeGreaterThan(60)
    expect(waitS).toBeLessThanOrEqual(180)
  })
})

test('the token does not reach the service; what is for the service does', async () => {
  const seen: object[] = []
  const { port } = await guarded((request, response) => {
    seen.push(request.headers)
    response.end()
  })
  const other = 'authorization: Basic c2VydmljZTpwYXNz'
  await exchangeRaw(port, get(`authorization: Bearer ${ALL}`))
  await exchangeRaw(port, get(`x-piko-authorization: Bearer ${ALL}`, other))
  expect(seen.map((headers) => 'authorization' in headers)).toEqual([false, true])
  expect(JSON.stringify(seen)).not.toContain(ALL)
  expect(JSON.stringify(seen)).toContain('Basic c2VydmljZTpwYXNz')
})

test('a token of a tenant leads to the names of that tenant', async () => {
  const { port, server, store } = await guarded()
  const { text } = await storedToken(store.tokens, { tenant: 'acme' })
  const service = await listening(createServer((_, response) => void response.end('of acme')))
  const url = `http://127.0.0.1:${server.listeners.upstream.bound[0]?.port}`
  await using agent = new Agent({ url, connections: 1, token: text })
  await forward(agent, 'web', {
    kind: 'http',
    service: { host: service.host, port: service.port },
  }).ready()
  const claims = { adit: { may: ['connect'], tenant: 'acme' } }
  const bodyOf = async (token: string): Promise<string> =>
    (await exchangeRaw(port, get(`authorization: Bearer ${token}`))).body.toString()
  expect([await bodyOf(hs256(KEY, claims)), await bodyOf(text), await bodyOf(ALL)]).toEqual([
    'of acme',
    'of acme',
    'served',
  ])
  await service.close()
})
