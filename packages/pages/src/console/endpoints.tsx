/** What visitors can reach: what agents serve, and names that are kept while no agent does. */
import type { JSX } from 'preact'

import type { EndpointItem, EndpointState, ReservationItem } from '../console-contract.ts'
import { Spark } from '../parts/pictures.tsx'
import { Foreign } from '../parts/text.tsx'
import { EndpointPage } from './endpoint.tsx'
import { useList } from './resource.ts'
import { hrefOf, route } from './route.ts'
import { StateIcon } from './states.tsx'
import { type Column, FilteredTable } from './table.tsx'
import { endpointName, List } from './texts.tsx'

/** An endpoint of the list. */
export interface EndpointRow {
  readonly endpoint: string
  readonly tenant: string
  readonly state: EndpointState
  readonly sessions: number
  readonly urls: readonly string[]
  readonly requests: readonly number[]
  readonly reservedFor: string | null
}

/** Worst first. */
const ORDER: readonly EndpointState[] = ['down', 'degraded', 'unknown', 'reachable']

/** All endpoints, those that need attention first. */
export function endpointRows(
  served: readonly EndpointItem[],
  reserved: readonly ReservationItem[],
): EndpointRow[] {
  const known = new Set(served.map(({ endpoint, tenant }) => `${tenant}/${endpoint}`))
  const rows = [
    ...served.map((one) => ({ ...one, requests: one.requests ?? [] })),
    ...reserved
      .filter(({ endpoint, tenant }) => !known.has(`${tenant}/${endpoint}`))
      .map(({ endpoint, tenant, identity }) => ({
        endpoint,
        tenant,
        state: 'down' as const,
        sessions: 0,
        urls: [],
        requests: [],
        reservedFor: identity,
      })),
  ]
  return rows.toSorted((a, b) => ORDER.indexOf(a.state) - ORDER.indexOf(b.state))
}

const COLUMNS: readonly Column<EndpointRow>[] = [
  {
    name: 'Endpoint',
    of: (row) => (
      <a href={hrefOf('endpoints', row.endpoint, row.tenant)}>
        <Foreign text={endpointName(row.endpoint, row.tenant)} />
      </a>
    ),
  },
  { name: 'State', of: ({ state }) => <StateIcon state={state} hasWord /> },
  { name: 'Sessions', of: ({ sessions }) => sessions, isNumber: true, isMinor: true },
  {
    name: 'Requests, last hour',
    of: ({ requests }) => (
      <span class="state">
        {requests.reduce((sum, one) => sum + one, 0)}{' '}
        {requests.some((one) => one > 0) && <Spark values={requests} width={64} height={16} />}
      </span>
    ),
    isMinor: true,
  },
  { name: 'Addresses', of: ({ urls }) => <List texts={urls} />, isMinor: true },
  {
    name: 'Reserved for',
    of: ({ reservedFor }) =>
      reservedFor === null ? <span class="muted">–</span> : <Foreign text={reservedFor} />,
    isMinor: true,
  },
]

export function Endpoints(): JSX.Element {
  const [name, tenant = ''] = route.value.parts
  if (name === undefined) return <EndpointList />
  return <EndpointPage key={`${tenant}/${name}`} name={name} tenant={tenant} />
}

function EndpointList(): JSX.Element {
  const reserved = useList<ReservationItem>('reservations').value.value?.items ?? []
  return (
    <>
      <h2 tabIndex={-1}>Endpoints</h2>
      <FilteredTable
        resource={useList<EndpointItem>('endpoints')}
        rowsOf={({ items }) => endpointRows(items, reserved)}
        label="Endpoints"
        columns={COLUMNS}
        keyOf={({ endpoint, tenant }) => `${tenant}/${endpoint}`}
        textOf={({ endpoint, tenant, urls, state, reservedFor }) =>
          `${endpointName(endpoint, tenant)} ${state} ${urls.join(' ')} ${reservedFor ?? ''}`
        }
        empty={
          <>
            <p>No agent serves an endpoint now.</p>
            <p class="muted">
              <code>adit http web 3000</code> on the machine of a service serves one.
            </p>
          </>
        }
      />
    </>
  )
}
