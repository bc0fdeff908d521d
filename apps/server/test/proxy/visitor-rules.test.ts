// Who may visit: by address, by password, as the agent says and as the operator says.
import { generateKeyPairSync, sign } from 'node:crypto'
import { once } from 'node:events'
import type { RequestListener } from 'node:http'

import type { Channel } from '@proj/mux'
import { Agent, dial, forward } from '@proj/tunnel'
import { RESET_REASONS } from '@proj/tunnel/io'
import { until } from '@proj/testkit/until'
import { exchangeRaw, type RawResponse } from '@proj/testkit/raw-http'
import { hashPassword } from '@proj/auth'
import { describe, expect, it } from 'vitest'

import { deferred, request, tunnel } from '../tunnel-fixture.ts'

const verifier = await hashPassword('pa:ss')
const ANN = { basicAuth: [{ user: 'ann', verifier }] }
const basic = (pair: string): string =>
  `Authorization: Basic ${Buffer.from(pair).toString('base64')}`
const THIS = ['127.0.0.0/8']
const ELSEWHERE = ['192.0.2.0/24']

/** A service that says what it was asked, and how often it was. */
function counting(): { http: RequestListener; seen: string[] } {
  const seen: string[] = []
  const http: RequestListener = (req, res) => {
    seen.push(`${req.url} ${JSON.stringify(req.headers)}`)
    res.end(`served ${req.url}`)
  }
  return { http, seen }
}

describe('addresses', () => {
  it.each([
    [{ allow: THIS }, 200],
    [{ allow: ELSEWHERE }, 403],
    [{ allow: [] }, 403],
    [{ deny: ELSEWHERE }, 200],
    [{ deny: THIS }, 403],
    [{ allow: THIS, deny: ['127.0.0.1'] }, 403],
  ])('that %j admits are answered by the service, others with %d', async (visitors, status) => {
    const { http, seen } = counting()
    await using path = await tunnel({ http, visitors })
    const answer = await exchangeRaw(path.port, request('GET /a'))
    expect(answer.status).toBe(status)
    expect(seen).toHaveLength(status === 200 ? 1 : 0)
    const refusal = '{"error":"address not allowed"}\n'
    expect(answer.body.toString()).toBe(status === 403 ? refusal : 'served /a')
    expect(answer.headers['adit-error']).toBe(status === 403 ? 'address_denied' : undefined)
  })

  it('are not taken from what a visitor writes', async () => {
    await using path = await tunnel({ http: counting().http, visitors: { allow: ELSEWHERE } })
    const claims = [
      'X-Forwarded-For: 192.0.2.1',
      'Forwarded: for=192.0.2.1',
      'X-Real-IP: 192.0.2.1',
    ]
    const answer = await exchangeRaw(path.port, request('GET /', ...claims))
    expect(answer.status).toBe(403)
  })

  it.each([
    ['192.0.2.1', 200],
    ['198.51.100.7, 192.0.2.1', 200],
    ['192.0.2.1, 198.51.100.7', 403],
    ['192.0.2.1:4711', 200],
    ['::ffff:192.0.2.1', 200],
    ['unknown', 403],
    ['', 403],
  ])('behind one proxy are those it wrote: of %j the last, %d', async (forwarded, status) => {
    await using path = await tunnel({
      http: counting().http,
      visitors: { allow: ELSEWHERE },
      edge: { trustedHops: 1 },
    })
    const answer = await exchangeRaw(
      path.port,
      request('GET /', ...(forwarded === '' ? [] : [`X-Forwarded-For: ${forwarded}`])),
    )
    expect(answer.status).toBe(status)
  })

  it('count for each request of a connection, and an upgrade is one', async () => {
    await using path = await tunnel({
      http: counting().http,
      visitors: { allow: ELSEWHERE },
      edge: { trustedHops: 1 },
    })
    using visitor = await path.visit()
    const statuses: number[] = []
    for (const address of ['192.0.2.1', '198.51.100.1', '192.0.2.2']) {
      await visitor.send(request('GET /', `X-Forwarded-For: ${address}`))
      statuses.push((await visitor.readResponse()).status)
    }
    const upgrade = ['Connection: Upgrade', 'Upgrade: websocket', 'X-Forwarded-For: 198.51.100.1']
    await visitor.send(request('GET /', ...upgrade))
    statuses.push((await visitor.readResponse()).status)
    expect(statuses).toEqual([200, 403, 200, 403])
  })

  it('count on the connect route', async () => {
    await using path = await tunnel({ http: counting().http, visitors: { allow: ELSEWHERE } })
    const stream = await dial('web', { url: path.proxyUrl })
    stream.resume()
    const [error] = (await once(stream, 'error')) as [Error]
    expect(error.message).toContain('reset')
    const forwarder = await exchangeRaw(path.port, request('GET /_piko/v1/tcp/web'))
    expect(forwarder.status).toBe(403)
  })
})

