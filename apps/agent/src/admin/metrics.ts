import type { AgentStatus, Metric, MetricSample } from '@proj/program-kit'

/** The state of an agent as metrics. */
export function agentMetrics({ links, listeners, accesses }: AgentStatus): readonly Metric[] {
  const all = [
    ...listeners.map((one) => ({ ...one, side: 'listener' })),
    ...accesses.map((one) => ({ ...one, side: 'access' })),
  ]
  const each = (value: (one: (typeof all)[number]) => number): MetricSample[] =>
    all.map((one) => ({ labels: { side: one.side, endpoint: one.endpoint }, value: value(one) }))
  return [
    {
      type: 'gauge',
      name: 'adit_agent_link_up',
      help: 'Whether there is a session with the server, for the listeners (offers) and the accesses.',
      samples: links.map(({ half, state }) => ({
        labels: { half },
        value: Number(state === 'connected'),
      })),
    },
    {
      type: 'gauge',
      name: 'adit_agent_listener_online',
      help: 'Whether the server routes visitors of the endpoint here.',
      samples: listeners.map(({ endpoint, state }) => ({
        labels: { endpoint },
        value: Number(state === 'online'),
      })),
    },
    {
      type: 'gauge',
      name: 'adit_agent_bind_listening',
      help: 'Whether a local address listens; 0 while it waits for its holder.',
      samples: accesses.flatMap(({ endpoint, binds }) =>
        binds.map(({ address, state }) => ({
          labels: { endpoint, address },
          value: Number(state === 'listening'),
        })),
      ),
    },
    {
      type: 'gauge',
      name: 'adit_agent_connections',
      help: 'Connections open now.',
      samples: each(({ open }) => open),
    },
    {
      type: 'counter',
      name: 'adit_agent_connections_total',
      help: 'Connections so far.',
      samples: each(({ total }) => total),
    },
    {
      type: 'counter',
      name: 'adit_agent_failures_total',
      help: 'Local connections that were reset so far.',
      samples: accesses.map(({ endpoint, failures }) => ({
        labels: { endpoint },
        value: failures,
      })),
    },
    {
      type: 'counter',
      name: 'adit_agent_bytes_total',
      help: 'Bytes so far, open connections included.',
      samples: all.flatMap(({ side, endpoint, bytesToService, bytesFromService }) => [
        { labels: { side, endpoint, direction: 'to_service' }, value: bytesToService },
        { labels: { side, endpoint, direction: 'from_service' }, value: bytesFromService },
      ]),
    },
  ]
}
