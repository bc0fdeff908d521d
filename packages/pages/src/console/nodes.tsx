/** The nodes of the cluster; a server alone is one. */
import type { JSX } from 'preact'

import type { NodeItem } from '../console-contract.ts'
import { OutcomeIcon } from '../parts/pictures.tsx'
import { Foreign } from '../parts/text.tsx'
import { useList } from './resource.ts'
import { type Column, FilteredTable, itemsOf } from './table.tsx'

const STATES = {
  active: ['ok', 'active'],
  unreachable: ['bad', 'not reachable'],
  left: ['warn', 'leaving'],
} as const

const COLUMNS: readonly Column<NodeItem>[] = [
  {
    name: 'Node',
    of: ({ id, local }) => (
      <>
        <Foreign text={id} /> {local && <span class="tag">this one</span>}
      </>
    ),
  },
  {
    name: 'State',
    of: ({ status }) => (
      <span class="state">
        <OutcomeIcon outcome={STATES[status][0]} word="" /> {STATES[status][1]}
      </span>
    ),
  },
  { name: 'Version', of: ({ version }) => <Foreign text={version} /> },
  { name: 'Sessions', of: ({ sessions }) => sessions, isNumber: true },
  { name: 'Endpoints', of: ({ endpoints }) => endpoints, isNumber: true },
  {
    name: 'Address',
    of: ({ proxy_addr: address = '' }) => (address === '' ? '–' : <Foreign text={address} />),
  },
]

export function Nodes(): JSX.Element {
  const nodes = useList<NodeItem>('nodes')
  const versions = new Set(nodes.value.value?.items.map(({ version }) => version))
  return (
    <>
      <h2 tabIndex={-1}>Nodes</h2>
      {versions.size > 1 && (
        <p class="note">The nodes have different versions: upgrade those that are older.</p>
      )}
      <FilteredTable
        resource={nodes}
        rowsOf={itemsOf}
        label="Nodes"
        columns={COLUMNS}
        keyOf={({ id }) => id}
        textOf={({ id, version, status }) => `${id} ${version} ${status}`}
        empty={<p>There is no node.</p>}
      />
    </>
  )
}