describe('passwords', () => {
  it('are asked for, and the answer names the endpoint', async () => {
    const { http, seen } = counting()
    await using path = await tunnel({ http, visitors: ANN })
    const answer = await exchangeRaw(path.port, request('GET /a'))
    expect(answer.status).toBe(401)
    expect(answer.headers['www-authenticate']).toBe('Basic realm="web", charset="UTF-8"')
    expect(answer.headers['adit-error']).toBe('credentials_missing')
    expect(seen).toEqual([])
  })

  it('admit a visitor with the right ones, and the service never sees them', async () => {
    const { http, seen } = counting()
    await using path = await tunnel({ http, visitors: ANN })
    const answer = await exchangeRaw(path.port, request('GET /a', basic('ann:pa:ss'), 'X-Own: 1'))
    expect(answer.body.toString()).toBe('served /a')
    expect(seen.join()).toContain('"x-own":"1"')
    expect(seen.join()).not.toMatch(/authorization|YW5u/i)
  })

  it.each(['ann:wrong', 'ann:', 'Ann:pa:ss', 'ann%3Apa:ss', 'bob:pa:ss', 'ännchen:pä'])(
    'keep %s out',
    async (pair) => {
      const { http, seen } = counting()
      await using path = await tunnel({ http, visitors: ANN })
      const answer = await exchangeRaw(path.port, request('GET /a', basic(pair)))
      expect(answer.status).toBe(401)
      expect(answer.headers['adit-error']).toBe('credentials_wrong')
      expect(seen).toEqual([])
    },
  )

  it('are those of one Authorization header: a second one is refused, however it is spelt', async () => {
    const { http, seen } = counting()
    await using path = await tunnel({ http, visitors: ANN })
    const second = 'AUTHORIZATION: Basic eDp5'
    for (const headers of [
      [basic('ann:pa:ss'), second],
      [second, basic('ann:pa:ss')],
    ]) {
      const answer = await exchangeRaw(path.port, request('GET /', ...headers))
      expect(answer.status).toBe(400)
      expect(answer.headers['adit-error']).toBe('authorization_repeated')
    }
    expect(seen).toEqual([])
  })

  it('cannot be brought in by Connection, an underscore or another header', async () => {
    const { http, seen } = counting()
    await using path = await tunnel({ http, visitors: ANN })
    const pair = Buffer.from('ann:pa:ss').toString('base64')
    for (const header of [
      `Proxy-Authorization: Basic ${pair}`,
      `X-Piko-Authorization: Basic ${pair}`,
      `Authorization_: Basic ${pair}`,
      `Cookie: authorization=Basic ${pair}`,
    ]) {
      expect((await exchangeRaw(path.port, request('GET /', header))).status).toBe(401)
    }
    const named = request('GET /', basic('ann:pa:ss'), 'Connection: Authorization')
    expect((await exchangeRaw(path.port, named)).status).toBe(200)
    expect(seen.join()).not.toMatch(/"authorization"/)
  })

  it('are checked for each of several requests that come at once', async () => {
    const { http, seen } = counting()
    await using path = await tunnel({ http, visitors: ANN })
    using visitor = await path.visit()
    const all = [
      request('GET /1', basic('ann:pa:ss')),
      request('GET /2'),
      request('GET /3', basic('ann:no')),
      request('GET /4', basic('ann:pa:ss')),
    ]
    await visitor.send(all.join(''))
    const statuses = []
    for (const _ of all) statuses.push((await visitor.readResponse()).status)
    expect(statuses).toEqual([200, 401, 401, 200])
    expect(seen.map((one) => one.split(' ')[0])).toEqual(['/1', '/4'])
  })

  it('hold a body back while they are checked, and lose none of it', async () => {
    await using path = await tunnel({
      http: (req, res) => {
        const parts: Buffer[] = []
        req.on('data', (part: Buffer) => parts.push(part))
        req.on('end', () => res.end(Buffer.concat(parts)))
      },
      visitors: ANN,
    })
    using visitor = await path.visit()
    const body = Buffer.alloc(3_000_000, 'x')
    const head = request('POST /', basic('ann:pa:ss'), `Content-Length: ${body.length}`)
    await visitor.send(Buffer.concat([Buffer.from(head), body, Buffer.from(request('GET /'))]))
    expect((await visitor.readResponse()).body.equals(body)).toBe(true)
    expect((await visitor.readResponse()).status).toBe(401)
  })

  it('refused before a body was read end the connection behind the answer', async () => {
    await using path = await tunnel({ http: counting().http, visitors: ANN })
    using visitor = await path.visit()
    await visitor.send(request('POST /', 'Content-Length: 100000') + 'x'.repeat(1000))
    const answer = await visitor.readResponse()
    expect([answer.status, answer.headers['connection']]).toEqual([401, 'close'])
    expect(await visitor.ended).toBe('fin')
  })

  it('too often wrong are answered 429, and a visitor that was admitted stays admitted', async () => {
    await using path = await tunnel({ http: counting().http, visitors: ANN })
    using visitor = await path.visit()
    await visitor.send(request('GET /', basic('ann:pa:ss')))
    expect((await visitor.readResponse()).status).toBe(200)
    // Eleven at once: ten are let to be checked, one is not.
    const guesses = await Promise.all(Array.from({ length: 11 }, () => path.visit()))
    const refused = new Promise<RawResponse>((resolve) => {
      for (const [index, guess] of guesses.entries()) {
        guess.readResponse().then(
          (answer) => void (answer.status === 429 && resolve(answer)),
          () => {},
        )
        void guess.send(request('GET /', basic(`ann:${index}`)))
      }
    })
    const answer = await refused
    expect(answer.headers['adit-error']).toBe('too_many_failures')
    expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0)
    for (const guess of guesses) guess.reset()
    await visitor.send(request('GET /', basic('ann:pa:ss')))
    expect((await visitor.readResponse()).status).toBe(200)
  })

  it('cannot be gone around by the connect route', async () => {
    await using path = await tunnel({ http: counting().http, visitors: ANN })
    const stream = await dial('web', { url: path.proxyUrl })
    stream.resume()
    await once(stream, 'error')
    const forwarder = await exchangeRaw(
      path.port,
      request('GET /_piko/v1/tcp/web', basic('ann:pa:ss')),
    )
    expect(forwarder.status).toBe(403)
  })

  it('of a visitor that leaves during the check have no effect', async () => {
    await using path = await tunnel({ http: counting().http, visitors: ANN })
    using visitor = await path.visit()
    await visitor.send(request('GET /gone', basic('ann:pa:ss')))
    visitor.reset()
    await until(() => path.server.edge.connections === 0)
    using other = await path.visit()
    await other.send(request('GET /later', basic('ann:pa:ss')))
    expect((await other.readResponse()).body.toString()).toBe('served /later')
    expect(path.server.edge.stats.inFlight).toBe(0)
  })
})

