/** What there is, in numbers. */
import type { JSX } from 'preact'

import type { AgentItem, EndpointItem, NodeItem, TokenItem } from '../console-contract.ts'
import { useList } from './resource.ts'
import { hrefOf } from './route.ts'
import { agentsOf } from './agents.tsx'
import { Problem } from './table.tsx'

export function Overview(): JSX.Element {
  const endpoints = useList<EndpointItem>('endpoints')
  const agents = useList<AgentItem>('agents')
  const tokens = useList<TokenItem>('tokens')
  const nodes = useList<NodeItem>('nodes')
  const sessions = agents.value.value?.items ?? []
  return (
    <>
      <h2 tabIndex={-1}>Overview</h2>
      <Problem resource={endpoints} />
      <ul class="tiles">
        <Tile view="endpoints" name="Endpoints" count={endpoints.value.value?.items.length} />
        <Tile view="agents" name="Agents" count={agents.value.value && agentsOf(sessions).length} />
        <Tile
          view="tokens"
          name="Good tokens"
          count={tokens.value.value?.items.filter(({ state }) => state === 'good').length}
        />
        <Tile view="nodes" name="Nodes" count={nodes.value.value?.items.length} />
      </ul>
    </>
  )
}

function Tile({
  view,
  name,
  count,
}: {
  readonly view: string
  readonly name: string
  readonly count: number | undefined
}): JSX.Element {
  return (
    <li>
      <a href={hrefOf(view)}>
        <b>{count ?? '–'}</b> {name}
      </a>
    </li>
  )
}
