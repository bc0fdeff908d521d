// A connection that a bandwidth holds back moves nothing, and no clock takes that for a fault of the visitor or the
// service. Each test has a second connection, which came later and is not held back: when its clock has ended it, the
// one of the first connection has looked as well.
import type { Socket } from 'node:net'

import type { RawHttp } from '@proj/testkit/raw-http'
import { until } from '@proj/testkit/until'
import { type EndpointLimits, forward } from '@proj/tunnel'
import { Traffic } from '@proj/tunnel/io'
import type { Endpoint } from '@proj/tunnel/server'
import { expect, onTestFinished, test } from 'vitest'

import { LimitLease } from '../src/endpoint-limits/endpoint-limiter.ts'
import { Deadlines, watchIdle } from '../src/proxy/deadlines.ts'
import type { ProxyOptions } from '../src/proxy/proxy-options.ts'
import type { Server } from '../src/server.ts'
import { tunnel } from './tunnel-fixture.ts'

const LIMIT = { amount: 8 * 1024, periodMs: 1000 }
const BODY = 'x'.repeat(10)
/** What `LIMIT` carries in some seconds. */
const FIRST = 'x'.repeat(32 * 1024)
const REST = 'y'.repeat(10)
const SHORT_MS = 80

/** Uses a bandwidth up, for ten seconds or until `release`. */
function useUp({ edge }: Server, endpoint: Endpoint, way: 'upload' | 'download'): () => void {
  const lease = edge.limiter.take(endpoint, '127.9.9.9')
  if (!(lease instanceof LimitLease)) throw new Error('no limits')
  const { [way]: bandwidth } = lease
  lease.release()
  if (bandwidth === undefined) throw new Error('no bandwidth')
  bandwidth.take(1 << 30)
  return () => edge.limiter.configure([])
}

const at = (name: string): Endpoint => ({ tenant: '', name })

const head = (line: string, host: string, ...headers: string[]): string =>
  [`${line} HTTP/1.1`, `Host: ${host}.localhost`, ...headers, '', ''].join('\r\n')

/** The endpoints `held`, with a bandwidth, and `web`; the service says when it has read a request. */
async function both(way: 'upload' | 'download', edge: ProxyOptions, limits: EndpointLimits = {}) {
  const asked: Socket[] = []
  /** What the services have read, of all connections. */
  const read = { text: '' }
  const path = await tunnel({
    tcp: (socket) => {
      socket.on('error', () => {})
      socket.once('data', () => asked.push(socket))
      socket.on('data', (chunk) => (read.text += chunk.toString('latin1')))
    },
    edge,
    server: { limits: [{ name: 'held', limits: { ...limits, [way]: LIMIT } }] },
    hop: false,
  })
  const { service } = path
  const traffic = new Traffic()
  await forward(path.agent, 'held', { kind: 'http', service, traffic }).ready()
  await forward(path.agent, 'first', { kind: 'http', service }).ready()
  /** Asks without waiting for the service: the answer may come before it has been dialed. */
  const ask = async (first: string): Promise<RawHttp> => {
    const visitor = await path.visit()
    await visitor.send(first)
    return visitor
  }
  const visit = async (first: string): Promise<{ visitor: RawHttp; service: Socket }> => {
    const before = asked.length
    const visitor = await ask(first)
    const service = await until(() => asked[before])
    return { visitor, service }
  }
  return {
    path,
    traffic,
    ask,
    visit,
    asked,
    read,
    [Symbol.asyncDispose]: () => path[Symbol.asyncDispose](),
  }
}

