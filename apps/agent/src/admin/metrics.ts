import type { AgentStatus } from '../status/agent-status.ts'

type Sample = readonly [labels: Readonly<Record<string, string>>, value: number]

/** The state of an agent as Prometheus text. */
export function formatAgentMetrics(status: AgentStatus): string {
  const lines: string[] = []
  const metric = (
    name: string,
    type: 'counter' | 'gauge',
    help: string,
    samples: readonly Sample[],
  ): void => {
    if (samples.length === 0) return
    lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`)
    for (const [labels, value] of samples) lines.push(`${name}${formatLabels(labels)} ${value}`)
  }
  const { links, listeners, accesses } = status
  const all = [
    ...listeners.map((one) => ({ ...one, side: 'listener' })),
    ...accesses.map((one) => ({ ...one, side: 'access' })),
  ]
  const each = (value: (one: (typeof all)[number]) => number): Sample[] =>
    all.map((one) => [{ side: one.side, endpoint: one.endpoint }, value(one)])
  metric(
    'adit_agent_link_up',
    'gauge',
    'Whether there is a session with the server, by half of the program.',
    links.map(({ half, state }) => [{ half }, Number(state === 'connected')]),
  )
  metric(
    'adit_agent_listener_online',
    'gauge',
    'Whether the server routes visitors of the endpoint here.',
    listeners.map(({ endpoint, state }) => [{ endpoint }, Number(state === 'online')]),
  )
  metric(
    'adit_agent_bind_listening',
    'gauge',
    'Whether a local address listens; 0 while it waits for its holder.',
    accesses.flatMap(({ endpoint, binds }) =>
      binds.map(({ address, state }): Sample => [
        { endpoint, address },
        Number(state === 'listening'),
      ]),
    ),
  )
  metric(
    'adit_agent_connections',
    'gauge',
    'Connections open now.',
    each(({ open }) => open),
  )
  metric(
    'adit_agent_connections_total',
    'counter',
    'Connections so far.',
    each(({ total }) => total),
  )
  metric(
    'adit_agent_failures_total',
    'counter',
    'Local connections that were reset so far.',
    accesses.map(({ endpoint, failures }) => [{ endpoint }, failures]),
  )
  metric(
    'adit_agent_bytes_total',
    'counter',
    'Bytes so far, open connections included.',
    all.flatMap(({ side, endpoint, bytesToService, bytesFromService }): Sample[] => [
      [{ side, endpoint, direction: 'to_service' }, bytesToService],
      [{ side, endpoint, direction: 'from_service' }, bytesFromService],
    ]),
  )
  metric('process_resident_memory_bytes', 'gauge', 'Resident memory.', [
    [{}, process.memoryUsage.rss()],
  ])
  const cpu = process.cpuUsage()
  const seconds = (cpu.user + cpu.system) / 1e6
  metric('process_cpu_seconds_total', 'counter', 'CPU time used.', [[{}, seconds]])
  return `${lines.join('\n')}\n`
}

function formatLabels(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([name, value]) => {
    const escaped = value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
    return `${name}="${escaped}"`
  })
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`
}
