// The event loop of the server is blocked for real: surplus requests are answered at once.
import type { ServerResponse } from 'node:http'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'

import { until } from '@proj/testkit/until'
import { expect, it, onTestFinished } from 'vitest'

import { request, tunnel } from '../tunnel-fixture.ts'

/** More than eight times the two that are always served. */
const VISITORS = 17

/** Blocks the event loop for `blockMs` of every turn, until the test ends or `stop` is called. */
function block(blockMs: number): () => void {
  let isOver = false
  const turn = (): void => {
    if (isOver) return
    for (const end = performance.now() + blockMs; performance.now() < end;);
    setTimeout(turn, 1)
  }
  turn()
  const stop = (): void => void (isOver = true)
  onTestFinished(stop)
  return stop
}

/** VISITORS whose requests wait for their answers. */
async function waitingVisitors() {
  const waiting: ServerResponse[] = []
  const asked: unknown[] = []
  const path = await tunnel({
    http: ({ url }, response) => {
      asked.push(url)
      waiting.push(response)
    },
    edge: { minRequests: 2, maxLoopDelayMs: 20 },
  })
  const visitors = await Promise.all(
    Array.from({ length: VISITORS }, async () => await path.visit(20_000)),
  )
  onTestFinished(() => visitors.forEach((visitor) => visitor[Symbol.dispose]()))
  for (const visitor of visitors) await visitor.send(request('GET /'))
  await until(() => waiting.length === VISITORS)
  return { path, waiting, asked, visitors }
}

it('answers 503 with Retry-After while the loop is late, and serves again afterwards', async () => {
  const { visitors, waiting, ...started } = await waitingVisitors()
  await using path = started.path
  const { admission, stats } = path.server.edge
  expect(stats.inFlight).toBe(VISITORS)
  const stop = block(60)
  await until(() => admission.isLimiting)
  using surplus = await path.visit(20_000)
  for (let again = 0; again < 2; again++) {
    await surplus.send(request('GET /'))
    const answer = await surplus.readResponse()
    expect(answer.status).toBe(503)
    expect(answer.headers).toMatchObject({ 'adit-error': 'overloaded', 'retry-after': '1' })
    expect(answer.headers['connection']).toBe('keep-alive')
  }
  expect(admission.rejected).toBe(2)
  // Those that run are not touched, and their places are free for others.
  for (const response of waiting.splice(0)) response.end('ok')
  for (const visitor of visitors) expect((await visitor.readResponse()).status).toBe(200)
  await surplus.send(request('GET /'))
  await until(() => waiting.length === 1)
  waiting[0]?.end('ok')
  expect((await surplus.readResponse()).status).toBe(200)
  stop()
}, 60_000)

it('does not serve a visitor that gave up before its request was read', async () => {
  const { asked, waiting, ...started } = await waitingVisitors()
  await using path = started.path
  const { admission, stats } = path.server.edge
  const stop = block(60)
  await until(() => admission.isLimiting)
  for (const response of waiting.splice(0)) response.end('ok')
  await until(() => stats.awaiting === 0)
  expect(admission.isLimiting).toBe(true)
  // There is room for one more. Request and end come in one turn of the loop, which is blocked.
  const gone = connect({ port: path.port, host: '127.0.0.1', allowHalfOpen: true })
  gone.end(request('GET /gone'))
  expect(await text(gone)).toMatch(/^HTTP\/1\.1 503 [^]*adit-error: overloaded/i)
  expect([stats.givenUp, admission.rejected]).toEqual([1, 1])
  using here = await path.visit(20_000)
  await here.send(request('GET /here'))
  await until(() => waiting.length === 1)
  waiting[0]?.end('ok')
  expect((await here.readResponse()).status).toBe(200)
  expect(asked).toContain('/here')
  expect(asked).not.toContain('/gone')
  stop()
}, 60_000)

it('counts a request only while it waits for an answer, and one that its visitor gives up', async () => {
  const waiting: ServerResponse[] = []
  await using path = await tunnel({ http: (_, response) => void waiting.push(response) })
  const { stats } = path.server.edge
  const counts = () => [stats.inFlight, stats.awaiting, stats.givenUp]
  const visitor = await path.visit(20_000)
  onTestFinished(() => visitor[Symbol.dispose]())
  await visitor.send(request('POST /', 'Content-Length: 4'))
  await until(() => waiting.length === 1)
  await visitor.send('ab')
  expect(counts()).toEqual([1, 0, 0])
  await visitor.send('cd')
  await until(() => stats.awaiting === 1)
  waiting[0]?.write('part of a body')
  await until(() => stats.awaiting === 0)
  expect(counts()).toEqual([1, 0, 0])
  visitor[Symbol.dispose]()
  await until(() => stats.inFlight === 0)
  expect(counts()).toEqual([0, 0, 0])
  const gone = await path.visit(20_000)
  await gone.send(request('GET /'))
  await until(() => waiting.length === 2)
  expect(counts()).toEqual([1, 1, 0])
  gone[Symbol.dispose]()
  await until(() => stats.inFlight === 0)
  expect(counts()).toEqual([0, 0, 1])
  // Answered before its end, and rejected: neither is counted any more.
  const early = await path.visit(20_000)
  onTestFinished(() => early[Symbol.dispose]())
  await early.send(request('POST /', 'Content-Length: 4'))
  await until(() => waiting.length === 3)
  waiting[2]?.end('early')
  expect((await early.readResponse()).status).toBe(200)
  await early.send('late')
  await until(() => stats.inFlight === 0)
  expect(counts()).toEqual([0, 0, 1])
}, 60_000)