describe('tokens', () => {
  it('admit, are not forwarded, and are checked for each request', async () => {
    const { publicKey, privateKey } = generateKeyPairSync('ed25519')
    const input = ['{"alg":"EdDSA"}', '{"iss":"here"}']
      .map((part) => Buffer.from(part).toString('base64url'))
      .join('.')
    const token = `${input}.${sign(null, Buffer.from(input), privateKey).toString('base64url')}`
    const eddsaPublicKey = publicKey.export({ type: 'spki', format: 'pem' }).toString()
    const { http, seen } = counting()
    await using path = await tunnel({ http, visitors: { jwt: { eddsaPublicKey, issuer: 'here' } } })
    using visitor = await path.visit()
    const answers = []
    for (const header of [`Authorization: Bearer ${token}`, `Authorization: Bearer x.${token}`]) {
      await visitor.send(request('GET /', header))
      const { status, headers } = await visitor.readResponse()
      answers.push([status, headers['adit-error'], headers['www-authenticate']])
    }
    expect(answers).toEqual([
      [200, undefined, undefined],
      [401, 'token_invalid', 'Bearer realm="web"'],
    ])
    expect(seen).toHaveLength(1)
    expect(seen.join()).not.toMatch(/bearer/i)
  })
})

describe('a connection kept alive', () => {
  it('is checked again for each endpoint', async () => {
    await using path = await tunnel({ http: counting().http, visitors: ANN })
    const free = forward(path.agent, 'free', {
      kind: 'http',
      service: { host: path.service.host, port: path.service.port },
    })
    await free.ready()
    using visitor = await path.visit()
    const ask = async (endpoint: string, ...headers: string[]): Promise<number> => {
      const lines = ['GET / HTTP/1.1', `Host: ${endpoint}.localhost`, ...headers, '', '']
      await visitor.send(lines.join('\r\n'))
      return (await visitor.readResponse()).status
    }
    expect(await ask('free', basic('any:thing'))).toBe(200)
    expect(await ask('web')).toBe(401)
    expect(await ask('web', basic('ann:pa:ss'))).toBe(200)
    expect(await ask('free')).toBe(200)
    expect(await ask('web')).toBe(401)
  })

  it('leaves the Authorization of an endpoint without passwords alone', async () => {
    const { http, seen } = counting()
    await using path = await tunnel({ http, visitors: { allow: THIS } })
    await exchangeRaw(path.port, request('GET /', basic('own:user'), 'Authorization: again'))
    expect(seen.join()).toContain('"authorization":"Basic')
  })
})

