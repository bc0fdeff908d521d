// A plain request through a proxy that wants an answer to its 407.
import { once } from 'node:events'
import * as http from 'node:http'
import { text } from 'node:stream/consumers'

import { listening, type Listening } from '@proj/testkit/listening'
import { until } from '@proj/testkit/until'
import { describe, expect, it, onTestFinished } from 'vitest'

import { createAgent, isDialError, type ProxyChallenge } from '../../src/index.ts'

const THREE_AS_HEX = '7468726565'

const errorOf = async (request: http.ClientRequest): Promise<Error> => {
  const [error] = (await once(request, 'error')) as [Error]
  return error
}

describe('with an answer to the 407 of a plain request', () => {
  const ANSWER = `Basic ${Buffer.from('a:b').toString('base64')}`

  /** A proxy that wants the answer, with the heads and bodies that it got. */
  async function asking(
    length = 4,
  ): Promise<Listening & { readonly got: string[]; readonly open: () => number }> {
    const got: string[] = []
    const server = http.createServer((incoming, response) => {
      void text(incoming).then((sent) => {
        const authorization = incoming.headers['proxy-authorization'] ?? '-'
        got.push(`${incoming.method} ${incoming.url} ${authorization} ${sent}`)
        if (authorization === ANSWER) {
          response.end('welcome')
          return
        }
        response.writeHead(407, {
          'proxy-authenticate': 'Basic realm="x"',
          'content-length': length,
        })
        response.write('nope')
        if (length === 4) response.end()
      })
    })
    let open = 0
    server.on('connection', (socket) => {
      open += 1
      socket.on('close', () => (open -= 1))
    })
    const started = await listening(server)
    onTestFinished(() => started.close())
    return { ...started, got, open: () => open }
  }
  const asked: ProxyChallenge[] = []
  const proxyAuthorize = (challenge: ProxyChallenge): string => {
    asked.push(challenge)
    return ANSWER
  }

  it.each([
    ['GET', [], ''],
    ['DELETE', [], ''],
    ['POST', ['one'], 'one'],
    ['POST', ['one ', Buffer.from('two ')], 'one two three'],
  ] as const)('sends %s with %j once more', async (method, parts, sent) => {
    const proxy = await asking()
    asked.length = 0
    const agent = createAgent({
      proxy: `http://127.0.0.1:${proxy.port}`,
      proxyAuthorize,
      keepAlive: true,
    })
    const events: string[] = []
    const request = http.request('http://server.test/x', { agent, method, headers: { 'x-y': 'z' } })
    request.on('close', () => events.push('close')).on('response', () => events.push('response'))
    for (const part of parts) request.write(part)
    request.end(parts.length > 1 ? THREE_AS_HEX : undefined, 'hex')
    const [response] = (await once(request, 'response')) as [http.IncomingMessage]
    expect(await text(response)).toBe('welcome')
    await until(() => events.includes('close'))
    expect(events).toEqual(['response', 'close'])
    expect(proxy.got).toEqual([
      `${method} http://server.test/x - ${sent}`,
      `${method} http://server.test/x ${ANSWER} ${sent}`,
    ])
    expect(asked).toMatchObject([
      { method, target: 'http://server.test/x', round: 1, schemes: ['basic'] },
    ])
  })

  it('asks once, and fails with the next 407', async () => {
    const proxy = await asking()
    const agent = createAgent({
      proxy: `http://127.0.0.1:${proxy.port}`,
      proxyAuthorize: () => 'Basic eDp5',
    })
    const error = await errorOf(http.get('http://server.test/', { agent }))
    expect(isDialError(error) && error.code).toBe('DIAL_PROXY_AUTH_FAILED')
    expect(proxy.got).toHaveLength(2)
  })

  it('does not repeat a body of more than 64 KiB', async () => {
    const proxy = await asking()
    const agent = createAgent({ proxy: `http://127.0.0.1:${proxy.port}`, proxyAuthorize })
    const request = http.request('http://server.test/', { agent, method: 'POST' })
    request.end(Buffer.alloc(65_537))
    const error = await errorOf(request)
    expect(isDialError(error) && error.code).toBe('DIAL_PROXY_AUTH_REQUIRED')
    expect(proxy.got).toHaveLength(1)
  })

  it('does not wait for the end of the first response, and closes its connection', async () => {
    const proxy = await asking(1_000_000)
    const agent = createAgent({ proxy: `http://127.0.0.1:${proxy.port}`, proxyAuthorize })
    const request = http.get('http://server.test/', { agent })
    const [response] = (await once(request, 'response')) as [http.IncomingMessage]
    expect(await text(response)).toBe('welcome')
    await until(() => proxy.open() === 0)
  })

  it('is destroyed while the answer is made, and times out with its own timeout', async () => {
    const proxy = await asking()
    let signalled = 0
    const agent = createAgent({
      proxy: `http://127.0.0.1:${proxy.port}`,
      proxyAuthorize: () => {
        signalled += 1
        return new Promise(() => {})
      },
      timeouts: { proxyMs: 50 },
    })
    const late = await errorOf(http.get('http://server.test/', { agent }))
    expect(isDialError(late) && late.code).toBe('DIAL_PROXY_TIMEOUT')
    const patient = createAgent({
      proxy: `http://127.0.0.1:${proxy.port}`,
      proxyAuthorize: async () => {
        signalled += 1
        request.destroy(new Error('enough'))
        return await new Promise<string>(() => {})
      },
    })
    const request = http.get('http://server.test/', { agent: patient })
    expect((await errorOf(request)).message).toBe('enough')
    expect(signalled).toBe(2)
  })

  it('is destroyed without an error after the second response, as every request', async () => {
    const server = http.createServer((incoming, response) => {
      if (incoming.headers['proxy-authorization'] === ANSWER) response.write('begins')
      else response.writeHead(407, { 'proxy-authenticate': 'Basic realm="x"' }).end()
    })
    const proxy = await listening(server)
    onTestFinished(() => proxy.close())
    const agent = createAgent({ proxy: `http://127.0.0.1:${proxy.port}`, proxyAuthorize })
    const request = http.get('http://server.test/', { agent })
    const errors: Error[] = []
    request.on('error', (error) => errors.push(error))
    const [response] = (await once(request, 'response')) as [http.IncomingMessage]
    response.on('error', () => {})
    request.destroy()
    await once(request, 'close')
    expect(errors).toEqual([])
  })
})

