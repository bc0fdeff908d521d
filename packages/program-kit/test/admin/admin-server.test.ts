import { listening } from '@proj/testkit/listening'
import { connectRaw, exchangeRaw } from '@proj/testkit/raw-http'
import { describe, expect, it, test } from 'vitest'

import {
  type AdminApi,
  type AdminPage,
  type AdminServerOptions,
  createAdminServer,
  jsonPage,
} from '../../src/admin/admin-server.ts'

const PAGES: ReadonlyMap<string, AdminPage> = new Map<string, AdminPage>([
  ['/health', () => ({})],
  ['/ready', () => ({ status: 503 })],
  ['/status', jsonPage(() => ({ a: 1 }))],
  ['/later', jsonPage(async () => await Promise.resolve([2]))],
  ['/odd', () => Promise.reject(new Error('odd'))],
  [
    '/odder',
    () => {
      throw new Error('odder')
    },
  ],
])

async function ask(
  line: string,
  options: Partial<AdminServerOptions> = {},
  ...headers: string[]
): Promise<{ code: number; body: string; headers: Readonly<Record<string, string>> }> {
  await using server = await listening(
    createAdminServer({ pages: PAGES, hosts: ['printers.example'], ...options }),
  )
  const lines = [`${line} HTTP/1.1`, 'connection: close', ...headers]
  if (!headers.some((one) => one.startsWith('host:'))) lines.push('host: localhost')
  const answer = await exchangeRaw(server.port, `${lines.join('\r\n')}\r\n\r\n`)
  return { code: answer.status, body: answer.body.toString(), headers: answer.headers }
}

describe('pages', () => {
  it.each([
    ['GET /health', 200, ''],
    ['GET /ready', 503, ''],
    ['GET /status', 200, '{"a":1}\n'],
    ['GET /status?a=/health', 200, '{"a":1}\n'],
    ['GET /later', 200, '[2]\n'],
    ['GET /status/', 404, '404 page not found\n'],
    ['GET http://localhost/status', 404, '404 page not found\n'],
    ['GET /odd', 500, '{"error":"odd","code":"internal"}\n'],
    ['GET /odder', 500, '{"error":"odder","code":"internal"}\n'],
  ])('%s answers %i', async (line, code, body) => {
    expect(await ask(line)).toMatchObject({ code, body })
  })

  it('are beside commands, which only POST runs', async () => {
    let runs = 0
    const commands = new Map([['/upgrade', () => ({ status: 202, body: `${(runs += 1)}` })]])
    const options = { hosts: undefined, commands }
    expect((await ask('GET /upgrade', options)).code).toBe(404)
    expect((await ask('POST /other', options)).code).toBe(404)
    expect((await ask('POST /status', options)).code).toBe(405)
    expect(await ask('POST /upgrade', options)).toMatchObject({ code: 202, body: '1' })
  })

  it('are beside commands, which get the body of the request up to a bound', async () => {
    const commands = new Map([['/add', (body: string) => ({ body: `<${body}>` })]])
    const options = { hosts: undefined, commands }
    const add = async (body: string) =>
      await ask('POST /add', options, 'host: x', `content-length: ${body.length}\r\n\r\n${body}`)
    expect(await add('a=1')).toMatchObject({ code: 200, body: '<a=1>' })
    expect((await add('x'.repeat(65_536))).body).toHaveLength(65_538)
    expect(await add('x'.repeat(65_537))).toMatchObject({ code: 413 })
  })

  it('can only be read', async () => {
    expect(await ask('POST /status', {}, 'content-length: 0')).toMatchObject({
      code: 405,
      headers: { allow: 'GET, HEAD' },
      body: '{"error":"admin pages can only be read","code":"method-not-allowed"}\n',
    })
  })

  it('are not kept and not guessed at', async () => {
    expect((await ask('GET /status')).headers).toMatchObject({
      'cache-control': 'no-store',
      'content-type': 'application/json; charset=utf-8',
      'x-content-type-options': 'nosniff',
    })
  })
})

