import type { AdminParts } from './admin.ts'

/**
 * The server's counters as Prometheus text. Names follow Piko's where the meaning is the same, so
 * that its dashboards read them; ours begin with `adit_`.
 */
export function formatMetrics({
  edge,
  registry,
  publicPorts,
  sessions,
  authenticator,
}: Omit<AdminParts, 'ready' | 'tls' | 'addressOf' | 'certificateOf'>): string {
  const lines: string[] = []
  const metric = (
    name: string,
    type: 'counter' | 'gauge',
    help: string,
    samples: readonly (readonly [labels: string, value: number])[],
  ): void => {
    lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`)
    for (const [labels, value] of samples) lines.push(`${name}${labels} ${value}`)
  }
  const { stats } = edge
  metric(
    'piko_proxy_requests_total',
    'counter',
    'Requests answered, by status.',
    [...stats.statuses].map(([status, count]) => [`{status="${status}"}`, count] as const),
  )
  metric('piko_proxy_requests_in_flight', 'gauge', 'Requests running now.', [['', stats.inFlight]])
  metric('piko_upstreams_connected_upstreams', 'gauge', 'Agent sessions.', [['', sessions()]])
  metric('piko_upstreams_registered_endpoints', 'gauge', 'Endpoints with an upstream.', [
    ['', registry.snapshot().size],
  ])
  metric('adit_edge_connections', 'gauge', 'Visitors connected now.', [['', edge.connections]])
  metric('adit_edge_upgraded', 'gauge', 'Upgraded connections open now.', [['', stats.upgraded]])
  metric('adit_edge_bytes_total', 'counter', 'Bytes of visitors, by direction.', [
    ['{direction="in"}', stats.bytesIn],
    ['{direction="out"}', stats.bytesOut],
  ])
  const { ports, visitors } = publicPorts
  const { open, connections, bytesIn, bytesOut } = visitors.counts()
  const served = ports.filter(({ isServed }) => isServed).length
  metric('adit_public_ports', 'gauge', 'Public ports claimed, by whether an agent serves them.', [
    ['{state="served"}', served],
    ['{state="held"}', ports.length - served],
  ])
  metric('adit_public_port_visitors', 'gauge', 'Visitors of public ports now.', [['', open]])
  metric('adit_public_port_connections_total', 'counter', 'Visitors of public ports, by outcome.', [
    ['{outcome="carried"}', connections],
    ['{outcome="refused"}', visitors.refused],
  ])
  metric('adit_public_port_bytes_total', 'counter', 'Bytes of their visitors, by direction.', [
    ['{direction="in"}', bytesIn],
    ['{direction="out"}', bytesOut],
  ])
  const heldOff = Object.entries(authenticator?.limits.refused ?? {})
  metric(
    'adit_handshakes_held_off_total',
    'counter',
    'Requests answered 429 for their number, by limit.',
    heldOff.map(([limit, count]) => [`{limit="${limit}"}`, count] as const),
  )
  const memory = process.memoryUsage()
  metric('process_resident_memory_bytes', 'gauge', 'Resident memory.', [['', memory.rss]])
  const cpu = process.cpuUsage()
  metric('process_cpu_seconds_total', 'counter', 'CPU time used.', [
    ['', (cpu.user + cpu.system) / 1e6],
  ])
  return `${lines.join('\n')}\n`
}
