/** The agents: each may have several sessions, and each session several endpoints. */
import type { JSX } from 'preact'

import type { AgentItem, NodeItem } from '../console-contract.ts'
import { formatMs } from '../parts/format.ts'
import { Foreign } from '../parts/text.tsx'
import { change } from './api.ts'
import { ask } from './confirm.tsx'
import { useList } from './resource.ts'
import { type Column, FilteredTable } from './table.tsx'
import { Ago, List } from './texts.tsx'

/** An agent with all its sessions on one node. */
export interface Agent {
  readonly id: string
  readonly node: string
  readonly sessions: number
  readonly endpoints: readonly string[]
  readonly identities: readonly string[]
  readonly software: string | undefined
  /** The longest of its sessions; undefined: not measured. */
  readonly roundTripMs: number | undefined
  readonly addresses: readonly string[]
  readonly connectedAt: string
  readonly openStreams: number
}

/** The agents of a list of sessions and endpoints. */
export function agentsOf(items: readonly AgentItem[]): Agent[] {
  const byAgent = new Map<string, AgentItem[]>()
  for (const item of items) {
    const key = `${item.agent ?? item.session}\n${item.node}`
    const known = byAgent.get(key)
    if (known === undefined) byAgent.set(key, [item])
    else known.push(item)
  }
  return [...byAgent.values()].flatMap((all) => {
    const [first] = all
    if (first === undefined) return []
    const sessions = new Map(all.map((one) => [one.session, one]))
    return [
      {
        id: first.agent ?? first.session,
        node: first.node,
        sessions: sessions.size,
        endpoints: [...new Set(all.map(({ endpoint }) => endpoint))],
        identities: [...new Set(all.flatMap(({ identity }) => identity ?? []))],
        software: first.software,
        roundTripMs: all.reduce<number | undefined>(
          (most, one) =>
            one.roundTripMs === undefined ? most : Math.max(most ?? 0, one.roundTripMs),
          undefined,
        ),
        addresses: [...new Set(all.flatMap(({ remoteAddress }) => remoteAddress ?? []))],
        connectedAt: all.reduce(
          (least, { connectedAt }) => (connectedAt < least ? connectedAt : least),
          first.connectedAt,
        ),
        openStreams: [...sessions.values()].reduce((sum, one) => sum + one.openStreams, 0),
      },
    ]
  })
}

export function Agents(): JSX.Element {
  const local = useList<NodeItem>('nodes').value.value?.items.find((node) => node.local)?.id
  const columns: readonly Column<Agent>[] = [
    {
      name: 'Agent',
      of: ({ id, software }) => (
        <>
          <code>
            <Foreign text={id} />
          </code>{' '}
          {software !== undefined && (
            <span class="muted">
              <Foreign text={software} />
            </span>
          )}
        </>
      ),
    },
    { name: 'Endpoints', of: ({ endpoints }) => <List texts={endpoints} /> },
    { name: 'Identity', of: ({ identities }) => <List texts={identities} />, isMinor: true },
    { name: 'From', of: ({ addresses }) => <List texts={addresses} />, isMinor: true },
    { name: 'Connected', of: ({ connectedAt }) => <Ago time={connectedAt} />, isMinor: true },
    { name: 'Sessions', of: ({ sessions }) => sessions, isNumber: true, isMinor: true },
    { name: 'Streams', of: ({ openStreams }) => openStreams, isNumber: true, isMinor: true },
    {
      name: 'Round trip',
      of: ({ roundTripMs }) => (roundTripMs === undefined ? '–' : formatMs(roundTripMs)),
      isNumber: true,
      isMinor: true,
    },
    {
      name: 'Actions',
      of: (agent) =>
        agent.node === local ? (
          <span class="actions">
            <button type="button" onClick={() => drain(agent)}>
              Drain <span class="hidden-text">{agent.id}</span>
            </button>
            <button type="button" onClick={() => disconnect(agent)}>
              Disconnect <span class="hidden-text">{agent.id}</span>
            </button>
          </span>
        ) : (
          <span class="muted">
            on node <Foreign text={agent.node} />
          </span>
        ),
    },
  ]
  return (
    <>
      <h2 tabIndex={-1}>Agents</h2>
      <FilteredTable
        resource={useList<AgentItem>('agents')}
        rowsOf={({ items }) => agentsOf(items)}
        label="Agents"
        columns={columns}
        keyOf={({ id, node }) => `${id}\n${node}`}
        textOf={({ id, node, software = '', endpoints, addresses, identities }) =>
          [id, node, software, ...endpoints, ...addresses, ...identities].join(' ')
        }
        empty={<p>No agent is connected.</p>}
      />
    </>
  )
}

function drain({ id, sessions, endpoints }: Agent): void {
  ask({
    title: 'Drain an agent',
    text: (
      <p>
        The agent is asked to connect again: to another node, where there is one, else to this one.
        Visitors of its {countOf(endpoints.length, 'endpoint')} are served all the time;{' '}
        {countOf(sessions, 'session')} of it will be replaced.
      </p>
    ),
    verb: `Drain ${id}`,
    done: `${id} was asked to connect elsewhere.`,
    run: async () => await change('POST', `agents/${encodeURIComponent(id)}/drain`),
  })
}

function disconnect({ id, sessions, openStreams, endpoints }: Agent): void {
  ask({
    title: 'Disconnect an agent',
    text: (
      <p>
        {countOf(sessions, 'session')} of the agent will be cut off now, with{' '}
        {countOf(openStreams, 'open stream')} and {countOf(endpoints.length, 'endpoint')}. The agent
        comes back by itself; to keep it away, revoke its token.
      </p>
    ),
    verb: `Disconnect ${id}`,
    done: `${id} was disconnected.`,
    run: async () => await change('DELETE', `agents/${encodeURIComponent(id)}`),
  })
}

function countOf(count: number, name: string): string {
  return `${count} ${name}${count === 1 ? '' : 's'}`
}
