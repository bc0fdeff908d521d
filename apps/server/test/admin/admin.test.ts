// The admin port of a server: its pages, and whom it answers.
import { exchangeRaw } from '@proj/testkit/raw-http'
import { describe, expect, it, test } from 'vitest'

import { Authenticator } from '../../src/auth/authenticator.ts'
import { Server } from '../../src/server.ts'
import { memoryStore } from '../../src/store/store.ts'
import { request, startServer, tunnel } from '../tunnel-fixture.ts'
import { storedToken } from '../auth/signed.ts'

const silent = { debug() {}, info() {}, warn() {}, error() {} }

const PAGES = [
  '/health',
  '/ready',
  '/metrics',
  '/status/upstream/endpoints',
  '/status/upstream/sessions',
  '/status/edge',
  '/status/ports',
  '/status/tls',
  '/status/cluster/nodes',
  '/status/cluster/nodes/local',
  '/status/gossip/nodes',
]

async function ask(server: Server, path: string, ...headers: string[]) {
  const port = server.listeners.admin.bound[0]?.port ?? 0
  const lines = [`GET ${path} HTTP/1.1`, 'connection: close', ...headers]
  const answer = await exchangeRaw(port, `${lines.join('\r\n')}\r\n\r\n`)
  return { status: answer.status, body: answer.body.toString() }
}

/** A server whose admin port asks for a token, and one that is good. */
async function protectedServer(): Promise<{ server: Server; token: string } & Disposable> {
  const store = memoryStore(silent)
  const { text } = await storedToken(store.tokens, { may: ['admin'] })
  const { tokens, audit } = store
  const noLimit = { amount: Infinity, periodMs: 60_000 }
  const authenticator = new Authenticator({ tokens, audit, logger: silent, failureRate: noLimit })
  const server = await startServer({}, [], authenticator)
  return {
    server,
    token: text,
    [Symbol.dispose]: () => {
      server.destroy()
      authenticator[Symbol.dispose]()
    },
  }
}

describe('without credentials', () => {
  it.each([
    ['host: 127.0.0.1:8002', 200],
    ['host: [::1]:8002', 200],
    ['host: localhost:8002', 200],
    ['host: adit.localhost', 200],
    ['host: adit.internal:8002', 200],
    ['host: evil.example:8002', 403],
    ['host: localhost.evil.example', 403],
    ['host: localhost\r\norigin: http://localhost', 200],
    ['host: localhost\r\norigin: http://localhost:3000', 403],
    ['host: localhost\r\norigin: http://evil.example', 403],
    ['host: evil.example\r\norigin: http://evil.example', 403],
    ['host: localhost\r\norigin: null', 403],
    ['host: localhost\r\nsec-fetch-site: none', 200],
    ['host: localhost\r\nsec-fetch-site: same-origin', 200],
    ['host: localhost\r\nsec-fetch-site: cross-site', 403],
  ])('a request with %s gets %i on every page', async (headers, status) => {
    const anywhere = { at: '127.0.0.1:0' }
    const server = await Server.start({
      proxy: anywhere,
      upstream: anywhere,
      admin: anywhere,
      hosts: { admin: ['adit.internal'] },
      software: 'adit-server/test',
      logger: silent,
    })
    try {
      for (const page of PAGES) expect((await ask(server, page, headers)).status).toBe(status)
    } finally {
      server.destroy()
    }
  })
})

describe('with credentials', () => {
  it.each([
    ['adit.internal:8002', 200],
    ['evil.example:8002', 200], // a page of evil.example has no token
    ['10.244.1.7:8002', 200],
  ])(
    'a request to %s gets %i with the token, else only whether the server is alive',
    async (host, status) => {
      using guarded = await protectedServer()
      const { server, token } = guarded
      for (const page of PAGES) {
        const isProbe = page === '/health' || page === '/ready'
        expect((await ask(server, page, `host: ${host}`)).status).toBe(isProbe ? 200 : 401)
        const shown = `authorization: Bearer ${token}`
        expect((await ask(server, page, `host: ${host}`, shown)).status).toBe(status)
      }
    },
  )

  it('a page of another site gets none, whatever it shows', async () => {
    using guarded = await protectedServer()
    const { server, token } = guarded
    const shown = ['host: localhost', `authorization: Bearer ${token}`]
    for (const page of PAGES) {
      const foreign = await ask(server, page, ...shown, 'origin: http://evil.example')
      expect(foreign.status).toBe(403)
      expect(JSON.parse(foreign.body)).toMatchObject({ code: 'origin-refused' })
    }
  })
})

