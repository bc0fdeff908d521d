import { connectRaw, exchangeRaw } from '@proj/testkit/raw-http'
import { describe, expect, it } from 'vitest'

import { deferred, request, tunnel } from '../tunnel-fixture.ts'

const HOST = 'Host: web.localhost'
const lines = (...all: string[]): string => [...all, '', ''].join('\r\n')

/** Each would be read in two ways by two parsers, or by none. */
const REFUSED: readonly [name: string, head: string, status?: number][] = [
  [
    'both Content-Length and Transfer-Encoding',
    lines('POST / HTTP/1.1', HOST, 'Content-Length: 3', 'Transfer-Encoding: chunked'),
  ],
  [
    'two equal Content-Lengths',
    lines('POST / HTTP/1.1', HOST, 'Content-Length: 3', 'Content-Length: 3'),
  ],
  [
    'two different Content-Lengths',
    lines('POST / HTTP/1.1', HOST, 'Content-Length: 3', 'Content-Length: 4'),
  ],
  ['a list as Content-Length', lines('POST / HTTP/1.1', HOST, 'Content-Length: 3, 3')],
  ['a signed Content-Length', lines('POST / HTTP/1.1', HOST, 'Content-Length: +3')],
  ['a hexadecimal Content-Length', lines('POST / HTTP/1.1', HOST, 'Content-Length: 0x3')],
  ['an empty Content-Length', lines('POST / HTTP/1.1', HOST, 'Content-Length:')],
  ['chunked twice', lines('POST / HTTP/1.1', HOST, 'Transfer-Encoding: chunked, chunked')],
  [
    'chunked before another coding',
    lines('POST / HTTP/1.1', HOST, 'Transfer-Encoding: chunked, gzip'),
  ],
  [
    'Transfer-Encoding that is not chunked',
    lines('POST / HTTP/1.1', HOST, 'Transfer-Encoding: identity'),
  ],
  ['Transfer-Encoding on HTTP/1.0', lines('POST / HTTP/1.0', HOST, 'Transfer-Encoding: chunked')],
  ['a bare LF', `GET / HTTP/1.1\n${HOST}\r\n\r\n`],
  ['a bare CR', `GET / HTTP/1.1\r\n${HOST}\rX: y\r\n\r\n`],
  ['a folded header', lines('GET / HTTP/1.1', HOST, 'X-A: b', ' c')],
  ['a space before the colon', lines('GET / HTTP/1.1', HOST, 'X-A : b')],
  ['no Host', lines('GET / HTTP/1.1', 'X-A: b')],
  ['two Hosts', lines('GET / HTTP/1.1', HOST, HOST)],
  ['a malformed Host', lines('GET / HTTP/1.1', 'Host: web.localhost/path')],
  ['absolute-form that disagrees with Host', lines('GET http://other.localhost/ HTTP/1.1', HOST)],
  ['a NUL in a value', lines('GET / HTTP/1.1', HOST, 'X-A: b\0c')],
  ['a control byte in a value', lines('GET / HTTP/1.1', HOST, 'X-A: b\x01c')],
  ['a control byte in the target', lines('GET /\x7f HTTP/1.1', HOST)],
  ['an unknown version', lines('GET / HTTP/2.0', HOST), 505],
  ['a head above the limit', lines('GET / HTTP/1.1', HOST, `X-A: ${'b'.repeat(40_000)}`), 431],
]

describe('refused heads', () => {
  for (const [name, head, status = 400] of REFUSED) {
    it(`answers ${status} to ${name} and closes`, async () => {
      let reached = false
      await using path = await tunnel({
        http: (_, res) => {
          reached = true
          res.end()
        },
      })
      using visitor = await path.visit()
      await visitor.send(head)
      const answer = await visitor.readResponse()
      expect(answer.headers['adit-error']).toMatch(/^http_request_/)
      expect(answer.status).toBe(status)
      expect(answer.headers['connection']).toBe('close')
      expect(JSON.parse(answer.body.toString())).toHaveProperty('error')
      expect(await visitor.ended).toBe('fin')
      expect(reached).toBe(false)
    })
  }

  it('breaks off an upload whose chunks are malformed, and never passes its end', async () => {
    let ended = false
    const [received, closed] = [deferred(), deferred()]
    await using path = await tunnel({
      http: (req) => {
        req.on('error', () => {})
        req.on('data', () => received.resolve())
        req.on('end', () => (ended = true))
        req.on('close', () => closed.resolve())
      },
    })
    using visitor = await path.visit()
    await visitor.send(`${request('POST /', 'Transfer-Encoding: chunked')}3\r\nabc\r\n`)
    await received.promise
    await visitor.send('zz\r\n')
    const answer = await visitor.readResponse()
    expect(answer.status).toBe(400)
    await closed.promise
    expect(ended).toBe(false)
  })

  it('answers 408 to a head that takes too long', async () => {
    await using path = await tunnel({ http: (_, res) => res.end(), edge: { headTimeoutMs: 100 } })
    using visitor = await path.visit()
    await visitor.send('GET / HTTP/1.1\r\nHo')
    const answer = await visitor.readResponse()
    expect(answer.status).toBe(408)
    expect(answer.headers['adit-error']).toBe('head_timeout')
    expect(await visitor.ended).toBe('fin')
  })

  it('closes a connection on which nothing is asked', async () => {
    await using path = await tunnel({
      http: (_, res) => res.end(),
      edge: { keepAliveTimeoutMs: 100 },
    })
    using visitor = await path.visit()
    expect((await visitor.readToEnd()).length).toBe(0)
  })

  it.each([{ maxConnections: 1 }, { maxConnectionsPerSource: 1 }])(
    'answers 503 above %j, while the other visitor is busy',
    async (edge) => {
      await using path = await tunnel({ http: (_, res) => res.write('begun'), edge })
      using first = await path.visit()
      await first.send(request('GET /'))
      await first.readTo('begun')
      using second = await connectRaw(path.port)
      await second.send(request('GET /'))
      expect((await second.readResponse()).status).toBe(503)
      // Its request is unread: the socket must end all the same, or every refused visitor keeps a descriptor.
      await second.ended
    },
  )

  it.each([{ maxConnections: 1 }, { maxConnectionsPerSource: 1 }])(
    'above %j drops the oldest idle visitor',
    async (edge) => {
      await using path = await tunnel({ http: (_, res) => res.end(), edge })
      using first = await path.visit()
      await first.send(request('GET /'))
      await first.readResponse()
      using second = await path.visit()
      await second.send(request('GET /'))
      expect((await second.readResponse()).status).toBe(200)
      await first.ended
    },
  )
})

