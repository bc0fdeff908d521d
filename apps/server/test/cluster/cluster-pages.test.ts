// The pages of the nodes, as the commands of Piko read them, and the metrics that its dashboards read.
import { ClusterTable, type ClusterNode } from '@proj/cluster'
import { exchangeRaw } from '@proj/testkit/raw-http'
import { expect, test } from 'vitest'

import { aloneView, type ClusterView } from '../../src/cluster/cluster-view.ts'
import type { Server } from '../../src/server.ts'
import { tunnel } from '../tunnel-fixture.ts'

const node = (id: string, more: Partial<ClusterNode> = {}): ClusterNode => ({
  id,
  boot: `boot-${id}`,
  address: `10.0.0.2:8003`,
  fingerprint: 'f'.repeat(64),
  version: '1.2.3',
  isLeaving: false,
  load: { sessions: 7, streams: 0 },
  ...more,
})

/** A view of the nodes `a` (this one), `b`, `c` without a connection, and `d`, which leaves. */
function view(): ClusterView {
  const table = new ClusterTable()
  const facts = {
    identity: 'x',
    kind: undefined,
    exclusive: false,
    peer: undefined,
    reuse: undefined,
    strictness: undefined,
    limits: undefined,
    agents: undefined,
    rules: undefined,
    isDown: false,
  }
  const b = table.putNode(node('b'))
  table.putNode(node('c'))
  table.putNode(node('d', { isLeaving: true }))
  table.putRoute({ tenant: '', name: 'web' }, { ...facts, node: b, epoch: 4, sessions: 2 })
  table.putRoute({ tenant: 'acme', name: 'pc1' }, { ...facts, node: b, epoch: 5, sessions: 1 })
  const alone = aloneView({ id: 'a', boot: 'boot-a' }, '1.2.4')
  return {
    ...alone,
    local: { ...alone.local, address: '10.0.0.1:8003' },
    nodes: () => table.nodes(),
    isConnected: (id) => id !== 'c',
    entries: () => table.entries(),
    size: table.size,
    health: () => ({ isReachable: true, lagMs: 250, leaseAgeMs: 1500 }),
    links: () => ({
      hopsOut: new Map([['b', 12]]),
      hopsIn: 5,
      hopsRefused: 1,
      connectionsIn: 2,
      connectionsOut: 3,
      bytesIn: 400,
      bytesOut: 500,
    }),
    ask: async (id, path) => {
      if (id === 'b') return { type: 'text/plain', body: `b says ${path}` }
      return await Promise.reject(new Error('no connection'))
    },
  }
}

async function get(server: Server, path: string): Promise<{ status: number; body: string }> {
  const port = server.listeners.admin.bound[0]?.port ?? 0
  const answer = await exchangeRaw(
    port,
    `GET ${path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n`,
  )
  return { status: answer.status, body: answer.body.toString() }
}

async function json(server: Server, path: string): Promise<unknown> {
  return JSON.parse((await get(server, path)).body)
}

test('of a cluster list every node with its endpoints', async () => {
  await using path = await tunnel({
    http: (_, res) => res.end(),
    server: { cluster: { view: view() } },
  })
  const { server } = path
  expect(await json(server, '/status/cluster/nodes')).toEqual([
    {
      id: 'a',
      status: 'active',
      proxy_addr: '10.0.0.1:8003',
      admin_addr: '',
      boot: 'boot-a',
      version: '1.2.4',
      local: true,
      sessions: 1,
      endpoints: 1,
      upstreams: 1,
    },
    expect.objectContaining({ id: 'b', status: 'active', endpoints: 2, upstreams: 3, sessions: 7 }),
    expect.objectContaining({ id: 'c', status: 'unreachable', endpoints: 0, local: false }),
    expect.objectContaining({ id: 'd', status: 'left' }),
  ])
  const local = await json(server, '/status/cluster/nodes/local')
  expect(local).toMatchObject({ id: 'a', endpoints: { web: 1 } })
  expect(await json(server, '/status/cluster/nodes/a')).toEqual(local)
  expect(await json(server, '/status/cluster/nodes/b')).toMatchObject({
    id: 'b',
    endpoints: { web: 2, 'acme/pc1': 1 },
  })
  for (const none of ['x', '%', '..%2f', 'local/b']) {
    expect(await get(server, `/status/cluster/nodes/${none}`)).toMatchObject({ status: 404 })
  }
  expect(await json(server, '/status/gossip/nodes')).toEqual(
    ['a', 'b', 'c', 'd'].map((id) => ({
      id,
      addr: id === 'a' ? '10.0.0.1:8003' : '10.0.0.2:8003',
      version: 0,
      left: id === 'd',
      unreachable: id === 'c',
      expiry: '0001-01-01T00:00:00Z',
    })),
  )
  expect(await json(server, '/status/gossip/nodes/b')).toMatchObject({
    id: 'b',
    Entries: [
      { key: 'proxy_addr', value: '10.0.0.2:8003' },
      { key: 'endpoint:web', value: '2' },
      { key: 'endpoint:acme/pc1', value: '1' },
    ],
  })
})

