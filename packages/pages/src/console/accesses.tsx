/** Consumers: `adit access`, and programs that dial. */
import type { JSX } from 'preact'

import type { AccessItem } from '../console-contract.ts'
import { Foreign } from '../parts/text.tsx'
import { useList } from './resource.ts'
import { type Column, FilteredTable, itemsOf } from './table.tsx'
import { Ago } from './texts.tsx'

const COLUMNS: readonly Column<AccessItem>[] = [
  { name: 'Identity', of: ({ identity }) => <Foreign text={identity} /> },
  { name: 'From', of: ({ remoteAddress = '–' }) => <Foreign text={remoteAddress} /> },
  { name: 'Program', of: ({ software = '–' }) => <Foreign text={software} />, isMinor: true },
  { name: 'Connected', of: ({ since }) => <Ago time={since} />, isMinor: true },
  { name: 'Open connections', of: ({ connections }) => connections, isNumber: true },
]

export function Accesses(): JSX.Element {
  return (
    <>
      <h2 tabIndex={-1}>Accesses</h2>
      <FilteredTable
        resource={useList<AccessItem>('accesses')}
        rowsOf={itemsOf}
        label="Accesses"
        columns={COLUMNS}
        keyOf={(item) => `${item.since} ${item.remoteAddress} ${item.identity}`}
        textOf={({ identity, remoteAddress = '' }) => `${identity} ${remoteAddress}`}
        empty={
          <>
            <p>No consumer is connected to this node.</p>
            <p class="muted">
              <code>adit access db 5432</code> opens a local port that leads to the endpoint db.
            </p>
          </>
        }
      />
    </>
  )
}
