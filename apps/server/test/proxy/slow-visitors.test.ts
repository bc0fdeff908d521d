// Visitors that send or take less than `minRate`, and those that only seem to.
import { connect, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

import { connectRaw, type RawHttp } from '@proj/testkit/raw-http'
import { until } from '@proj/testkit/until'
import { describe, expect, it, onTestFinished } from 'vitest'

import { deferred, type Fixture, type FixtureOptions, request, tunnel } from '../tunnel-fixture.ts'

const PIECE = Buffer.alloc(64 * 1024)

/** More than all buffers between a visitor and a service that does not read. */
const LARGE_BYTES = 64 * 1024 * 1024

/** Times that pass quickly; bodies that are not slow are far above the rate. */
const GRACE = { minRateGraceMs: 200 }

/** A path that is closed with the test. */
async function path(options: FixtureOptions): Promise<Fixture> {
  const one = await tunnel(options)
  onTestFinished(async () => await one[Symbol.asyncDispose]())
  return one
}

async function visit(one: Fixture): Promise<RawHttp> {
  const visitor = await one.visit()
  onTestFinished(() => visitor[Symbol.dispose]())
  return visitor
}

/** A service that answers `/endless` without an end, `/late` when it is told to, and else with the body it got. */
function echo(late: Promise<void> = Promise.resolve()): NonNullable<FixtureOptions['http']> {
  return (req, res) => {
    req.on('error', () => {})
    res.on('error', () => {})
    if (req.url === '/late') {
      void late.then(() => req.pipe(res))
      return
    }
    if (req.url !== '/endless') {
      req.pipe(res)
      return
    }
    const fill = (): void => {
      while (!res.destroyed && res.write(PIECE)) continue
    }
    res.on('drain', fill)
    fill()
  }
}

/** A visitor that does not read its answer. */
function unread({ port }: Fixture, text: string): Socket {
  const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true })
  onTestFinished(() => void socket.destroy())
  socket.on('error', () => {})
  socket.pause()
  socket.write(text)
  return socket
}

/** Waits until a number has grown and stands still. */
async function stalled(count: () => number): Promise<number> {
  let before = 0
  let looks = 0
  await until(
    () => {
      const now = count()
      looks = now > 0 && now === before ? looks + 1 : 0
      before = now
      return looks >= 20
    },
    { timeoutMs: 60_000, pollMs: 10 },
  )
  return before
}

/** Waits until the grace has passed so many times, as other visitors see it. */
async function gracePassed(one: Fixture, times: number): Promise<void> {
  for (let time = 0; time < times; time++) {
    using other = await connectRaw(one.port)
    const { stats } = one.server.edge
    const before = stats.tooSlowIn
    await other.send(`${request('POST /', 'Content-Length: 10')}half`)
    await other.ended
    expect(stats.tooSlowIn).toBe(before + 1)
  }
}

it('a head has one time for all of it, however it comes', async () => {
  const one = await path({ http: echo(), edge: { headTimeoutMs: 300 } })
  const visitor = await visit(one)
  const head = request('GET /', `x: ${'x'.repeat(10_000)}`)
  let isOver = false
  let sent = 0
  void visitor.ended.then(() => (isOver = true))
  for (; sent < head.length && !isOver; sent++) {
    await visitor.send(head.slice(sent, sent + 1)).catch(() => {})
    await delay(20)
  }
  // 15 in the time, fewer on a busy machine.
  expect(sent).toBeLessThan(60)
  expect((await visitor.readResponse()).headers['adit-error']).toBe('head_timeout')
})

describe('a body that stands still', () => {
  it.each([
    ['within its length', request('POST /', 'Content-Length: 10'), 'half'],
    ['within a chunk', request('POST /', 'Transfer-Encoding: chunked'), 'a\r\nhalf'],
    ['within the size of a chunk', request('POST /', 'Transfer-Encoding: chunked'), '1'],
    ['within its end', request('POST /', 'Transfer-Encoding: chunked'), '0\r\nx: '],
  ])('%s ends with 408, and its stream with it', async (_, head, body) => {
    const logged: object[] = []
    const info = (about: object): void => void logged.push(about)
    let closed = 0
    const one = await path({
      http: (req) =>
        void req
          .on('error', () => {})
          .resume()
          .on('close', () => (closed += 1)),
      edge: GRACE,
      logger: { debug() {}, info, warn() {}, error() {} },
    })
    const visitor = await visit(one)
    await visitor.send(head + body)
    const { status, headers } = await visitor.readResponse()
    expect([status, headers['adit-error'], headers['connection']]).toEqual([
      408,
      'body_too_slow',
      'close',
    ])
    await until(() => closed === 1)
    expect(one.server.edge.stats).toMatchObject({ tooSlowIn: 1, tooSlowOut: 0, inFlight: 0 })
    const about = { code: 'body_too_slow', setting: 'proxy.min_rate', endpoint: 'web' }
    expect(logged).toContainEqual(expect.objectContaining(about))
  })

  it('ends the connection when its answer has begun', async () => {
    const one = await path({ http: echo(), edge: GRACE })
    const visitor = await visit(one)
    await visitor.send(`${request('POST /', 'Content-Length: 10')}half`)
    await visitor.readTo('half')
    await visitor.ended
    expect(one.server.edge.stats).toMatchObject({ tooSlowIn: 1, inFlight: 0 })
  })
})

