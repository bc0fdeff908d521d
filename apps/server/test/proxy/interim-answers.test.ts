// Interim answers (1xx) without end: they are bounded, and are no answer.
import { connect, type Socket } from 'node:net'

import { until } from '@proj/testkit/until'
import { describe, expect, it } from 'vitest'

import type { ProxyOptions } from '../../src/proxy/proxy-options.ts'
import { request, tunnel } from '../tunnel-fixture.ts'

const FINAL = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

/** A service that sends `count` interim answers with `bytes` of a header, then the final one. */
const early =
  (count: number, bytes: number) =>
  (socket: Socket): void => {
    const one = `HTTP/1.1 103 Early Hints\r\nLink: ${'x'.repeat(bytes)}\r\n\r\n`
    socket.on('error', () => {})
    socket.once('data', () => socket.write(one.repeat(count) + FINAL))
  }

/** The statuses that a visitor gets. */
async function statuses(tcp: (socket: Socket) => void, edge: ProxyOptions = {}) {
  await using path = await tunnel({ tcp, edge })
  using visitor = await path.visit()
  await visitor.send(request('GET /'))
  const all: number[] = []
  let code: string | undefined
  for (let status = 100; status < 200; all.push(status)) {
    const answer = await visitor.readResponse()
    status = answer.status
    code = answer.headers['adit-error']
  }
  return { interim: all.length - 1, final: all.at(-1), code }
}

describe('interim answers', () => {
  it('pass up to their limits', async () => {
    expect(await statuses(early(100, 100))).toMatchObject({ interim: 100, final: 200 })
  })

  it('are refused above maxInterimResponses', async () => {
    expect(await statuses(early(101, 100))).toMatchObject({ final: 502, code: 'interim_limit' })
    const edge = { maxInterimResponses: 2 }
    expect(await statuses(early(3, 1), edge)).toEqual({
      interim: 2,
      final: 502,
      code: 'interim_limit',
    })
  })

  it('are refused above maxInterimBytes', async () => {
    const answer = await statuses(early(90, 8_000))
    expect(answer).toMatchObject({ final: 502, code: 'interim_limit' })
    expect(answer.interim).toBeLessThanOrEqual(33)
  })

  it('do not keep the time to the first byte from passing', async () => {
    const tcp = (socket: Socket): void => {
      socket.on('error', () => {})
      socket.once('data', () => {
        const timer = setInterval(() => socket.write('HTTP/1.1 102 Processing\r\n\r\n'), 50)
        socket.on('close', () => clearInterval(timer))
      })
    }
    const edge = { firstByteTimeoutMs: 500, maxInterimResponses: 100_000 }
    expect(await statuses(tcp, edge)).toMatchObject({ final: 504, code: 'first_byte_timeout' })
  })

  it('wait for a visitor that does not read', async () => {
    let sentBytes = 0
    const one = `HTTP/1.1 103 Early Hints\r\nLink: ${'x'.repeat(8_000)}\r\n\r\n`.repeat(8)
    const tcp = (socket: Socket): void => {
      socket.on('error', () => {})
      const fill = (): void => {
        sentBytes += one.length
        if (sentBytes < 1e9 && socket.write(one)) setImmediate(fill)
      }
      socket.on('drain', fill)
      socket.once('data', fill)
    }
    const edge = { maxInterimResponses: Infinity, maxInterimBytes: Infinity }
    await using path = await tunnel({ tcp, edge: { ...edge, firstByteTimeoutMs: 2_000 } })
    const silent = connect(path.port, '127.0.0.1').pause()
    silent.on('error', () => {})
    silent.write(request('GET /'))
    // The time to the first byte passes, whatever the service has sent.
    await until(() => path.server.edge.stats.inFlight === 1)
    await until(() => path.server.edge.stats.inFlight === 0)
    // Kernel buffers of three connections and the windows in between.
    expect(sentBytes).toBeLessThan(48 * 1024 * 1024)
    silent.destroy()
  }, 60_000)
})
