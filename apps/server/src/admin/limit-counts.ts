/** How often each limit of a server was hit since its start, for people; metrics have the same numbers. */
import type { LimitItem } from '@proj/pages/console'

import type { AdminSources } from './admin-sources.ts'

/** Settings of the limits of connections, by port. */
const CONNECTIONS = {
  proxy: 'proxy.max_connections',
  'public ports': 'public_ports.max_connections',
  upstream: 'upstream.max_connections',
} as const

/** What the limits of connections are for. */
const OF_CONNECTIONS = {
  port: 'connections',
  source: 'connections of one address',
  unauthenticated: 'connections without credentials yet',
  descriptors: 'connections: no file descriptor was free',
} as const

/** Counts every limit; those that were never hit too. */
export function limitCounts(sources: AdminSources): LimitItem[] {
  const { edge, registry, publicPorts, upstreamConnections, handshakes } = sources
  const ports = {
    proxy: edge.sockets,
    'public ports': publicPorts.visitors.sockets,
    upstream: upstreamConnections,
  }
  const sum = (counts: Readonly<Record<string, number>>): number =>
    Object.values(counts).reduce((all, one) => all + one, 0)
  return [
    ...Object.entries(ports).flatMap(([port, { rejected }]) =>
      Object.entries(rejected).map(([limit, count]) => ({
        limit: `${port}: ${OF_CONNECTIONS[limit as keyof typeof OF_CONNECTIONS]}`,
        count,
        ...(limit === 'port' && { setting: CONNECTIONS[port as keyof typeof CONNECTIONS] }),
      })),
    ),
    {
      limit: 'requests while the server is overloaded',
      count: edge.admission.rejected,
      setting: 'proxy.max_loop_delay',
    },
    {
      limit: 'visitors of endpoints with limits',
      count: edge.limiter.rejected,
      setting: 'endpoints[].limits',
    },
    {
      limit: 'visitors that wait for agents',
      count: registry.waits.rejected,
      setting: 'upstream.max_waiting',
    },
    {
      limit: 'streams of one address to an agent',
      count: registry.quota.rejected.source,
      setting: 'upstream.max_source_share',
    },
    {
      limit: 'streams of one endpoint to an agent',
      count: registry.quota.rejected.endpoint,
      setting: 'upstream.max_endpoint_share',
    },
    {
      limit: 'visitors that send too slowly',
      count: edge.stats.tooSlowIn,
      setting: 'proxy.min_rate',
    },
    {
      limit: 'visitors that take answers too slowly',
      count: edge.stats.tooSlowOut,
      setting: 'proxy.min_rate',
    },
    {
      limit: 'handshakes of one address',
      count: handshakes?.refused.handshakes ?? 0,
      setting: 'handshakes.rate',
    },
    {
      limit: 'rejected credentials of one address',
      count: handshakes?.refused.failures ?? 0,
      setting: 'handshakes.failure_rate',
    },
    { limit: 'events of the audit log that wait', count: sum(sources.auditDropped()) },
    { limit: 'log lines', count: sources.leftOutLines(), setting: 'log.rate' },
  ]
}
