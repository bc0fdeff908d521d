import type { Socket } from 'node:net'

import { until } from '@proj/testkit/until'
import { describe, expect, it } from 'vitest'

import { deferred, request, tunnel } from '../tunnel-fixture.ts'

/** A service that answers each request head it sees with the next of these bytes. */
function scripted(...answers: string[]): (socket: Socket) => void {
  return (socket) => {
    let seen = ''
    let next = 0
    socket.on('error', () => {})
    socket.on('data', (chunk) => {
      seen += chunk.toString('latin1')
      for (let end = seen.indexOf('\r\n\r\n'); end >= 0; end = seen.indexOf('\r\n\r\n')) {
        seen = seen.slice(end + 4)
        socket.write(answers[next++ % answers.length] ?? '', 'latin1')
      }
    })
  }
}

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

describe('requests one after another', () => {
  it('keeps the visitor, the stream and the service connection alive', async () => {
    let connections = 0
    await using path = await tunnel({
      http: (req, res) => res.end(`${req.method} ${req.url}`),
    })
    path.serviceServer.on('connection', () => (connections += 1))
    using visitor = await path.visit()
    for (let n = 0; n < 5; n++) {
      await visitor.send(request(`GET /${n}?a=b%20c`))
      const answer = await visitor.readResponse()
      expect(answer.status).toBe(200)
      expect(answer.body.toString()).toBe(`GET /${n}?a=b%20c`)
    }
    expect(connections).toBe(1)
  })

  it('answers pipelined requests in order, and a third that came in pieces', async () => {
    await using path = await tunnel({ http: (req, res) => res.end(`answer to ${req.url}`) })
    using visitor = await path.visit()
    const third = request('GET /3')
    await visitor.send(request('GET /1') + request('GET /2') + third.slice(0, 7))
    expect((await visitor.readResponse()).body.toString()).toBe('answer to /1')
    expect((await visitor.readResponse()).body.toString()).toBe('answer to /2')
    await visitor.send(third.slice(7))
    expect((await visitor.readResponse()).body.toString()).toBe('answer to /3')
  })

  it('answers a pipeline of a thousand requests for endpoints without an upstream', async () => {
    await using path = await tunnel({ http: (_, res) => res.end() })
    using visitor = await path.visit()
    const one = 'GET / HTTP/1.1\r\nHost: nobody.localhost\r\n\r\n'
    await visitor.send(one.repeat(1000))
    for (let n = 0; n < 1000; n++) expect((await visitor.readResponse()).status).toBe(503)
  })

  it('serves 50 visitors at once over one session', async () => {
    await using path = await tunnel({ http: (req, res) => res.end(req.url) })
    await Promise.all(
      Array.from({ length: 50 }, async (_, n) => {
        using visitor = await path.visit()
        await visitor.send(request(`GET /visitor-${n}`))
        expect((await visitor.readResponse()).body.toString()).toBe(`/visitor-${n}`)
      }),
    )
  })

  it('serves a burst of 600 new visitors though an agent acknowledges 256 streams at most', async () => {
    await using path = await tunnel({ http: (req, res) => void req.pipe(res) })
    const statuses = await Promise.all(
      Array.from({ length: 600 }, async (_, n) => {
        using visitor = await path.visit(50_000)
        const body = `visitor ${n}`
        await visitor.send(`${request('POST /', `Content-Length: ${body.length}`)}${body}`)
        const answer = await visitor.readResponse()
        return answer.body.toString() === body ? answer.status : answer.body.toString()
      }),
    )
    expect(new Set(statuses)).toEqual(new Set([200]))
  }, 60_000)
})