describe('a body that is not slow', () => {
  it('may pause between two chunks', async () => {
    const one = await path({ http: echo(), edge: GRACE })
    const visitor = await visit(one)
    await visitor.send(`${request('POST /', 'Transfer-Encoding: chunked')}1\r\na\r\n`)
    await gracePassed(one, 2)
    await visitor.send('1\r\nb\r\n')
    await gracePassed(one, 2)
    await visitor.send('0\r\n\r\n')
    expect((await visitor.readResponse()).body.toString()).toBe('ab')
  })

  it('may wait for a service that does not read', async () => {
    const answer = deferred()
    const one = await path({
      http: (req, res) => {
        req.on('error', () => {})
        if (req.headers['content-length'] !== '10') void answer.promise.then(() => res.end())
      },
      // What fits into the buffers is no credit.
      edge: { minRate: 1e9, minRateGraceMs: 1_000 },
    })
    const visitor = await visit(one)
    await visitor.send(request('POST /', `Content-Length: ${LARGE_BYTES}`))
    visitor.send(Buffer.alloc(LARGE_BYTES)).catch(() => {})
    await gracePassed(one, 2)
    answer.resolve()
    expect((await visitor.readResponse()).status).toBe(200)
  }, 60_000)

  it('may wait for 100 Continue', async () => {
    const goOn = deferred()
    const one = await path({
      tcp: (socket) => {
        socket.on('error', () => {})
        socket.once('data', (head) => {
          if (!head.includes('100-continue')) return
          void goOn.promise.then(() => socket.write('HTTP/1.1 100 Continue\r\n\r\n'))
          socket.on('data', () => socket.write('HTTP/1.1 204 No Content\r\n\r\n'))
        })
      },
      edge: GRACE,
    })
    const visitor = await visit(one)
    await visitor.send(request('POST /', 'Expect: 100-continue', 'Content-Length: 4'))
    await gracePassed(one, 2)
    goOn.resolve()
    expect(await visitor.readTo('\r\n\r\n')).toContain('100 Continue')
    await visitor.send('body')
    expect((await visitor.readResponse()).status).toBe(204)
  })
})

describe('an answer that is not taken', () => {
  it('ends with a reset, and its stream with it', async () => {
    let closed = 0
    const endless = echo()
    const one = await path({
      http: (req, res) => {
        res.on('close', () => (closed += 1))
        endless(req, res)
      },
      edge: GRACE,
    })
    unread(one, request('GET /endless'))
    await until(() => closed === 1)
    await until(() => one.server.edge.connections === 0)
    expect(one.server.edge.stats).toMatchObject({ tooSlowIn: 0, tooSlowOut: 1, inFlight: 0 })
  }, 60_000)

  it('ends without a rate too, after idleTimeoutMs', async () => {
    const one = await path({ http: echo(), edge: { minRate: 0, idleTimeoutMs: 300 } })
    unread(one, request('GET /endless'))
    await stalled(() => one.server.edge.stats.bytesOut)
    await until(() => one.server.edge.connections === 0)
    expect(one.server.edge.stats.tooSlowOut).toBe(1)
  }, 60_000)
})

describe('an answer that is not slow', () => {
  it('may take as long as its service wants', async () => {
    const answer = deferred()
    const one = await path({ http: echo(answer.promise), edge: GRACE })
    const visitor = await visit(one)
    await visitor.send(`${request('POST /late', 'Content-Length: 2')}ok`)
    await gracePassed(one, 3)
    answer.resolve()
    expect((await visitor.readResponse()).body.toString()).toBe('ok')
  })

  it('may come piece by piece', async () => {
    const one = await path({ http: echo(), edge: GRACE })
    const visitor = await visit(one)
    await visitor.send(`${request('POST /', 'Transfer-Encoding: chunked')}1\r\na\r\n`)
    await visitor.readTo('a\r\n')
    await gracePassed(one, 3)
    await visitor.send('1\r\nb\r\n0\r\n\r\n')
    expect(await visitor.readTo('0\r\n\r\n')).toBe('1\r\nb\r\n0\r\n\r\n')
  })

  it('is sent whole behind the last request of its connection', async () => {
    const edge = { lingerTimeoutMs: 50, keepAliveTimeoutMs: 100 }
    const one = await path({ http: echo(), edge })
    unread(one, request('GET /endless'))
    const room = await stalled(() => one.server.edge.stats.bytesOut)
    // So much that the server has all of it, and the kernel has not.
    const body = Buffer.alloc(room - 128 * 1024, 'x')
    const headers = [`Content-Length: ${body.length}`, 'Connection: close']
    const late = unread(one, request('POST /', ...headers))
    late.write(body)
    await stalled(() => one.server.edge.stats.bytesOut)
    for (let time = 0; time < 4; time++) {
      using other = await connectRaw(one.port)
      await other.ended
    }
    let received = 0
    late.on('data', (chunk) => (received += chunk.length)).resume()
    await until(() => late.readableEnded || late.destroyed)
    expect(received).toBeGreaterThan(body.length)
  }, 60_000)
})
