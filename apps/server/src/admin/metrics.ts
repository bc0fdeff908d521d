import type { Metric } from '@proj/program-kit'

import { DURATION_BUCKETS, SIZE_BUCKETS } from '../proxy/proxy-stats.ts'
import { clusterMetrics } from '../cluster/cluster-metrics.ts'
import { tlsMetrics } from '../tls/tls-status.ts'
import type { AdminSources } from './admin-sources.ts'

/**
 * The counts of a server as metrics. Names are Piko's where the meaning is the same, so that its
 * dashboards read them; ours begin with `adit_`.
 */
export function serverMetrics(sources: AdminSources): readonly Metric[] {
  return [
    ...edgeMetrics(sources),
    ...connectionMetrics(sources),
    ...upstreamMetrics(sources),
    ...clusterMetrics(sources.cluster),
    ...publicPortMetrics(sources),
    ...handshakeMetrics(sources),
    ...tlsMetrics(sources.tls),
    {
      type: 'counter',
      name: 'adit_log_lines_left_out_total',
      help: 'Log lines that were not written, because there were too many of one event.',
      samples: [{ value: sources.leftOutLines() }],
    },
    {
      type: 'counter',
      name: 'adit_access_log_lines_total',
      help: 'Lines of the access log, by outcome: written or dropped.',
      samples: Object.entries({ ...sources.accessLog() }).map(([outcome, value]) => ({
        labels: { outcome },
        value,
      })),
    },
    {
      type: 'counter',
      name: 'adit_trace_spans_total',
      help: 'Spans of requests, by outcome: sent, or dropped because the receiver did not take them.',
      samples: Object.entries({ ...sources.spans() }).map(([outcome, value]) => ({
        labels: { outcome },
        value,
      })),
    },
    {
      type: 'counter',
      name: 'adit_audit_events_dropped_total',
      help: 'Events that are not in the audit log, because too many of one kind came at once.',
      samples: Object.entries(sources.auditDropped()).map(([event, value]) => ({
        labels: { event },
        value,
      })),
    },
  ]
}

function edgeMetrics({ edge }: AdminSources): readonly Metric[] {
  const { stats, connections, admission } = edge
  return [
    {
      type: 'counter',
      name: 'piko_proxy_requests_total',
      help: 'Requests answered, by status and method.',
      samples: [...stats.answers()].map(({ status, method, count }) => ({
        labels: { status, method },
        value: count,
      })),
    },
    {
      type: 'histogram',
      name: 'piko_proxy_request_latency_seconds',
      help: 'Time from the head of a request to the end of its answer, by status and method.',
      upperBounds: DURATION_BUCKETS,
      samples: [...stats.durations()].map(({ status, method, ...durations }) => ({
        labels: { status, method },
        ...durations,
      })),
    },
    {
      type: 'histogram',
      name: 'piko_proxy_request_size_bytes',
      help: 'Bytes of a request, its head included.',
      upperBounds: SIZE_BUCKETS,
      samples: [stats.requestSizes],
    },
    {
      type: 'histogram',
      name: 'piko_proxy_response_size_bytes',
      help: 'Bytes of an answer, its head included.',
      upperBounds: SIZE_BUCKETS,
      samples: [stats.answerSizes],
    },
    {
      type: 'counter',
      name: 'piko_upstreams_upstream_requests_total',
      help: 'Requests sent to agents of this server.',
      samples: [{ value: stats.upstreamRequests }],
    },
    gauge('piko_proxy_requests_in_flight', 'Requests running now.', stats.inFlight),
    gauge('adit_edge_connections', 'Visitors connected now.', connections),
    gauge(
      'adit_overloaded',
      '1 while requests are limited because the event loop is late.',
      admission.isLimiting ? 1 : 0,
    ),
    {
      type: 'counter',
      name: 'adit_requests_shed_total',
      help: 'Requests answered 503 overloaded.',
      samples: [{ value: admission.rejected }],
    },
    gauge('adit_edge_upgraded', 'Upgraded connections open now.', stats.upgraded),
    {
      type: 'counter',
      name: 'adit_edge_bytes_total',
      help: 'Bytes of visitors, by direction.',
      samples: byDirection(stats),
    },
    {
      type: 'counter',
      name: 'adit_slow_visitors_total',
      help: 'Visitors ended because they sent (in) or took (out) too little.',
      samples: byDirection({ bytesIn: stats.tooSlowIn, bytesOut: stats.tooSlowOut }),
    },
  ]
}