test('the pages tell of sessions, endpoints and requests', async () => {
  await using path = await tunnel({ http: (_, res) => res.end('ok') })
  await exchangeRaw(path.port, request('GET /', 'connection: close'))
  const read = async (page: string): Promise<unknown> => {
    const { body } = await ask(path.server, page, 'host: localhost')
    return JSON.parse(body)
  }
  expect(await read('/status/upstream/endpoints')).toEqual({ web: 1 })
  expect(await read('/status/upstream/sessions')).toEqual([
    {
      endpoint: 'web',
      session: expect.any(String),
      agent: expect.any(String),
      protocol: 'adit',
      software: expect.any(String),
      identity: 'anonymous',
      roundTripMs: expect.any(Number),
      remoteAddress: '127.0.0.1',
      connectedAt: expect.stringMatching(/Z$/),
      openStreams: expect.any(Number),
    },
  ])
  expect(await read('/status/edge')).toEqual({
    connections: expect.any(Number),
    requests: 1,
    inFlight: 0,
    upgraded: 0,
    secondsWithoutDescriptors: 0,
    bytesIn: expect.any(Number),
    bytesOut: expect.any(Number),
    statuses: { 200: 1 },
  })
  expect(await read('/status/ports')).toEqual([])
  expect(await read('/status/tls')).toEqual({})
})

test('metrics have the names and labels that dashboards of Piko read', async () => {
  await using path = await tunnel({ http: (_, res) => res.end('ok') })
  await exchangeRaw(path.port, request('GET /', 'connection: close'))
  await exchangeRaw(path.port, request('DELETE /', 'connection: close'))
  await exchangeRaw(path.port, request('GET /').replace('web.', 'none.'))
  const { body } = await ask(path.server, '/metrics', 'host: localhost')
  const lines = body.split('\n')
  expect(lines).toEqual(
    expect.arrayContaining([
      '# TYPE piko_proxy_requests_total counter',
      'piko_proxy_requests_total{status="200",method="GET"} 1',
      'piko_proxy_requests_total{status="200",method="DELETE"} 1',
      'piko_proxy_requests_total{status="503",method="GET"} 1',
      '# TYPE piko_proxy_request_latency_seconds histogram',
      'piko_proxy_request_latency_seconds_bucket{status="200",method="GET",le="10"} 1',
      'piko_proxy_request_latency_seconds_bucket{status="200",method="GET",le="+Inf"} 1',
      'piko_proxy_request_latency_seconds_count{status="200",method="GET"} 1',
      'piko_proxy_requests_in_flight 0',
      '# TYPE piko_proxy_request_size_bytes histogram',
      'piko_proxy_request_size_bytes_bucket{le="256"} 3',
      'piko_proxy_request_size_bytes_bucket{le="4194304"} 3',
      'piko_proxy_request_size_bytes_count 3',
      'piko_proxy_response_size_bytes_count 3',
      'piko_upstreams_upstream_requests_total 2',
      'piko_upstreams_connected_upstreams 1',
      'piko_upstreams_registered_endpoints 1',
    ]),
  )
  const names = lines.filter((line) => line.startsWith('# TYPE')).map((line) => line.split(' ')[2])
  expect(names).toEqual([
    'piko_proxy_requests_total',
    'piko_proxy_request_latency_seconds',
    'piko_proxy_request_size_bytes',
    'piko_proxy_response_size_bytes',
    'piko_upstreams_upstream_requests_total',
    'piko_proxy_requests_in_flight',
    'adit_edge_connections',
    'adit_overloaded',
    'adit_requests_shed_total',
    'adit_edge_upgraded',
    'adit_edge_bytes_total',
    'adit_slow_visitors_total',
    'adit_connections',
    'adit_connections_rejected_total',
    'adit_accept_failures_total',
    'adit_descriptors_exhausted_seconds_total',
    'piko_upstreams_connected_upstreams',
    'piko_upstreams_registered_endpoints',
    'adit_visitors_waiting',
    'adit_visitors_not_waiting_total',
    'adit_streams_over_quota_total',
    'adit_node_info',
    'piko_cluster_nodes',
    'adit_public_ports',
    'adit_public_port_visitors',
    'adit_public_port_connections_total',
    'adit_public_port_bytes_total',
    'adit_log_lines_left_out_total',
    'process_resident_memory_bytes',
    'process_cpu_seconds_total',
  ])
})
