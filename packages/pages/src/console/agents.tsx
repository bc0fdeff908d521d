/** The agents: each may have several sessions, and each session several endpoints. */
import type { JSX } from 'preact'

import type { AgentItem } from '../console-contract.ts'
import { Foreign } from '../parts/text.tsx'
import { useList } from './resource.ts'
import { type Column, FilteredTable } from './table.tsx'
import { Ago, List } from './texts.tsx'

/** An agent with all its sessions on one node. */
export interface Agent {
  readonly id: string
  readonly node: string
  readonly sessions: number
  readonly endpoints: readonly string[]
  readonly protocols: readonly string[]
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
        protocols: [...new Set(all.map(({ protocol }) => protocol))],
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

const COLUMNS: readonly Column<Agent>[] = [
  { name: 'Agent', of: ({ id }) => <Foreign text={id} /> },
  { name: 'Endpoints', of: ({ endpoints }) => <List texts={endpoints} /> },
  { name: 'From', of: ({ addresses }) => <List texts={addresses} />, isMinor: true },
  { name: 'Connected', of: ({ connectedAt }) => <Ago time={connectedAt} />, isMinor: true },
  { name: 'Sessions', of: ({ sessions }) => sessions, isNumber: true, isMinor: true },
  { name: 'Streams', of: ({ openStreams }) => openStreams, isNumber: true },
  { name: 'Node', of: ({ node }) => <Foreign text={node} />, isMinor: true },
]

export function Agents(): JSX.Element {
  return (
    <>
      <h2 tabIndex={-1}>Agents</h2>
      <FilteredTable
        resource={useList<AgentItem>('agents')}
        rowsOf={({ items }) => agentsOf(items)}
        label="Agents"
        columns={COLUMNS}
        keyOf={({ id, node }) => `${id}\n${node}`}
        textOf={({ id, node, endpoints, addresses }) =>
          [id, node, ...endpoints, ...addresses].join(' ')
        }
        empty={<p>No agent is connected.</p>}
      />
    </>
  )
}
