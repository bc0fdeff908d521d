import type { NodeStatus, PortStatus, SessionStatus } from '@proj/program-kit'

import type { ClusterView } from '../../cluster/cluster-view.ts'
import { type ApiRoute, shapeOf } from './api-route.ts'
import type { JsonShape, ObjectShape } from './json-shape.ts'
import { pageOf, PAGE_QUERY, pageShape } from './paging.ts'

/** What is listed of the running server and of the other nodes. */
export interface StatusSources {
  readonly cluster: ClusterView
  readonly sessions: () => readonly SessionStatus[]
  readonly ports: () => readonly PortStatus[]
  readonly nodes: () => readonly NodeStatus[]
}

const TEXT: JsonShape = { type: 'string' }
const COUNT: JsonShape = { type: 'integer', minimum: 0 }
const MOMENT: JsonShape = { type: 'string', format: 'date-time' }
const NODE: JsonShape = { type: 'string', description: 'Id of the node.' }
const TEXTS: JsonShape = { type: 'array', items: TEXT }

/** Schemas of what is listed here, by name. */
export const STATUS_SHAPES: Readonly<Record<'Agent' | 'Port' | 'Node', ObjectShape>> = {
  Agent: {
    type: 'object',
    description: 'One endpoint of one session of an agent.',
    properties: {
      node: NODE,
      endpoint: { type: 'string', description: 'Behind its tenant and a slash, if it has one.' },
      session: TEXT,
      agent: { type: 'string', description: 'Absent for agents of Piko.' },
      protocol: { type: 'string', enum: ['adit', 'piko'] },
      software: { type: 'string', description: 'Program and version, as the agent says.' },
      identity: { type: 'string', description: 'As whom it has authorised itself.' },
      roundTripMs: { type: 'number', description: 'The last round trip.' },
      remoteAddress: TEXT,
      connectedAt: MOMENT,
      openStreams: COUNT,
    },
    required: ['node', 'endpoint', 'session', 'protocol', 'connectedAt', 'openStreams'],
  },
  Port: {
    type: 'object',
    description: 'A public TCP port.',
    properties: {
      node: NODE,
      port: { type: 'integer', minimum: 1, maximum: 65_535 },
      endpoint: TEXT,
      tenant: TEXT,
      identity: TEXT,
      since: MOMENT,
      heldUntil: { ...MOMENT, description: 'Absent while an agent serves it.' },
      sessions: COUNT,
      addresses: TEXTS,
      visitors: COUNT,
      connections: COUNT,
      refused: COUNT,
      bytesIn: COUNT,
      bytesOut: COUNT,
    },
    required: ['node', 'port', 'endpoint', 'identity', 'since', 'sessions', 'addresses'],
  },
  Node: {
    type: 'object',
    description: 'A node of the cluster; a server alone is one.',
    properties: {
      id: TEXT,
      status: { type: 'string', enum: ['active', 'unreachable', 'left'] },
      proxy_addr: TEXT,
      admin_addr: TEXT,
      endpoints: COUNT,
      upstreams: COUNT,
      boot: TEXT,
      version: TEXT,
      local: { type: 'boolean', description: 'Whether it is the node that was asked.' },
      sessions: COUNT,
    },
    required: ['id', 'status', 'endpoints', 'upstreams', 'version', 'local', 'sessions'],
  },
}

/** Nodes that have not answered. */
const UNREACHABLE: Readonly<Record<string, JsonShape>> = {
  unreachable: {
    type: 'array',
    items: TEXT,
    description: 'Nodes that did not answer: what is there is not in this list.',
  },
}

/** Lists of what is there now. */
export function statusRoutes(sources: StatusSources): ApiRoute[] {
  const { cluster } = sources
  return [
    {
      method: 'GET',
      path: '/agents',
      summary: 'Lists the sessions of agents, on all nodes.',
      query: PAGE_QUERY,
      answers: {
        200: { text: 'A page of sessions.', shape: pageShape(shapeOf('Agent'), UNREACHABLE) },
      },
      errors: [],
      run: async (call) => {
        const { items, unreachable } = await ofAllNodes<SessionStatus>(
          cluster,
          '/status/upstream/sessions',
          sources.sessions(),
        )
        const key = ({ endpoint, node, session }: (typeof items)[number]): string =>
          [endpoint, node, session].join('\n')
        return { body: { ...pageOf(items, key, call), unreachable } }
      },
    },
    {
      method: 'GET',
      path: '/ports',
      summary: 'Lists the public TCP ports, on all nodes.',
      query: PAGE_QUERY,
      answers: {
        200: { text: 'A page of ports.', shape: pageShape(shapeOf('Port'), UNREACHABLE) },
      },
      errors: [],
      run: async (call) => {
        const { items, unreachable } = await ofAllNodes<PortStatus>(
          cluster,
          '/status/ports',
          sources.ports(),
        )
        const key = ({ port, node }: (typeof items)[number]): string =>
          `${String(port).padStart(5, '0')} ${node}`
        return { body: { ...pageOf(items, key, call), unreachable } }
      },
    },
    {
      method: 'GET',
      path: '/nodes',
      summary: 'Lists the nodes of the cluster.',
      query: PAGE_QUERY,
      answers: { 200: { text: 'A page of nodes.', shape: pageShape(shapeOf('Node')) } },
      errors: [],
      run: async (call) => ({ body: pageOf(sources.nodes(), ({ id }) => id, call) }),
    },
  ]
}

/** The items of a status page of every node. Another node may be of another version, or may have gone. */
async function ofAllNodes<Item extends object>(
  cluster: ClusterView,
  page: string,
  own: readonly Item[],
): Promise<{
  readonly items: readonly (Item & { readonly node: string })[]
  readonly unreachable: readonly string[]
}> {
  const ids = [...cluster.nodes()].map(({ id }) => id)
  const answers = await Promise.all(
    ids.map(async (id) => {
      try {
        const { status = 200, body = '' } = await cluster.ask(id, page)
        if (status !== 200) return undefined
        return { id, items: JSON.parse(body) as Item[] } // a server of ours wrote it
      } catch {
        return undefined
      }
    }),
  )
  const found = answers.filter((one) => one !== undefined)
  const named = (id: string, items: readonly Item[]) => items.map((item) => ({ node: id, ...item }))
  return {
    items: [...named(cluster.local.id, own), ...found.flatMap(({ id, items }) => named(id, items))],
    unreachable: ids.filter((id) => !found.some((one) => one.id === id)).toSorted(),
  }
}