describe('web pages of others', () => {
  it.each([
    ['host: evil.example', 'host-refused'],
    ['origin: http://evil.example', 'origin-refused'],
    ['sec-fetch-site: cross-site', 'origin-refused'],
  ])('with %s get 403 with a code and a hint', async (header, refusal) => {
    const { code, body } = await ask('GET /health', {}, header)
    expect(code).toBe(403)
    expect(JSON.parse(body)).toEqual({
      error: expect.stringMatching(/^\w/),
      code: refusal,
      hint: expect.stringMatching(/^\w/),
    })
  })

  it('cannot reach a unix socket, where names mean nothing', async () => {
    const headers = ['host: evil.example', 'origin: http://other.example']
    expect((await ask('GET /status', { hosts: undefined }, ...headers)).code).toBe(200)
  })

  it('may use any name of a port that asks for credentials, and have none', async () => {
    const options: Partial<AdminServerOptions> = {
      needsCredentials: () => true,
      authorize: async ({ headers }, isProbe) =>
        await Promise.resolve(
          isProbe || headers.authorization === 'Bearer good'
            ? { identity: 'token:a', tenant: '', isKnown: true, remoteAddress: undefined }
            : { status: 401, error: 'not permitted' },
        ),
    }
    const host = 'host: adit.internal:8002'
    expect(await ask('GET /status', options, host)).toMatchObject({
      code: 401,
      body: '{"error":"not permitted"}\n',
    })
    expect((await ask('GET /status', options, host, 'authorization: Bearer good')).code).toBe(200)
    expect((await ask('GET /health', options, host)).code).toBe(200)
  })
})

test('a refusal says when to come back', async () => {
  const denial = { status: 429, error: 'too many', retryAfterMs: 1_001 }
  const answer = await ask('GET /status', { authorize: () => Promise.resolve(denial) })
  expect(answer).toMatchObject({
    code: 429,
    body: '{"error":"too many"}\n',
    headers: { 'retry-after': '2' },
  })
})

test('credentials that cannot be judged are a 500', async () => {
  const answer = await ask('GET /status', { authorize: () => Promise.reject(new Error('broken')) })
  expect(answer.code).toBe(500)
})

describe('an API', () => {
  const api: AdminApi = {
    path: '/api/v1',
    answer: async ({ method, path, query, body, caller: { identity } }) => ({
      type: 'application/json',
      body: JSON.stringify({ method, path, query, body, identity }),
      headers: { etag: '"a"' },
    }),
    deny: ({ error }) => ({ status: 401, body: `denied: ${error}` }),
  }

  it.each([
    ['GET /api/v1/a?b=c', { method: 'GET', path: '/a', query: 'b=c', body: '' }],
    ['PUT /api/v1', { method: 'PUT', path: '', query: '', body: '' }],
  ])('is asked for %s', async (line, asked) => {
    const answer = await ask(line, { api })
    expect(answer.headers['etag']).toBe('"a"')
    expect(JSON.parse(answer.body)).toEqual({ ...asked, identity: 'anonymous' })
  })

  it('gets the body up to a bound', async () => {
    const body = 'x'.repeat(65_536)
    const send = async (text: string): Promise<unknown> =>
      JSON.parse(
        (
          await ask(
            'POST /api/v1/a',
            { api },
            'host: localhost',
            `content-length: ${text.length}\r\n\r\n${text}`,
          )
        ).body,
      )
    expect(await send(body)).toMatchObject({ body })
    expect(await send(`${body}x`)).not.toHaveProperty('body')
  })

  it('is not asked by other sites or without credentials, and leaves pages alone', async () => {
    const foreign = await ask('POST /api/v1/a', { api }, 'origin: http://evil.example')
    expect(foreign.code).toBe(403)
    expect((await ask('GET /api/v10', { api })).code).toBe(404)
    expect((await ask('GET /status', { api })).code).toBe(200)
    const authorize = async () => ({ status: 401, error: 'not permitted' })
    expect(await ask('DELETE /api/v1/a', { api, authorize })).toMatchObject({
      code: 401,
      body: 'denied: not permitted',
    })
  })
})

describe('a client that is slow', () => {
  it('is cut soon after its time for a head', async () => {
    await using server = await listening(
      createAdminServer({ pages: PAGES, hosts: ['localhost'], requestTimeoutMs: 100 }),
    )
    using connection = await connectRaw(server.port, 20_000)
    await connection.send('GET /health HTTP/1.1\r\nhost: loc')
    expect((await connection.readResponse()).status).toBe(408)
    expect((await connection.readToEnd()).length).toBe(0)
  })

  it.each(['content-length: 10', 'transfer-encoding: chunked'])(
    'is answered and closed when its body (%s) does not end',
    async (framing) => {
      await using server = await listening(
        createAdminServer({ pages: PAGES, hosts: ['localhost'] }),
      )
      using connection = await connectRaw(server.port, 9_000)
      await connection.send(`GET /health HTTP/1.1\r\nhost: localhost\r\n${framing}\r\n\r\n`)
      const { status, headers } = await connection.readResponse()
      expect([status, headers['connection']]).toEqual([200, 'close'])
      expect((await connection.readToEnd()).length).toBe(0)
    },
  )
})
