// One name for a request in the logs of every hop.
import { exchangeRaw } from '@proj/testkit/raw-http'
import { until } from '@proj/testkit/until'
import { forward } from '@proj/tunnel'
import { expect, it } from 'vitest'

import { request, tunnel } from '../tunnel-fixture.ts'

const MADE = /^[\da-f]{12}-[\da-z]+$/

it('makes a name per request and tells the service', async () => {
  await using path = await tunnel({
    http: (req, res) => res.end(String(req.headers['x-request-id'])),
  })
  using visitor = await path.visit()
  const names: string[] = []
  for (let round = 0; round < 3; round++) {
    await visitor.send(request('GET /', 'X-Request-Id: mine', 'X_Request_Id: mine'))
    names.push((await visitor.readResponse()).body.toString())
  }
  for (const name of names) expect(name).toMatch(MADE)
  expect(new Set(names).size).toBe(3)
})

it.each([
  ['abc-123', 'abc-123'],
  ['Root=1-67891233-abcdef012345678912345678', 'Root=1-67891233-abcdef012345678912345678'],
  ['a"b', 'made'],
  ['a b', 'made'],
  ['x'.repeat(129), 'made'],
  ['', 'made'],
])('takes %j over from a trusted proxy as %s', async (given, name) => {
  await using path = await tunnel({
    http: (req, res) => res.end(String(req.headers['x-request-id'])),
    edge: { trustedHops: 1 },
  })
  const answer = await exchangeRaw(path.port, request('GET /', `X-Request-Id: ${given}`))
  const seen = answer.body.toString()
  expect(MADE.test(seen) ? 'made' : seen).toBe(name)
})

it('tells the agent the name of the request a stream was opened for', async () => {
  await using path = await tunnel({
    http: (req, res) => res.end(String(req.headers['x-request-id'])),
  })
  const told: unknown[] = []
  const listener = forward(path.agent, 'other', {
    kind: 'http',
    service: { host: path.service.host, port: path.service.port },
    onStreamClosed: (_, record) => told.push(record?.requestId),
  })
  await listener.ready()
  const lines = ['GET / HTTP/1.1', 'Host: other.localhost', 'Connection: close', '', '']
  const answer = await exchangeRaw(path.port, lines.join('\r\n'))
  path.server.edge.pool.close()
  await until(() => told.length === 1)
  expect(told).toEqual([answer.body.toString()])
})
