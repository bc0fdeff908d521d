/** What visitors can reach. */
import type { JSX } from 'preact'

import type { EndpointItem } from '../console-contract.ts'
import { Foreign } from '../parts/text.tsx'
import { useList } from './resource.ts'
import { type Column, FilteredTable, itemsOf } from './table.tsx'
import { endpointName, List } from './texts.tsx'

const COLUMNS: readonly Column<EndpointItem>[] = [
  { name: 'Endpoint', of: (row) => <Foreign text={endpointName(row.endpoint, row.tenant)} /> },
  { name: 'Sessions', of: ({ sessions }) => sessions, isNumber: true },
  {
    name: 'Addresses',
    of: ({ urls }) => <List texts={urls} />,
    isMinor: true,
  },
  {
    name: 'Reserved for',
    of: ({ reservedFor }) =>
      reservedFor === null ? <span class="muted">nobody</span> : <Foreign text={reservedFor} />,
    isMinor: true,
  },
]

export function Endpoints(): JSX.Element {
  return (
    <>
      <h2 tabIndex={-1}>Endpoints</h2>
      <FilteredTable
        resource={useList<EndpointItem>('endpoints')}
        rowsOf={itemsOf}
        label="Endpoints"
        columns={COLUMNS}
        keyOf={({ endpoint, tenant }) => `${tenant}/${endpoint}`}
        textOf={(row) =>
          `${endpointName(row.endpoint, row.tenant)} ${row.urls.join(' ')} ${row.reservedFor ?? ''}`
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