test('are those of another node with ?forward=', async () => {
  await using path = await tunnel({
    http: (_, res) => res.end(),
    server: { cluster: { view: view() } },
  })
  const { server } = path
  expect(await get(server, '/status/cluster/nodes?forward=b')).toEqual({
    status: 200,
    body: 'b says /status/cluster/nodes',
  })
  expect((await get(server, '/metrics?forward=b')).body).toBe('b says /metrics')
  expect(await json(server, '/status/upstream/endpoints?forward=a')).toEqual({ web: 1 })
  expect((await get(server, '/status/cluster/nodes?forward=x')).status).toBe(404)
  const failed = await get(server, '/status/cluster/nodes?forward=c')
  expect(failed.status).toBe(502)
  expect(JSON.parse(failed.body)).toEqual({
    error: 'node c: no connection',
    code: 'node-unreachable',
  })
})

test('of a server alone show one node', async () => {
  await using path = await tunnel({ http: (_, res) => res.end() })
  expect(await json(path.server, '/status/cluster/nodes')).toMatchObject([
    { status: 'active', proxy_addr: '', endpoints: 1, local: true },
  ])
})

/** What the panels of Piko's dashboards read: names, and the labels that they sum or filter by. */
const DASHBOARDS: readonly (readonly [name: string, ...labels: string[]])[] = [
  ['piko_gossip_entries', 'deleted="false"'],
  ['piko_gossip_entries', 'deleted="true"'],
  ['piko_gossip_connections_inbound_total'],
  ['piko_gossip_connections_outbound_total'],
  ['piko_gossip_stream_bytes_inbound_total'],
  ['piko_gossip_stream_bytes_outbound_total'],
  ['piko_gossip_packet_bytes_inbound_total'],
  ['piko_gossip_packet_bytes_outbound_total'],
  ['piko_cluster_nodes', 'status="active"'],
  ['piko_cluster_nodes', 'status="unreachable"'],
  ['piko_proxy_requests_total', 'status="200"'],
  ['piko_proxy_request_latency_seconds_bucket', 'le="0.005"'],
  ['piko_proxy_request_size_bytes_bucket', 'le="256"'],
  ['piko_proxy_response_size_bytes_bucket', 'le="256"'],
  ['piko_upstreams_upstream_requests_total'],
  ['piko_upstreams_remote_requests_total', 'node_id="b"'],
  ['piko_upstreams_connected_upstreams'],
  ['piko_upstreams_registered_endpoints'],
]

test('every expression of the dashboards of Piko finds its metric', async () => {
  await using path = await tunnel({
    http: (_, res) => res.end(),
    server: { cluster: { view: view() } },
  })
  await exchangeRaw(path.port, 'GET / HTTP/1.1\r\nhost: web.localhost\r\nconnection: close\r\n\r\n')
  const lines = (await get(path.server, '/metrics')).body.split('\n')
  const missing = DASHBOARDS.filter(
    ([name, ...labels]) =>
      !lines.some(
        (line) => line.split(/[ {]/)[0] === name && labels.every((label) => line.includes(label)),
      ),
  )
  expect(missing).toEqual([])
  expect(lines).toEqual(
    expect.arrayContaining([
      'adit_node_info{node_id="a",boot="boot-a",version="1.2.4"} 1',
      'piko_cluster_nodes{status="active"} 2',
      'piko_cluster_nodes{status="left"} 1',
      'piko_upstreams_remote_requests_total{node_id="b"} 12',
      'adit_cluster_lag_seconds 0.25',
      'adit_cluster_lease_age_seconds 1.5',
      'adit_cluster_hops_refused_total 1',
      'adit_cluster_table_endpoints 2',
    ]),
  )
})
