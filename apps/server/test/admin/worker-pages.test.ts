// The admin port of a server with workers: what each has to say, in one page.
import type { AdminAnswer, EdgeStatus, Metric, NodeStatus } from '@proj/program-kit'
import { expect, test } from 'vitest'

import { AllWorkers, WORKER_PATH } from '../../src/admin/worker-pages.ts'
import { aloneView, type ClusterView } from '../../src/cluster/cluster-view.ts'

const EDGE: EdgeStatus = {
  connections: 1,
  requests: 10,
  inFlight: 2,
  upgraded: 3,
  bytesIn: 4,
  bytesOut: 5,
  statuses: { 200: 9, 503: 1 },
  secondsWithoutDescriptors: 2,
}

const SESSION = {
  endpoint: 'web',
  session: 's',
  protocol: 'adit',
  identity: 'i',
  connectedAt: '2026-01-01T00:00:00.000Z',
  openStreams: 0,
} as const

const COUNTED: Metric = {
  type: 'counter',
  name: 'made_total',
  help: 'Things made.',
  samples: [{ labels: { kind: 'a' }, value: 7 }],
}

function nodeOf(id: string, local: boolean): NodeStatus {
  const addresses = { proxy_addr: '', admin_addr: '' }
  const counts = { endpoints: 1, upstreams: 1, sessions: 1 }
  return { id, status: 'active', boot: id, version: '1', local, ...addresses, ...counts }
}

/** The pages of worker 2, which asks worker 1 and one more. */
function makePages(third: () => Promise<AdminAnswer>) {
  const own = (edge: EdgeStatus) => ({
    endpoints: () => ({ web: 1, [`own-${edge.requests}`]: 1 }),
    sessions: () => [SESSION],
    edge: () => edge,
    nodes: () => [nodeOf('b', true), nodeOf('a', false), nodeOf('c', false)],
    metrics: () => [COUNTED],
  })
  const facts = async () => ({ deaths: 3 })
  const alone = aloneView({ id: 'a', boot: 'a' }, '1')
  const other = new AllWorkers(alone, { id: 1, facts }, own({ ...EDGE, requests: 90 }))
  const pages: Record<string, unknown> = {
    '/status/upstream/endpoints': { web: 2 },
    '/status/upstream/sessions': [SESSION],
    '/status/edge': { ...EDGE, requests: 90, statuses: { 200: 90 } },
  }
  const cluster: ClusterView = {
    ...aloneView({ id: 'b', boot: 'b' }, '1'),
    nodes: () => [{ id: 'a' }, { id: 'c' }] as never,
    isConnected: (id) => id === 'a',
    ask: async (id, path) => {
      if (id === 'c') return await third()
      return path === WORKER_PATH ? await other.answer() : { body: JSON.stringify(pages[path]) }
    },
  }
  const all = new Map(new AllWorkers(cluster, { id: 2, facts }, own(EDGE)).pages)
  const read = async (path: string): Promise<string> => String((await all.get(path)?.())?.body)
  return { read, json: async (path: string): Promise<unknown> => JSON.parse(await read(path)) }
}

const silent = async (): Promise<AdminAnswer> => await Promise.reject(new Error('no answer'))

test('counts are added up, and lists are joined', async () => {
  const { json } = makePages(silent)
  expect(await json('/status/upstream/endpoints')).toEqual({ web: 3, 'own-10': 1 })
  expect(await json('/status/upstream/sessions')).toHaveLength(2)
  expect(await json('/status/edge')).toEqual({
    connections: 2,
    requests: 100,
    inFlight: 4,
    upgraded: 6,
    bytesIn: 8,
    bytesOut: 10,
    statuses: { 200: 99, 503: 1 },
    secondsWithoutDescriptors: 2,
  })
})

test('nodes are in the order of their workers; one that does not answer is there without its load', async () => {
  const { json } = makePages(silent)
  const nodes = (await json('/status/cluster/nodes')) as NodeStatus[]
  expect(nodes.map(({ id, worker }) => [id, worker?.worker])).toEqual([
    ['a', 1],
    ['b', 2],
    ['c', undefined],
  ])
  const { load, delayMs, memoryBytes } = nodes[1]?.worker ?? {}
  expect(load).toBeGreaterThanOrEqual(0)
  expect(load).toBeLessThanOrEqual(1)
  expect(delayMs).toBeGreaterThanOrEqual(0)
  expect(memoryBytes).toBeGreaterThan(1e6)
})

test('metrics have the worker as a label, but those of the parent', async () => {
  const { read } = makePages(silent)
  const page = await read('/metrics')
  expect(page.match(/^made_total.*/gm)).toEqual([
    'made_total{kind="a",worker="2"} 7',
    'made_total{kind="a",worker="1"} 7',
  ])
  expect(page).toMatch(/^adit_worker_deaths_total 3$/m)
  expect(page.match(/^# TYPE made_total/gm)).toHaveLength(1)
  expect(page.match(/^process_resident_memory_bytes\{worker="\d"\}/gm)).toHaveLength(2)
})

test('a refusal of another worker is no page of it', async () => {
  const { json } = makePages(async () => ({ status: 404 }))
  const nodes = (await json('/status/cluster/nodes')) as NodeStatus[]
  expect(nodes.find(({ id }) => id === 'c')?.worker).toBe(undefined)
})
