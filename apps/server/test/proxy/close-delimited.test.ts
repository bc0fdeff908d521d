// Answers whose end is that of the service's connection: a visitor can tell whether all of it came.
import type { Socket } from 'node:net'

import { connectRaw, exchangeRaw } from '@proj/testkit/raw-http'
import { describe, expect, it } from 'vitest'

import { type Fixture, request, tunnel } from '../tunnel-fixture.ts'

const LONG = 'x'.repeat(100_000)

/** Answers each connection once, without a length, and hands the socket to `then`. */
async function service(body: string, then: (socket: Socket) => void): Promise<Fixture> {
  return await tunnel({
    tcp: (socket) => {
      socket.on('error', () => {})
      socket.once('data', () => {
        socket.write(`HTTP/1.1 200 OK\r\nA: b\r\n\r\n${body}`, () => then(socket))
      })
    },
  })
}

const end = (socket: Socket): void => void socket.end()

describe('an answer without a length', () => {
  it.each(['', 'body', LONG])('is chunked for HTTP/1.1, and the connection stays', async (body) => {
    await using path = await service(body, end)
    using visitor = await path.visit()
    for (let round = 0; round < 2; round++) {
      await visitor.send(request('GET /'))
      const answer = await visitor.readResponse()
      expect(answer.headers).toMatchObject({ a: 'b', 'transfer-encoding': 'chunked' })
      expect(answer.body.toString()).toBe(body)
    }
    await visitor.send(request('GET /', 'Connection: close'))
    expect((await visitor.readResponse()).body.toString()).toBe(body)
    expect((await visitor.readToEnd()).length).toBe(0)
  })

  it('ends with the connection for HTTP/1.0, and has no body after HEAD', async () => {
    await using path = await service(LONG, end)
    using visitor = await path.visit()
    await visitor.send(request('GET /').replace('HTTP/1.1', 'HTTP/1.0'))
    const answer = await visitor.readResponse()
    expect(answer.headers['transfer-encoding']).toBe(undefined)
    expect(answer.body.toString()).toBe(LONG)
    const { head } = await exchangeRaw(path.port, request('HEAD /', 'Connection: close'), 'HEAD')
    expect(head).not.toContain('chunked')
  })

  it('that comes before the end of the request is whole', async () => {
    await using path = await service('too large', end)
    using visitor = await path.visit()
    await visitor.send(`${request('POST /', 'Content-Length: 10')}12345`)
    expect((await visitor.readResponse()).body.toString()).toBe('too large')
  })

  it.each([
    ['service', (socket: Socket) => void socket.resetAndDestroy()],
    ['server', (_: Socket, path: Fixture) => path.server.destroy()],
  ])('has no last chunk when the %s breaks off', async (_, breakOff) => {
    let path: Fixture | undefined
    await using started = await service('part', (socket) => {
      // What was sent has arrived.
      void began.then(() => path !== undefined && breakOff(socket, path))
    })
    path = started
    using visitor = await connectRaw(started.port)
    const began = visitor.readTo('part')
    await visitor.send(request('GET /'))
    expect(await began).toContain('Transfer-Encoding: chunked\r\n\r\n4\r\npart')
    expect((await visitor.readToEnd()).toString()).toBe('\r\n')
  })
})
