import { until } from '@proj/testkit/until'
import { exchangeRaw } from '@proj/testkit/raw-http'
import { describe, expect, it, test } from 'vitest'

import { COUNTED_METHODS, DURATION_BUCKETS, ProxyStats } from '../../src/proxy/proxy-stats.ts'
import { request, tunnel } from '../tunnel-fixture.ts'

describe('counts', () => {
  it.each([...COUNTED_METHODS.slice(0, -1), 'PROPFIND', 'get', '__proto__', undefined])(
    'an answer to %s by its method, or as other',
    (method) => {
      const stats = new ProxyStats()
      for (const status of [100, 200, 200, 999]) stats.countAnswer(method, status)
      const name = COUNTED_METHODS.find((one) => one === method) ?? 'other'
      expect([...stats.answers()]).toEqual([
        { method: name, status: 100, count: 1 },
        { method: name, status: 200, count: 2 },
        { method: name, status: 900, count: 1 },
      ])
    },
  )

  test('every status that a service can make up: registered ones, and one more of each class', () => {
    const stats = new ProxyStats()
    for (let status = 100; status < 1000; status++) stats.countAnswer('GET', status)
    const counted = [...stats.answers()]
    expect(counted.length).toBeLessThan(80)
    expect(counted.reduce((sum, { count }) => sum + count, 0)).toBe(900)
    expect(counted).toContainEqual({ method: 'GET', status: 404, count: 1 })
  })

  test('by status are the sum over the methods, in order', () => {
    const stats = new ProxyStats()
    stats.countAnswer('POST', 404)
    stats.countAnswer('PUT', 200)
    stats.countAnswer('GET', 404)
    expect([...stats.statuses]).toEqual([
      [200, 1],
      [404, 2],
    ])
  })

  it.each([
    [0, 0],
    [4.999, 0],
    [5, 0], // a bound belongs to its bucket
    [5.001, 1],
    [10_000, DURATION_BUCKETS.length - 1],
    [10_000.1, undefined],
    [1e9, undefined],
  ])('a duration of %d ms in bucket %s', (ms, bucket) => {
    const stats = new ProxyStats()
    stats.countDuration('GET', 200, ms)
    const buckets = DURATION_BUCKETS.map((_, index) => Number(index === bucket))
    const [only, ...more] = [...stats.durations()]
    expect(more).toEqual([])
    expect(only).toMatchObject({ method: 'GET', status: 200, count: 1, sum: ms / 1000 })
    expect([...(only?.buckets ?? [])]).toEqual(buckets)
  })
})

test('every answered exchange has a duration, with the method it was asked by', async () => {
  await using path = await tunnel({
    http: (req, res) => {
      res.statusCode = req.method === 'POST' ? 201 : 200
      res.end(req.method === 'HEAD' ? undefined : 'ok')
    },
  })
  const visitor = await path.visit()
  for (const line of ['GET /', 'POST /', 'PROPFIND /', 'GET /']) {
    await visitor.send(request(line, ...(line === 'POST /' ? ['Content-Length: 0'] : [])))
    await visitor.readResponse()
  }
  visitor[Symbol.dispose]()
  await exchangeRaw(path.port, request('GET /').replace('web.localhost', 'none.localhost'))
  const { stats } = path.server.edge
  const durations = [...stats.durations()].map(({ method, status, count }) => [
    method,
    status,
    count,
  ])
  expect(durations).toEqual([
    ['GET', 200, 2],
    ['GET', 503, 1],
    ['POST', 201, 1],
    ['other', 200, 1],
  ])
})

test('the duration lasts to the end of the answer', async () => {
  let finish = (): void => {}
  await using path = await tunnel({
    http: (_, res) => {
      res.write('first')
      finish = () => res.end('last')
    },
  })
  using visitor = await path.visit()
  await visitor.send(request('GET /'))
  const { stats } = path.server.edge
  await until(() => stats.statuses.get(200) === 1)
  expect([...stats.durations()]).toEqual([])
  const begun = performance.now()
  const least = 20
  await until(() => performance.now() - begun > least)
  finish()
  await visitor.readResponse()
  const [only] = [...stats.durations()]
  expect(only?.sum).toBeGreaterThan(least / 1000)
  expect(only?.count).toBe(1)
})

test('a head that comes too slowly behind an answered request is no answer to that request', async () => {
  await using path = await tunnel({ http: (_, res) => res.end(), edge: { headTimeoutMs: 100 } })
  using visitor = await path.visit()
  await visitor.send(request('GET /'))
  await visitor.readResponse()
  await visitor.send('GET / HTTP/1.1\r\nHo')
  expect((await visitor.readResponse()).status).toBe(408)
  expect(await visitor.ended).toBe('fin')
  const { stats } = path.server.edge
  expect([...stats.answers()]).toEqual([
    { method: 'GET', status: 200, count: 1 },
    { method: 'other', status: 408, count: 1 },
  ])
  expect([...stats.durations()]).toHaveLength(1)
})
