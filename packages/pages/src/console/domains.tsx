/** Domains that identities have asked for, and what proves each. */
import type { JSX } from 'preact'

import type { DomainItem } from '../console-contract.ts'
import { OutcomeIcon } from '../parts/pictures.tsx'
import { Foreign } from '../parts/text.tsx'
import { useList } from './resource.ts'
import { type Column, FilteredTable, itemsOf } from './table.tsx'
import { Ago, endpointName } from './texts.tsx'

const STATES = {
  pending: ['open', 'not proved yet'],
  proved: ['ok', 'proved'],
  missing: ['warn', 'the proof is missing'],
} as const

const COLUMNS: readonly Column<DomainItem>[] = [
  { name: 'Domain', of: ({ domain }) => <Foreign text={domain} /> },
  {
    name: 'State',
    of: ({ state }) => (
      <span class="state">
        <OutcomeIcon outcome={STATES[state][0]} word="" /> {STATES[state][1]}
      </span>
    ),
  },
  { name: 'Endpoint', of: (row) => <Foreign text={endpointName(row.endpoint, row.tenant)} /> },
  { name: 'Asked for by', of: ({ identity }) => <Foreign text={identity} />, isMinor: true },
  {
    name: 'Proof',
    of: ({ record, file }) =>
      record !== undefined ? (
        <Foreign text={`${record.name} ${record.type} ${record.value}`} />
      ) : (
        <Foreign text={file === undefined ? '–' : `${file.url}: ${file.content}`} />
      ),
    isMinor: true,
  },
  {
    name: 'Checked',
    of: ({ checkedAt }) => (checkedAt === undefined ? 'never' : <Ago time={checkedAt} />),
    isMinor: true,
  },
  { name: 'Since', of: ({ since }) => <Ago time={since} />, isMinor: true },
]

export function Domains(): JSX.Element {
  return (
    <>
      <h2 tabIndex={-1}>Domains</h2>
      <FilteredTable
        resource={useList<DomainItem>('domains')}
        rowsOf={itemsOf}
        label="Domains"
        columns={COLUMNS}
        keyOf={({ domain, tenant, identity }) => `${domain}\n${tenant}\n${identity}`}
        textOf={({ domain, tenant, endpoint, identity, state }) =>
          `${domain} ${endpointName(endpoint, tenant)} ${identity} ${state}`
        }
        empty={
          <>
            <p>No identity has asked for a domain.</p>
            <p class="muted">
              <code>adit domain add shop.example.com shop</code> asks for one. Domains of the
              setting <code>domains</code> are not listed here.
            </p>
          </>
        }
      />
    </>
  )
}