describe('error responses of the server itself', () => {
  it('answers 400 without an endpoint in header or host', async () => {
    await using path = await tunnel({ http: (_, res) => res.end() })
    const answer = await exchangeRaw(path.port, lines('GET / HTTP/1.1', 'Host: 127.0.0.1:8000'))
    expect(answer.status).toBe(400)
    expect(answer.body.toString()).toBe('{"error":"missing endpoint id"}\n')
    expect(answer.headers['adit-error']).toBe('endpoint_missing')
  })

  it('answers 503 for an endpoint without an agent, and 502 where it is named as with Piko', async () => {
    await using path = await tunnel({ http: (_, res) => res.end() })
    const ask = async (method: string, ...headers: string[]): Promise<unknown[]> => {
      const { port } = path
      const {
        status,
        body,
        headers: answer,
      } = await exchangeRaw(port, lines(`${method} / HTTP/1.1`, 'Content-Length: 0', ...headers))
      return [status, body.toString(), answer['adit-error'], answer['retry-after']]
    }
    const text = '{"error":"no available upstreams"}\n'
    for (const method of ['GET', 'POST']) {
      expect(await ask(method, 'Host: x.localhost')).toEqual([503, text, 'no_upstream', '1'])
      const named = await ask(method, 'Host: web.localhost', 'X-Piko-Endpoint: x')
      expect(named).toEqual([502, text, 'no_upstream', undefined])
    }
  })

  it('answers 502 at once while the service is down, and serves when it is back', async () => {
    await using path = await tunnel({ http: (_, res) => res.end('up') })
    const { port } = path.service
    await path.service.close()
    const down = await exchangeRaw(path.port, request('POST /', 'Content-Length: 0'))
    expect(down.status).toBe(502)
    expect(down.body.toString()).toBe('{"error":"upstream unreachable"}\n')
    expect(down.headers['adit-error']).toBe('service_refused')
    path.serviceServer.listen(port, '127.0.0.1')
    const up = await exchangeRaw(path.port, request('GET /', 'Connection: close'))
    expect(up.body.toString()).toBe('up')
    path.serviceServer.close()
  })

  it('answers 504 when the service is silent, and counts only silence', async () => {
    await using path = await tunnel({
      http: (req, res) => {
        if (req.url === '/slow-upload') req.on('end', () => res.end('done')).resume()
      },
      edge: { firstByteTimeoutMs: 200 },
    })
    using visitor = await path.visit()
    await visitor.send(request('GET /silent'))
    const answer = await visitor.readResponse()
    expect(answer.status).toBe(504)
    expect(answer.body.toString()).toBe(
      '{"error":"upstream timeout: the service did not answer within proxy.first_byte_timeout"}\n',
    )
    expect(answer.headers['adit-error']).toBe('first_byte_timeout')
  })

  it('answers 502 to a response it cannot read', async () => {
    await using path = await tunnel({
      tcp: (socket) => {
        socket.on('error', () => {})
        socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\nX\r\n\r\n'))
      },
    })
    const answer = await exchangeRaw(path.port, request('GET /'))
    expect(answer.status).toBe(502)
    expect(answer.headers['adit-error']).toMatch(/^http_response_/)
  })

  it('breaks off an answer that stands still for too long', async () => {
    await using path = await tunnel({
      http: (_, res) => void res.write('begun'),
      edge: { idleTimeoutMs: 100 },
    })
    using visitor = await path.visit()
    await visitor.send(request('GET /'))
    await visitor.readTo('begun\r\n')
    await expect(visitor.read(1)).rejects.toThrow(/fin|reset/)
  })

  it('sends no body with its answer to HEAD', async () => {
    await using path = await tunnel({ http: (_, res) => res.end() })
    using visitor = await path.visit()
    await visitor.send(lines('HEAD / HTTP/1.1', 'Host: nobody.localhost'))
    expect((await visitor.readResponse('HEAD')).status).toBe(503)
    await visitor.send(request('GET /'))
    expect((await visitor.readResponse()).status).toBe(200)
  })
})
