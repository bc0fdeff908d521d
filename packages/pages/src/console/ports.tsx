/** The TCP ports that endpoints have claimed. */
import type { JSX } from 'preact'

import type { PortItem } from '../console-contract.ts'
import { formatBytes } from '../parts/format.ts'
import { OutcomeIcon } from '../parts/pictures.tsx'
import { Foreign } from '../parts/text.tsx'
import { useList } from './resource.ts'
import { type Column, FilteredTable, itemsOf } from './table.tsx'
import { Ago, endpointName, List, Until } from './texts.tsx'

const COLUMNS: readonly Column<PortItem>[] = [
  { name: 'Port', of: ({ port }) => port, isNumber: true },
  { name: 'Endpoint', of: (row) => <Foreign text={endpointName(row.endpoint, row.tenant)} /> },
  {
    name: 'State',
    of: ({ heldUntil }) =>
      heldUntil === undefined ? (
        <span class="state">
          <OutcomeIcon outcome="ok" word="" /> served
        </span>
      ) : (
        <span class="state">
          <OutcomeIcon outcome="warn" word="" /> kept, ends <Until time={heldUntil} />
        </span>
      ),
  },
  { name: 'Visitors', of: ({ visitors = 0 }) => visitors, isNumber: true },
  { name: 'So far', of: ({ connections = 0 }) => connections, isNumber: true, isMinor: true },
  { name: 'Rejected', of: ({ refused = 0 }) => refused, isNumber: true, isMinor: true },
  { name: 'In', of: ({ bytesIn = 0 }) => formatBytes(bytesIn), isNumber: true, isMinor: true },
  { name: 'Out', of: ({ bytesOut = 0 }) => formatBytes(bytesOut), isNumber: true, isMinor: true },
  { name: 'Addresses', of: ({ addresses }) => <List texts={addresses} />, isMinor: true },
  { name: 'Owner', of: ({ identity }) => <Foreign text={identity} />, isMinor: true },
  { name: 'Since', of: ({ since }) => <Ago time={since} />, isMinor: true },
]

export function Ports(): JSX.Element {
  return (
    <>
      <h2 tabIndex={-1}>Public ports</h2>
      <FilteredTable
        resource={useList<PortItem>('ports')}
        rowsOf={itemsOf}
        label="Public ports"
        columns={COLUMNS}
        keyOf={({ port, node }) => `${port} ${node}`}
        textOf={({ port, endpoint, identity }) => `${port} ${endpoint} ${identity}`}
        empty={
          <>
            <p>No endpoint has a public port.</p>
            <p class="muted">
              The setting <code>public_ports.ranges</code> allows them;{' '}
              <code>adit tcp db 5432</code> asks for one.
            </p>
          </>
        }
      />
    </>
  )
}
