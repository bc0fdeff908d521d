// Services whose answers break the grammar of HTTP: what a visitor gets, whether the service's connection
// carries another request, and who is told why an answer is rejected.
import type { Socket } from 'node:net'

import { RecordingLogger } from '@proj/testkit/recording-logger'
import { exchangeRaw } from '@proj/testkit/raw-http'
import {
  REJECTED_ANSWERS,
  REPAIRED_ANSWERS,
  type RepairedShape,
} from '@proj/testkit/sloppy-answers'
import { until } from '@proj/testkit/until'
import type { RejectedAnswer } from '@proj/tunnel'
import { describe, expect, it } from 'vitest'

import { deferred, request, tunnel } from '../tunnel-fixture.ts'

/** Answers each request with the bytes that are set, and ends where only that ends the answer. */
class Service {
  connections = 0
  /** Connections that the agent has ended. */
  ended = 0
  bytes = ''
  endsBody = false

  readonly take = (socket: Socket): void => {
    this.connections += 1
    socket.on('error', () => {})
    socket.on('end', () => {
      this.ended += 1
      socket.end()
    })
    socket.on('data', () => {
      socket.write(Buffer.from(this.bytes, 'latin1'))
      if (this.endsBody) socket.end()
    })
  }
}

/** Rejected answers that an agent is told of at once. */
const TOLD_AT_ONCE = 10
const CHUNKED = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'

async function writeSlowly(socket: Socket, text: string): Promise<void> {
  for (const byte of text) {
    socket.write(byte)
    await new Promise(setImmediate)
  }
}

function endsWithConnection({ bytes, name }: RepairedShape): boolean {
  return name === 'identity' || /^Content-Length:\r\n/m.test(bytes)
}

describe('an answer with one reading', () => {
  it('is passed on repaired, and its connection is used again only if it was valid', async () => {
    const service = new Service()
    await using path = await tunnel({ tcp: service.take, reuse: 'always' })
    for (const answer of REPAIRED_ANSWERS) {
      const { name, method, bytes, result } = answer
      service.bytes = bytes
      service.endsBody = endsWithConnection(answer)
      using visitor = await path.visit()
      const before = service.connections
      for (let turn = 0; turn < 2; turn++) {
        await visitor.send(request(`${method} /`))
        const { head, body, trailers } = await visitor.readResponse(method)
        const got = { name, head, body: body.toString('latin1'), trailers }
        expect(got).toEqual({ name, head: result.head, body: result.body, trailers: '' })
        // So that no connection of this shape is left for the next one.
        if (!result.isKept) {
          await until(() => service.ended === service.connections, { what: 'the end' })
        }
      }
      const opened = service.connections - before
      // A connection may be left from the shape before.
      expect({ name, isKept: opened < 2 }).toEqual({ name, isKept: result.isKept })
    }
  }, 60_000)

  it('is passed on as a valid one in pieces of a byte', async () => {
    const bytes = `HTTP/1.1  200 OK\nTransfer-Encoding: chunked, chunked\n\n5 \nhello\n0\nSet-Cookie: a=b\nX-Sum: 1\n\n`
    await using path = await tunnel({
      tcp: (socket) => {
        socket.on('error', () => {})
        socket.once('data', () => void writeSlowly(socket, bytes))
      },
    })
    const answers = [
      'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n',
    ]
    for (const [minor, answer] of answers.entries()) {
      using visitor = await path.visit()
      const sent = `GET / HTTP/1.${minor}\r\nHost: web.localhost\r\nConnection: close\r\n\r\n`
      await visitor.send(sent)
      expect((await visitor.readToEnd()).toString('latin1')).toBe(answer)
    }
  })

  it('is rejected where the agent asks for strict reading', async () => {
    const service = new Service()
    await using path = await tunnel({ tcp: service.take, strictness: 'strict' })
    for (const answer of REPAIRED_ANSWERS) {
      const { method, bytes } = answer
      service.bytes = bytes
      service.endsBody = true
      const { status } = await exchangeRaw(path.port, request(`${method} /`), method)
      expect(status === 502).toBe(!answer.result.isKept)
    }
  })
})

describe('an answer with two readings', () => {
  it('is rejected, and both sides know why', async () => {
    const logger = new RecordingLogger()
    const service = new Service()
    await using path = await tunnel({ tcp: service.take, logger })
    const told: RejectedAnswer[] = []
    path.listener.on('malformed', (rejected) => told.push(rejected))
    for (const [at, { name, bytes, fault }] of REJECTED_ANSWERS.entries()) {
      service.bytes = bytes
      const { status, headers, body } = await exchangeRaw(path.port, request(`GET /`))
      const code = `http_response_${fault.toLowerCase()}`
      expect({ name, status, code: headers['adit-error'] }).toEqual({ name, status: 502, code })
      const { error } = JSON.parse(body.toString()) as { error: string }
      expect(error).toMatch(/^response rejected: .+ \(.+\); to mend the service: .+/)
      const line = logger.find('answer of the service rejected')[at]
      expect(line).toMatchObject({
        level: 'info',
        fields: { endpoint: 'web', code, reason: error },
      })
      if (at >= TOLD_AT_ONCE) continue
      await until(() => told.length > at, { what: 'the agent to be told' })
      const requestId = line?.fields['requestId']
      expect(told[at]).toEqual({ endpoint: 'web', requestId, code, message: error })
    }
  })

  it('breaks off where the fault is in the body, and both sides know why', async () => {
    const logger = new RecordingLogger()
    const begun = deferred()
    await using path = await tunnel({
      tcp: (socket) => {
        socket.on('error', () => {})
        socket.once('data', () => {
          socket.write(`${CHUNKED}5\r\nhello\r\n`)
          void begun.promise.then(() => socket.write('+5\r\nworld\r\n0\r\n\r\n'))
        })
      },
      logger,
    })
    const told: RejectedAnswer[] = []
    path.listener.on('malformed', (rejected) => told.push(rejected))
    using visitor = await path.visit()
    await visitor.send(request('GET /'))
    await visitor.readTo('hello\r\n')
    begun.resolve()
    expect((await visitor.readToEnd()).toString()).toBe('')
    await until(() => told.length > 0, { what: 'the agent to be told' })
    const code = 'http_response_chunk_size_invalid'
    expect(told).toMatchObject([{ code }])
    expect(logger.find('answer of the service rejected')).toMatchObject([{ fields: { code } }])
  })

  it('is told to the agent of a service that is always wrong ten times, and not each time', async () => {
    const logger = new RecordingLogger()
    const service = new Service()
    service.bytes = 'HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n'
    await using path = await tunnel({ tcp: service.take, logger })
    let told = 0
    path.listener.on('malformed', () => (told += 1))
    const began = performance.now()
    using visitor = await path.visit()
    for (let turn = 0; turn < 50; turn++) {
      await visitor.send(request('GET /'))
      expect(await visitor.readResponse()).toMatchObject({ status: 502 })
    }
    const more = (performance.now() - began) / 1000
    await until(() => told >= 10, { what: 'the agent to be told' })
    expect(told).toBeLessThanOrEqual(10 + Math.ceil(more))
    expect(logger.find('answer of the service rejected')).toHaveLength(50)
  })
})