describe('bodies', () => {
  it('carries a chunked request with trailers and a chunked answer with trailers', async () => {
    await using path = await tunnel({
      http: (req, res) => {
        const chunks: Buffer[] = []
        req.on('data', (chunk: Buffer) => chunks.push(chunk))
        req.on('end', () => {
          res.writeHead(200, { trailer: 'x-sum' })
          res.write(Buffer.concat(chunks))
          res.addTrailers({ 'x-sum': String(req.trailers['x-check']) })
          res.end()
        })
      },
    })
    using visitor = await path.visit()
    await visitor.send(request('POST /', 'Transfer-Encoding: chunked', 'Trailer: x-check'))
    await visitor.send('4\r\nabcd\r\n')
    await visitor.send('3;ext=1\r\nefg\r\n0\r\nx-check: 7\r\n\r\n')
    const answer = await visitor.readResponse()
    expect(answer.body.toString()).toBe('abcdefg')
    expect(answer.trailers).toBe('x-sum: 7\r\n')
    await visitor.send(request('GET /'))
    expect((await visitor.readResponse()).status).toBe(200)
  })

  it('carries a body of known length in whatever pieces it comes', async () => {
    await using path = await tunnel({ http: (req, res) => void req.pipe(res) })
    using visitor = await path.visit()
    await visitor.send(request('PUT /', 'Content-Length: 10'))
    for (const byte of '0123456789') await visitor.send(byte)
    expect((await visitor.readResponse()).body.toString()).toBe('0123456789')
  })

  it('knows that HEAD, 204 and 304 have no body whatever their headers say', async () => {
    await using path = await tunnel({
      tcp: scripted(
        'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n',
        'HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\n\r\n',
        'HTTP/1.1 204 No Content\r\n\r\n',
        OK,
      ),
    })
    using visitor = await path.visit()
    await visitor.send(request('HEAD /'))
    const head = await visitor.readResponse('HEAD')
    expect(head.headers['content-length']).toBe('1000')
    await visitor.send(request('GET /'))
    expect((await visitor.readResponse()).status).toBe(304)
    await visitor.send(request('GET /'))
    expect((await visitor.readResponse()).status).toBe(204)
    await visitor.send(request('GET /'))
    expect((await visitor.readResponse()).body.toString()).toBe('ok')
  })

  it('ends a body of unknown length with the connection of an HTTP/1.0 visitor', async () => {
    await using path = await tunnel({
      tcp: (socket) => {
        socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\n\r\nall there is'))
      },
    })
    using visitor = await path.visit()
    await visitor.send(request('GET /').replace('HTTP/1.1', 'HTTP/1.0'))
    const answer = await visitor.readResponse()
    expect(answer.headers['connection']).toBe('close')
    expect(answer.body.toString()).toBe('all there is')
    expect(await visitor.ended).toBe('fin')
  })

  it('takes the chunks off for an HTTP/1.0 visitor', async () => {
    await using path = await tunnel({
      tcp: scripted(
        'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n',
      ),
    })
    using visitor = await path.visit()
    await visitor.send('GET / HTTP/1.0\r\nHost: web.localhost\r\n\r\n')
    const answer = await visitor.readResponse()
    expect(answer.headers['transfer-encoding']).toBeUndefined()
    expect(answer.body.toString()).toBe('abcde')
  })
})