function connectionMetrics({
  edge,
  publicPorts,
  upstreamConnections: upstream,
  adminConnections: admin,
  descriptorsExhausted,
  failedAccepts,
}: AdminSources): readonly Metric[] {
  const ports = Object.entries({
    proxy: edge.sockets,
    public: publicPorts.visitors.sockets,
    upstream,
    admin,
  })
  return [
    {
      type: 'gauge',
      name: 'adit_connections',
      help: 'Connections open now, upgraded ones included, by port.',
      samples: ports.map(([port, { open }]) => ({ labels: { port }, value: open })),
    },
    {
      type: 'counter',
      name: 'adit_connections_rejected_total',
      help: 'Connections rejected because a limit was reached, by port and limit.',
      samples: ports.flatMap(([port, { rejected }]) =>
        Object.entries(rejected).map(([limit, value]) => ({ labels: { port, limit }, value })),
      ),
    },
    {
      type: 'counter',
      name: 'adit_accept_failures_total',
      help: 'Connections that the system could not hand over, by port.',
      samples: Object.entries(failedAccepts()).map(([port, value]) => ({
        labels: { port },
        value,
      })),
    },
    {
      type: 'counter',
      name: 'adit_descriptors_exhausted_seconds_total',
      help: 'Seconds without a free file descriptor; new connections are closed without an answer then.',
      samples: [{ value: descriptorsExhausted() }],
    },
  ]
}

function upstreamMetrics({ registry, sessions }: AdminSources): readonly Metric[] {
  return [
    gauge('piko_upstreams_connected_upstreams', 'Agent sessions.', sessions()),
    gauge(
      'piko_upstreams_registered_endpoints',
      'Endpoints with an upstream.',
      registry.snapshot().size,
    ),
    gauge('adit_visitors_waiting', 'Visitors that wait for an agent now.', registry.waits.waiting),
    {
      type: 'counter',
      name: 'adit_visitors_not_waiting_total',
      help: 'Visitors rejected because too many waited for agents.',
      samples: [{ value: registry.waits.rejected }],
    },
    {
      type: 'counter',
      name: 'adit_streams_over_quota_total',
      help: 'Streams to agents that were not opened because one source or endpoint has too many.',
      samples: Object.entries(registry.quota.rejected).map(([limit, value]) => ({
        labels: { limit },
        value,
      })),
    },
  ]
}

function publicPortMetrics({ publicPorts }: AdminSources): readonly Metric[] {
  const { ports, visitors } = publicPorts
  const { open, connections, ...bytes } = visitors.counts()
  const served = ports.filter(({ hasAgents }) => hasAgents).length
  return [
    {
      type: 'gauge',
      name: 'adit_public_ports',
      help: 'Public ports claimed, by whether an agent serves them.',
      samples: [
        { labels: { state: 'served' }, value: served },
        { labels: { state: 'held' }, value: ports.length - served },
      ],
    },
    gauge('adit_public_port_visitors', 'Visitors of public ports now.', open),
    {
      type: 'counter',
      name: 'adit_public_port_connections_total',
      help: 'Visitors of public ports, by outcome.',
      samples: [
        { labels: { outcome: 'carried' }, value: connections },
        { labels: { outcome: 'refused' }, value: visitors.refused },
      ],
    },
    {
      type: 'counter',
      name: 'adit_public_port_bytes_total',
      help: 'Bytes of visitors of public ports, by direction.',
      samples: byDirection(bytes),
    },
  ]
}

function handshakeMetrics({ handshakes }: AdminSources): readonly Metric[] {
  return [
    {
      type: 'counter',
      name: 'adit_handshakes_held_off_total',
      help: 'Requests answered 429, by limit.',
      samples: Object.entries(handshakes?.refused ?? {}).map(([limit, count]) => ({
        labels: { limit },
        value: count,
      })),
    },
  ]
}

function gauge(name: string, help: string, value: number): Metric {
  return { type: 'gauge', name, help, samples: [{ value }] }
}

function byDirection({ bytesIn, bytesOut }: { bytesIn: number; bytesOut: number }) {
  return [
    { labels: { direction: 'in' }, value: bytesIn },
    { labels: { direction: 'out' }, value: bytesOut },
  ]
}
