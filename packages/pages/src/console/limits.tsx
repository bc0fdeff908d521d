/** Limits, those that were hit first. */
import type { JSX } from 'preact'

import type { LimitItem } from '../console-contract.ts'
import { OutcomeIcon } from '../parts/pictures.tsx'
import { useList } from './resource.ts'
import { type Column, FilteredTable } from './table.tsx'

const COLUMNS: readonly Column<LimitItem>[] = [
  { name: 'Limit', of: ({ limit }) => limit },
  {
    name: 'Hit since the start',
    of: ({ count }) => (
      <span class="state">
        <OutcomeIcon outcome={count > 0 ? 'warn' : 'ok'} word="" /> {count === 0 ? 'never' : count}
      </span>
    ),
  },
  {
    name: 'Setting',
    of: ({ setting }) =>
      setting === undefined ? <span class="muted">–</span> : <code>{setting}</code>,
    isMinor: true,
  },
]

export function Limits(): JSX.Element {
  return (
    <>
      <h2 tabIndex={-1}>Limits</h2>
      <FilteredTable
        resource={useList<LimitItem>('limits')}
        rowsOf={({ items }) => items.toSorted((a, b) => b.count - a.count)}
        label="Limits"
        columns={COLUMNS}
        keyOf={({ limit }) => limit}
        textOf={({ limit, setting = '' }) => `${limit} ${setting}`}
        empty={<p>There are none.</p>}
      />
    </>
  )
}