describe('with Expect: 100-continue', () => {
  const HEADERS = [
    ['an object', { Expect: '100-continue', 'X-Y': 'z', 'Content-Length': '4' }],
    [
      'a list',
      ['Host', 'server.test', 'Expect', '100-continue', 'X-Y', 'z', 'Content-Length', '4'],
    ],
  ] as const

  it.each(HEADERS)(
    'sends the head in absolute form, and the body after 100: %s',
    async (_, headers) => {
      const got: unknown[] = []
      const server = http.createServer()
      server.on(
        'checkContinue',
        (incoming: http.IncomingMessage, response: http.ServerResponse) => {
          got.push(incoming.url, incoming.headers['x-y'], incoming.headers['proxy-authorization'])
          response.writeContinue()
          void text(incoming).then((body) => response.end(`got ${body}`))
        },
      )
      const proxy = await listening(server)
      onTestFinished(() => proxy.close())
      const agent = createAgent({ proxy: `http://a:b@127.0.0.1:${proxy.port}` })
      const request = http.request('http://server.test/x', {
        agent,
        method: 'POST',
        headers,
      })
      request.on('continue', () => request.end('body'))
      const [response] = (await once(request, 'response')) as [http.IncomingMessage]
      expect(await text(response)).toBe('got body')
      expect(got).toEqual([
        'http://server.test/x',
        'z',
        `Basic ${Buffer.from('a:b').toString('base64')}`,
      ])
    },
  )

  it('fails with the 407 that comes instead of 100', async () => {
    const server = http.createServer()
    server.on('checkContinue', (_incoming: unknown, response: http.ServerResponse) => {
      response.writeHead(407, { 'proxy-authenticate': 'Basic realm="x"' }).end()
    })
    const proxy = await listening(server)
    onTestFinished(() => proxy.close())
    const agent = createAgent({
      proxy: `http://127.0.0.1:${proxy.port}`,
      proxyAuthorize: () => 'Basic eDp5',
    })
    const headers = { Expect: '100-continue' }
    const request = http.request('http://server.test/', { agent, method: 'POST', headers })
    const error = await errorOf(request)
    expect(isDialError(error) && error.code).toBe('DIAL_PROXY_AUTH_REQUIRED')
  })
})