describe('interim and early answers', () => {
  it('passes 100 Continue on and the body after it', async () => {
    await using path = await tunnel({ http: (req, res) => void req.pipe(res) })
    using visitor = await path.visit()
    await visitor.send(request('POST /', 'Expect: 100-continue', 'Content-Length: 4'))
    expect((await visitor.readResponse()).status).toBe(100)
    await visitor.send('body')
    expect((await visitor.readResponse()).body.toString()).toBe('body')
  })

  it('passes 103 Early Hints on, several of them', async () => {
    await using path = await tunnel({
      tcp: scripted(
        `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </b>\r\n\r\n${OK}`,
      ),
    })
    using visitor = await path.visit()
    await visitor.send(request('GET /'))
    expect((await visitor.readResponse()).headers['link']).toBe('</a>')
    expect((await visitor.readResponse()).headers['link']).toBe('</b>')
    expect((await visitor.readResponse()).body.toString()).toBe('ok')
  })

  it('delivers an answer given during the upload, and the rest of the upload', async () => {
    let uploaded = 0
    await using path = await tunnel({
      http: (req, res) => {
        res.end('early')
        req.on('data', (chunk: Buffer) => (uploaded += chunk.length))
      },
    })
    using visitor = await path.visit()
    await visitor.send(request('POST /', 'Content-Length: 20'))
    expect((await visitor.readResponse()).body.toString()).toBe('early')
    await visitor.send('x'.repeat(20))
    await until(() => uploaded === 20)
    await visitor.send(request('GET /'))
    expect((await visitor.readResponse()).body.toString()).toBe('early')
  })

  it('delivers an answer given during the upload by a service that then closes the connection', async () => {
    await using path = await tunnel({
      tcp: (socket) => {
        socket.on('error', () => {})
        socket.once('data', () =>
          socket.end('HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig'),
        )
      },
    })
    using visitor = await path.visit()
    await visitor.send(request('POST /', 'Content-Length: 1000000'))
    await visitor.send('x'.repeat(100_000))
    const answer = await visitor.readResponse()
    expect(answer.status).toBe(413)
    expect(answer.body.toString()).toBe('big')
    expect(await visitor.ended).toBe('fin')
  })

  it('forwards no request after an upload whose response ended the connection', async () => {
    const seen: string[] = []
    await using path = await tunnel({
      http: (req, res) => {
        seen.push(req.url ?? '')
        res.end('early')
        req.resume()
      },
    })
    using visitor = await path.visit()
    await visitor.send(request('POST /upload', 'Content-Length: 4', 'Connection: close'))
    expect((await visitor.readResponse()).body.toString()).toBe('early')
    await visitor.send(`body${request('GET /after')}`)
    expect(await visitor.ended).toBe('fin')
    using other = await path.visit()
    await other.send(request('GET /other'))
    expect((await other.readResponse()).status).toBe(200)
    expect(seen).toEqual(['/upload', '/other'])
  })
})

describe('upgrades', () => {
  for (const protocol of ['websocket', 'WebSocket', 'SPDY/3.1', 'tcp', 'my-own']) {
    it(`switches to ${protocol}, both ways, with half-close`, async () => {
      await using path = await tunnel({
        tcp: (socket) => {
          socket.once('data', (head) => {
            expect(head.toString()).toContain(`Upgrade: ${protocol}\r\n`)
            socket.write(
              `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\n\r\nhello`,
            )
            socket.on('data', (chunk) => socket.write(`<${chunk.toString()}>`))
            socket.on('end', () => socket.end('bye'))
          })
        },
      })
      using visitor = await path.visit()
      await visitor.send(request('GET /', 'connection: UPGRADE', `upgrade: ${protocol}`))
      const answer = await visitor.readResponse()
      expect(answer.status).toBe(101)
      expect(answer.headers['upgrade']).toBe(protocol)
      expect((await visitor.read(5)).toString()).toBe('hello')
      await visitor.send('one')
      expect((await visitor.read(5)).toString()).toBe('<one>')
      visitor.end()
      expect((await visitor.readToEnd()).toString()).toBe('bye')
      expect(await visitor.ended).toBe('fin')
    })
  }

  it('goes on as HTTP when the service declines', async () => {
    await using path = await tunnel({ tcp: scripted(OK) })
    using visitor = await path.visit()
    for (let n = 0; n < 2; n++) {
      await visitor.send(request('GET /', 'Connection: Upgrade', 'Upgrade: websocket'))
      expect((await visitor.readResponse()).body.toString()).toBe('ok')
    }
  })

  it('passes on what the visitor sent before the switch', async () => {
    await using path = await tunnel({
      tcp: (socket) => {
        let seen = ''
        socket.on('data', (chunk) => {
          const first = seen === ''
          seen += chunk.toString('latin1')
          if (first) {
            setImmediate(() =>
              socket.write('HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n'),
            )
          }
          if (seen.endsWith('early')) socket.write('got it')
        })
      },
    })
    using visitor = await path.visit()
    await visitor.send(`${request('GET /', 'Connection: Upgrade', 'Upgrade: x')}early`)
    expect((await visitor.readResponse()).status).toBe(101)
    expect((await visitor.read(6)).toString()).toBe('got it')
  })
})

