/** Whether all is well, and what is not; then numbers. */
import type { JSX } from 'preact'

import type {
  AgentItem,
  EndpointItem,
  LimitItem,
  NodeItem,
  ReservationItem,
  ServerInfo,
} from '../console-contract.ts'
import { OutcomeIcon } from '../parts/pictures.tsx'
import { Foreign } from '../parts/text.tsx'
import { agentsOf } from './agents.tsx'
import { endpointRows } from './endpoints.tsx'
import { History } from './history.tsx'
import { useList, useValue } from './resource.ts'
import { hrefOf } from './route.ts'
import { StateIcon } from './states.tsx'
import { Problem } from './table.tsx'
import { Ago, endpointName } from './texts.tsx'

/** Endpoints that need attention and are listed here; the list of endpoints has all of them. */
const MAX_LISTED = 10

export function Overview(): JSX.Element {
  const server = useValue<ServerInfo>('server')
  const endpoints = useList<EndpointItem>('endpoints')
  const reserved = useList<ReservationItem>('reservations')
  const agents = useList<AgentItem>('agents')
  const nodes = useList<NodeItem>('nodes')
  const limits = useList<LimitItem>('limits')
  const info = server.value.value
  const hit = limits.value.value?.items.filter(({ count }) => count > 0).length
  const rows = endpointRows(endpoints.value.value?.items ?? [], reserved.value.value?.items ?? [])
  const troubled = rows.filter(({ state }) => state === 'down' || state === 'degraded')
  return (
    <>
      <h2 tabIndex={-1}>Overview</h2>
      <Problem resource={server} />
      {endpoints.value.value !== undefined && (
        <p class={`verdict ${troubled.length === 0 ? 'reachable' : 'degraded'}`}>
          <OutcomeIcon outcome={troubled.length === 0 ? 'ok' : 'warn'} word="" />{' '}
          <b>
            {rows.length === 0
              ? 'No endpoint is served or reserved'
              : troubled.length === 0
                ? `Nothing is known to be wrong with ${rows.length === 1 ? 'the endpoint' : `the ${rows.length} endpoints`}`
                : `${troubled.length} of ${rows.length} endpoints need attention`}
          </b>
        </p>
      )}
      {troubled.length > 0 && (
        <ul class="troubles">
          {troubled.slice(0, MAX_LISTED).map(({ endpoint, tenant, state }) => (
            <li key={`${tenant}/${endpoint}`}>
              <StateIcon state={state} hasWord />{' '}
              <a href={hrefOf('endpoints', endpoint, tenant)}>
                <Foreign text={endpointName(endpoint, tenant)} />
              </a>
            </li>
          ))}
        </ul>
      )}
      <ul class="tiles">
        <Tile view="endpoints" name="Endpoints" count={endpoints.value.value && rows.length} />
        <Tile
          view="agents"
          name="Agents"
          count={agents.value.value && agentsOf(agents.value.value.items).length}
        />
        <Tile view="nodes" name="Nodes" count={nodes.value.value?.items.length} />
        <Tile view="limits" name="Limits hit" count={hit} />
      </ul>
      {info !== undefined && (
        <>
          <History history={info.history} />
          <p class="muted">
            Node <Foreign text={info.node} />, version <Foreign text={info.version} />, {info.state}
            , started <Ago time={info.started} />; {info.requests} requests since then,{' '}
            {info.inFlight} now; {info.connections} visitors connected, {info.upgraded} upgraded.
          </p>
        </>
      )}
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
