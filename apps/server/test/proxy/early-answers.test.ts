// Answers that come before the end of the request, requests whose end is not clear, visitors that half-close.
import type { Socket } from 'node:net'

import { until } from '@proj/testkit/until'
import { describe, expect, it } from 'vitest'

import { deferred, request, tunnel } from '../tunnel-fixture.ts'

const LARGE_BYTES = 64 * 1024 * 1024

/** A service that answers as soon as it sees a head, and perhaps closes. */
function rejecting(status: string, closes: boolean, ...headers: string[]) {
  const text = [`HTTP/1.1 ${status}`, 'Content-Length: 2', ...headers, '', 'no'].join('\r\n')
  return (socket: Socket): void => {
    socket.on('error', () => {})
    socket.once('data', () => {
      socket.write(text)
      if (closes) socket.end()
    })
  }
}

describe('an answer that rejects a request before it is complete', () => {
  it.each([
    ['a service that then closes', true],
    ['a service that stays', false],
  ])('ends the connection when the visitor waits for 100 Continue: %s', async (_, closes) => {
    await using path = await tunnel({ tcp: rejecting('417 Expectation Failed', closes) })
    using visitor = await path.visit()
    await visitor.send(request('POST /', 'Expect: 100-continue', `Content-Length: ${LARGE_BYTES}`))
    const answer = await visitor.readResponse()
    expect([answer.status, answer.headers['connection']]).toEqual([417, 'close'])
    expect(await visitor.ended).toBe('fin')
  })

  it.each(['413 Content Too Large', '401 Unauthorized'])(
    '%s reaches a visitor that sends everything before it reads',
    async (status) => {
      const sockets: Socket[] = []
      await using path = await tunnel({
        tcp: (socket) => {
          sockets.push(socket)
          rejecting(status, false)(socket)
          socket.once('data', () => socket.pause())
        },
      })
      // A socket that is not read does not notice its end.
      using _sockets = { [Symbol.dispose]: () => sockets.forEach((socket) => socket.destroy()) }
      using visitor = await path.visit()
      await visitor.send(request('POST /', `Content-Length: ${LARGE_BYTES}`))
      await visitor.send(Buffer.alloc(LARGE_BYTES))
      const answer = await visitor.readResponse()
      expect(answer.statusLine).toContain(status)
      expect(answer.headers['connection']).toBe('close')
      expect(await visitor.ended).toBe('fin')
    },
    30_000,
  )

  it('leaves the connection when little of the request is left, though the service closes', async () => {
    await using path = await tunnel({
      tcp: rejecting('401 Unauthorized', true, 'Connection: close'),
    })
    using visitor = await path.visit()
    for (let round = 0; round < 3; round++) {
      await visitor.send(request('POST /', 'Content-Length: 1000'))
      const answer = await visitor.readResponse()
      expect([answer.status, answer.headers['connection']]).toEqual([401, undefined])
      await visitor.send('x'.repeat(1000))
    }
  })

  it('is read for longer than lingerTimeoutMs while the visitor goes on sending, not for ever', async () => {
    await using path = await tunnel({
      tcp: rejecting('413 Content Too Large', true),
      edge: { lingerTimeoutMs: 1_000 },
    })
    using visitor = await path.visit()
    await visitor.send(request('POST /', `Content-Length: ${LARGE_BYTES}`))
    const since = performance.now()
    await until(async () => {
      await visitor.send('x')
      return performance.now() - since > 2_000
    })
    expect((await visitor.readResponse()).status).toBe(413)
    await until(
      async () =>
        await visitor.send('x').then(
          () => false,
          () => true,
        ),
    )
  })
})

describe('a visitor that half-closes', () => {
  it('gets the answer to its complete request', async () => {
    let answer = deferred()
    await using path = await tunnel({
      http: (req, res) => void answer.promise.then(() => req.pipe(res)),
    })
    for (const [head, body] of [
      [request('GET /'), ''],
      [request('POST /', 'Content-Length: 4'), 'body'],
    ] as const) {
      answer = deferred()
      using visitor = await path.visit()
      visitor.socket.end(head + body)
      await until(() => path.server.edge.stats.inFlight === 1)
      answer.resolve()
      expect((await visitor.readResponse()).body.toString()).toBe(body)
      expect(await visitor.ended).toBe('fin')
      await until(() => path.server.edge.connections === 0)
    }
  })

  it('gets the answers to all requests that it sent', async () => {
    await using path = await tunnel({ http: (req, res) => res.end(req.url) })
    using visitor = await path.visit()
    visitor.socket.end(request('GET /1') + request('GET /2') + request('GET /3'))
    for (const url of ['/1', '/2', '/3']) {
      expect((await visitor.readResponse()).body.toString()).toBe(url)
    }
    expect(await visitor.ended).toBe('fin')
  })

  it('in the middle of its request is gone', async () => {
    const [begun, gone] = [deferred(), deferred()]
    await using path = await tunnel({
      http: (req) => {
        begun.resolve()
        req.on('error', () => {}).on('close', () => gone.resolve())
        req.resume()
      },
    })
    using visitor = await path.visit()
    await visitor.send(`${request('POST /', 'Content-Length: 4')}bo`)
    await begun.promise
    visitor.end()
    await gone.promise
    expect((await visitor.readToEnd()).length).toBe(0)
  })

  it.each(['before', 'within'])(
    'and closes %s the answer is gone',
    async (when) => {
      const [begun, gone] = [deferred(), deferred<boolean>()]
      await using path = await tunnel({
        http: (_, res) => {
          if (when === 'within') res.write('begun')
          begun.resolve()
          res.on('close', () => gone.resolve(res.writableFinished))
        },
      })
      using visitor = await path.visit()
      await visitor.send(request('GET /'))
      await begun.promise
      if (when === 'within') await visitor.readTo('begun')
      // Everything was read, so that this is a FIN and no reset.
      visitor.socket.destroy()
      expect(await gone.promise).toBe(false)
    },
    30_000,
  )
})

describe.each(['POST', 'PUT', 'PATCH'])(
  'a %s without Content-Length and Transfer-Encoding',
  (method) => {
    it('that has a body is refused', async () => {
      let requests = 0
      await using path = await tunnel({
        http: (_, res) => {
          requests += 1
          res.end()
        },
      })
      using visitor = await path.visit()
      await visitor.send(request(`${method} /`) + request('GET /hidden'))
      const { status, headers } = await visitor.readResponse()
      expect([status, headers['adit-error'], headers['connection']]).toEqual([
        411,
        'length_required',
        'close',
      ])
      expect(await visitor.ended).toBe('fin')
      expect(requests).toBe(0)
    })

    it('has none, and nothing behind it is a request', async () => {
      const asked: (string | undefined)[] = []
      const answer = deferred()
      await using path = await tunnel({
        http: (req, res) => {
          asked.push(req.url)
          void answer.promise.then(() => res.end('ok'))
        },
      })
      using visitor = await path.visit()
      await visitor.send(request(`${method} /asked`))
      await until(() => asked.length === 1)
      await visitor.send(request('GET /hidden'))
      answer.resolve()
      const { status, headers } = await visitor.readResponse()
      expect([status, headers['connection']]).toEqual([200, 'close'])
      expect(await visitor.ended).toBe('fin')
      expect(asked).toEqual(['/asked'])
    })
  },
)