describe('the operator', () => {
  it('has rules that hold beside those of the agent', async () => {
    const standing = [{ name: 'w*', policy: { basicAuth: [{ user: 'ann', verifier }] } }]
    await using path = await tunnel({ http: counting().http, visitors: { allow: THIS }, standing })
    expect((await exchangeRaw(path.port, request('GET /'))).status).toBe(401)
    expect((await exchangeRaw(path.port, request('GET /', basic('ann:pa:ss')))).status).toBe(200)
  })

  it('changes them for the next request, not for one that runs', async () => {
    const [asked, release] = [deferred(), deferred()]
    await using path = await tunnel({
      http: (_, res) => {
        asked.resolve()
        void release.promise.then(() => res.end('late'))
      },
    })
    using visitor = await path.visit()
    await visitor.send(request('GET /'))
    await asked.promise
    path.server.setVisitors([{ name: 'web', policy: { deny: THIS } }])
    release.resolve()
    expect((await visitor.readResponse()).body.toString()).toBe('late')
    await visitor.send(request('GET /'))
    expect((await visitor.readResponse()).status).toBe(403)
    path.server.setVisitors([])
    await visitor.send(request('GET /'))
    expect((await visitor.readResponse()).status).toBe(200)
  })

  it('applies to a request that is sent a second time: it was checked by the former rules', async () => {
    const { http, seen } = counting()
    await using path = await tunnel({ http })
    await using other = new Agent({ url: path.upstreamUrl, connections: 1 })
    const held = deferred<Channel>()
    const failing = other.listenChannels('web', { kind: 'http' }, (channel) => {
      held.resolve(channel)
      return { onData() {}, onEnd() {}, onDrain() {}, onClose() {} }
    })
    await failing.ready()
    // The agents take turns: one of two requests goes to the one that will fail.
    using first = await path.visit()
    using second = await path.visit()
    const answers = [first.readResponse(), second.readResponse()]
    await Promise.all([first.send(request('GET /')), second.send(request('GET /'))])
    const channel = await held.promise
    expect((await Promise.race(answers)).status).toBe(200)
    path.server.setVisitors([{ name: 'web', policy: { deny: THIS } }])
    channel.reset(RESET_REASONS.serviceRefused)
    const statuses = (await Promise.all(answers)).map(({ status }) => status)
    expect(new Set(statuses)).toEqual(new Set([200, 502]))
    expect(seen).toHaveLength(1)
  })

  it('is not asked by a tunnel that knows other endpoints only', async () => {
    const standing = [{ name: 'pc*', policy: { deny: THIS } }]
    await using path = await tunnel({ http: counting().http, standing })
    expect((await exchangeRaw(path.port, request('GET /'))).status).toBe(200)
  })
})