test('an answer that is held back is not late for the time to the first byte', async () => {
  await using all = await both('download', { firstByteTimeoutMs: SHORT_MS })
  const release = useUp(all.path.server, at('held'), 'download')
  // It comes before the request is complete: until then the service has as long as the visitor.
  const held = await all.visit(`${head('POST /', 'held', 'Content-Length: 2')}a`)
  held.service.write(`HTTP/1.1 200 OK\r\nContent-Length: ${BODY.length}\r\n\r\n${BODY}`)
  await until(() => all.traffic.bytesFromSocket > BODY.length)
  // An answer in the same session comes behind it.
  const { visitor, service } = await all.visit(`${head('POST /', 'first', 'Content-Length: 2')}a`)
  service.end('HTTP/1.1 204 No Content\r\n\r\n')
  expect((await visitor.readResponse()).status).toBe(204)
  await held.visitor.send('b')
  using other = await all.ask(head('GET /', 'web'))
  expect((await other.readResponse()).headers['adit-error']).toBe('first_byte_timeout')
  release()
  expect((await held.visitor.readResponse()).body.toString()).toBe(BODY)
})

test.for([
  ['idle', { idleTimeoutMs: SHORT_MS, minRateGraceMs: 60_000 }, 'body_timeout'],
  ['too slow', { minRateGraceMs: SHORT_MS, minRate: 1 << 30 }, 'body_too_slow'],
] as const)('a body that is held back is not %s', async ([, edge, code]) => {
  await using all = await both('upload', edge)
  const post = ['POST /', `Content-Length: ${FIRST.length + REST.length}`] as const
  // With its first bytes the bandwidth is used up.
  const held = await all.visit(head(post[0], 'held', post[1]) + FIRST)
  const release = useUp(all.path.server, at('held'), 'upload')
  await held.visitor.send(REST)
  using other = await all.ask(head(post[0], 'web', post[1]) + BODY)
  expect((await other.readResponse()).headers['adit-error']).toBe(code)
  release()
  await until(() => all.read.text.includes(REST))
  held.service.end('HTTP/1.1 204 No Content\r\n\r\n')
  expect((await held.visitor.readResponse()).status).toBe(204)
})

test('a request waits for its turn, and is answered 429 when it has none in time', async () => {
  await using all = await both('upload', { idleTimeoutMs: SHORT_MS }, { concurrent: 1 })
  const { path } = all
  useUp(path.server, at('held'), 'upload')
  using bodyless = await path.visit()
  using gone = await path.visit()
  // One after another: each leaves its place to the next.
  await gone.send(`${head('POST /', 'held', 'Content-Length: 2')}a`)
  expect((await gone.readResponse()).headers['adit-error']).toBe('endpoint_bandwidth')
  const release = useUp(path.server, at('held'), 'upload')
  await bodyless.send(head('GET /', 'held'))
  const late = await bodyless.readResponse()
  expect([late.status, late.headers['retry-after']]).toEqual([429, '1'])
  expect(late.headers['adit-error']).toBe('endpoint_bandwidth')
  // The connection goes on.
  release()
  await bodyless.send(head('GET /', 'held'))
  const service = await until(() => all.asked.at(-1))
  service.end('HTTP/1.1 204 No Content\r\n\r\n')
  expect((await bodyless.readResponse()).status).toBe(204)
})

test('the time of a request goes on while it waits for its turn', async () => {
  await using all = await both('upload', {}, { maxTimeMs: SHORT_MS })
  useUp(all.path.server, at('held'), 'upload')
  using late = await all.ask(head('GET /', 'held'))
  const { status, headers } = await late.readResponse()
  expect([status, headers['adit-error']]).toEqual([504, 'time_limit'])
  expect(all.asked).toEqual([])
})

test('a connection of a public port, or an upgraded one, that is held back is not idle', async () => {
  const deadlines = new Deadlines(1)
  onTestFinished(() => deadlines.close())
  const ended: string[] = []
  const splice = (name: string, isHeldBack: boolean) => ({
    bytesFromSocket: 0,
    bytesToSocket: 0,
    isHeldBack,
    abort: () => void ended.push(name),
  })
  const held = splice('held', true)
  const stop = [held, splice('free', false)].map((one) => watchIdle(one, 1, deadlines))
  await until(() => ended.length > 0)
  stop[1]?.()
  expect(ended).not.toContain('held')
  held.isHeldBack = false
  await until(() => ended.includes('held'))
})