describe('aborts', () => {
  it('shows the service that the visitor went away', async () => {
    const gone = deferred<string>()
    await using path = await tunnel({
      http: (_, res) => {
        res.write('first')
        res.on('close', () => gone.resolve(res.writableFinished ? 'finished' : 'aborted'))
      },
    })
    const visitor = await path.visit()
    await visitor.send(request('GET /'))
    await visitor.readTo('first')
    visitor.reset()
    expect(await gone.promise).toBe('aborted')
  })

  it('shows the service that the visitor went away during an upload', async () => {
    const arrived = deferred()
    const aborted = deferred()
    await using path = await tunnel({
      http: (req) => {
        req.on('error', () => {})
        req.on('data', () => arrived.resolve())
        req.on('aborted', () => aborted.resolve())
      },
    })
    const visitor = await path.visit()
    await visitor.send(`${request('POST /', 'Content-Length: 100')}some`)
    await arrived.promise // before that there is nothing the service could lose
    visitor.socket.destroy()
    await aborted.promise
    expect(path.server.edge.stats.inFlight).toBe(0)
  })

  const broken: [name: string, head: string][] = [
    ['known length', 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart'],
    ['chunked', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n'],
  ]
  for (const [name, head] of broken) {
    for (const how of ['fin', 'reset'] as const) {
      it(`breaks off an answer of ${name} that the service ends by ${how}`, async () => {
        await using path = await tunnel({
          tcp: (socket) => {
            socket.once('data', () => {
              socket.write(head, () => (how === 'fin' ? socket.end() : socket.resetAndDestroy()))
            })
          },
        })
        using visitor = await path.visit()
        await visitor.send(request('GET /'))
        await visitor.readTo('\r\n\r\n')
        await visitor.ended
        await expect(visitor.read(1000)).rejects.toThrow(/fin|reset/)
        expect(visitor.socket.destroyed || visitor.socket.readableEnded).toBe(true)
      })
    }
  }

  it.each([
    ['HTTP/1.0', '', 'reset'],
    ['HTTP/1.0', 'Transfer-Encoding: chunked\r\n', 'reset'],
    ['HTTP/1.1', '', 'fin'], // the last chunk is missing
  ])(
    'ends an %s answer of unknown length (%j) that was reset: %s',
    async (version, line, ending) => {
      const seen = deferred()
      await using path = await tunnel({
        tcp: (socket) => {
          socket.once('data', () => {
            socket.write(`HTTP/1.1 200 OK\r\n${line}\r\n4\r\npart`)
            void seen.promise.then(() => socket.resetAndDestroy())
          })
        },
      })
      using visitor = await path.visit()
      await visitor.send(request('GET /').replace('HTTP/1.1', version))
      await visitor.readTo('part')
      seen.resolve()
      expect(await visitor.ended).toBe(ending)
    },
  )

  it('answers 502 and goes on when the service closes the connection without a response', async () => {
    await using path = await tunnel({
      tcp: (socket) => void socket.once('data', () => socket.end()),
    })
    using visitor = await path.visit()
    await visitor.send(request('GET /'))
    const answer = await visitor.readResponse()
    expect(answer.status).toBe(502)
    expect(answer.headers['adit-error']).toBe('service_closed')
  })

  it('repeats a request on a new stream when the kept-alive service connection had ended', async () => {
    const sockets: Socket[] = []
    await using path = await tunnel({
      tcp: (socket) => {
        sockets.push(socket)
        scripted(OK)(socket)
      },
    })
    using visitor = await path.visit()
    await visitor.send(request('GET /'))
    await visitor.readResponse()
    // The service hangs up the moment the next request arrives: the race of every kept connection.
    sockets[0]?.removeAllListeners('data')
    sockets[0]?.once('data', () => sockets[0]?.resetAndDestroy())
    await visitor.send(request('GET /'))
    expect((await visitor.readResponse()).body.toString()).toBe('ok')
    expect(sockets).toHaveLength(2)
  })
})
