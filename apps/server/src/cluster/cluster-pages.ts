import type { ClusterNode } from '@proj/cluster'
import {
  type AdminPage,
  type GossipEntries,
  type GossipNodeStatus,
  jsonLine,
  jsonPage,
  type NodeDetails,
  type NodeStatus,
} from '@proj/program-kit'
import { endpointText, type UpstreamRegistry } from '@proj/tunnel/server'

import type { ClusterView } from './cluster-view.ts'

/** What the pages of the nodes are made from. */
export interface ClusterPageSources {
  readonly cluster: ClusterView
  readonly registry: Pick<UpstreamRegistry, 'snapshot'>
  /** Agent sessions of this node. */
  readonly sessions: () => number
}

/** Time of Go that means none; Piko's commands read it. */
const NEVER = '0001-01-01T00:00:00Z'

const NODE_PATH = /^\/status\/(cluster|gossip)\/nodes\/([^/]+)$/

/**
 * Finds the page of a request that names a node: in its path, or with `?forward=` as Piko's commands do it.
 *
 * @returns undefined: the path is that of a page of this node.
 */
export function findNodePage(
  sources: ClusterPageSources,
  path: string,
  query: string,
): AdminPage | undefined {
  const asked = new URLSearchParams(query).get('forward')
  const { cluster } = sources
  if (asked !== null && asked !== cluster.local.id) {
    if (!isKnown(cluster, asked)) return () => ({ status: 404 })
    return async () => {
      try {
        return await cluster.ask(asked, path)
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error)
        const body = jsonLine({ error: `node ${asked}: ${why}`, code: 'node-unreachable' })
        return { status: 502, type: 'application/json', body }
      }
    }
  }
  const [, kind, encoded = ''] = NODE_PATH.exec(path) ?? []
  if (kind === undefined) return undefined
  const id = decoded(encoded)
  const isLocal = id === cluster.local.id || (kind === 'cluster' && id === 'local')
  if (!isLocal && (id === undefined || !isKnown(cluster, id))) return () => ({ status: 404 })
  const nodeId = isLocal ? cluster.local.id : (id ?? '')
  return jsonPage<NodeDetails | GossipEntries>(() => {
    const details = detailsOf(sources, nodeId)
    return kind === 'cluster' ? details : entriesOf(details)
  })
}

/** Every node, as Piko lists them, with more. */
export function describeNodes(sources: ClusterPageSources): NodeStatus[] {
  const { cluster } = sources
  const counts = new Map<string, { endpoints: number; upstreams: number }>()
  for (const [, routes] of cluster.entries()) {
    for (const { node, sessions } of routes) {
      const count = counts.get(node.id) ?? { endpoints: 0, upstreams: 0 }
      count.endpoints += 1
      count.upstreams += sessions
      counts.set(node.id, count)
    }
  }
  const own = [...sources.registry.snapshot().values()]
  const local: NodeStatus = {
    ...localFacts(sources),
    endpoints: own.length,
    upstreams: own.reduce((sum, upstreams) => sum + upstreams.length, 0),
  }
  const others = [...cluster.nodes()].map((node) => ({
    ...factsOf(node, cluster.isConnected(node.id)),
    ...(counts.get(node.id) ?? { endpoints: 0, upstreams: 0 }),
  }))
  return [local, ...others].toSorted((a, b) => (a.id < b.id ? -1 : 1))
}

/** Every node, as the page of Piko's gossip lists them. */
export function describeGossip(sources: ClusterPageSources): GossipNodeStatus[] {
  return describeNodes(sources).map(gossipOf)
}

function isKnown(cluster: ClusterView, id: string): boolean {
  if (id === cluster.local.id) return true
  for (const node of cluster.nodes()) if (node.id === id) return true
  return false
}

function detailsOf(sources: ClusterPageSources, id: string): NodeDetails {
  const { cluster, registry } = sources
  if (id === cluster.local.id) {
    const own = [...registry.snapshot()].map(
      ([endpoint, upstreams]) => [endpointText(endpoint), upstreams.length] as const,
    )
    return { ...localFacts(sources), endpoints: Object.fromEntries(own) }
  }
  const endpoints: Record<string, number> = {}
  for (const [endpoint, routes] of cluster.entries()) {
    const route = routes.find(({ node }) => node.id === id)
    if (route !== undefined) endpoints[endpointText(endpoint)] = route.sessions
  }
  const node = [...cluster.nodes()].find((one) => one.id === id)
  if (node === undefined) throw new Error(`node ${id} has gone`)
  return { ...factsOf(node, cluster.isConnected(id)), endpoints }
}

type Facts = Omit<NodeStatus, 'endpoints' | 'upstreams'>

function localFacts({ cluster, sessions }: ClusterPageSources): Facts {
  const { local } = cluster
  const awaySince = cluster.health()?.awaySince
  return {
    id: local.id,
    status: local.isLeaving ? 'left' : 'active',
    proxy_addr: local.address ?? '',
    admin_addr: '',
    boot: local.boot,
    version: local.version,
    local: true,
    sessions: sessions(),
    ...(awaySince !== undefined && { databaseAwaySince: new Date(awaySince).toISOString() }),
  }
}

function factsOf(node: ClusterNode, isConnected: boolean): Facts {
  const { id, boot, address, version, isLeaving, load } = node
  return {
    id,
    status: isLeaving ? 'left' : isConnected ? 'active' : 'unreachable',
    proxy_addr: address,
    admin_addr: '',
    boot,
    version,
    local: false,
    sessions: load.sessions,
  }
}

function gossipOf({ id, proxy_addr: addr, status }: Facts): GossipNodeStatus {
  return {
    id,
    addr,
    version: 0,
    left: status === 'left',
    unreachable: status === 'unreachable',
    expiry: NEVER,
  }
}

function entriesOf(details: NodeDetails): GossipEntries {
  const entry = (key: string, value: string) => ({
    key,
    value,
    version: 0,
    internal: false,
    deleted: false,
  })
  const endpoints = Object.entries(details.endpoints).map(([name, count]) =>
    entry(`endpoint:${name}`, String(count)),
  )
  return { ...gossipOf(details), Entries: [entry('proxy_addr', details.proxy_addr), ...endpoints] }
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}
