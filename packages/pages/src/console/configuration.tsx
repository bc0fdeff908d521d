/** Settings in force, and where each comes from. */
import type { JSX } from 'preact'

import type { SettingItem } from '../console-contract.ts'
import { Foreign } from '../parts/text.tsx'
import { useList } from './resource.ts'
import { type Column, FilteredTable, itemsOf } from './table.tsx'

const COLUMNS: readonly Column<SettingItem>[] = [
  { name: 'Setting', of: ({ key }) => <code>{key}</code> },
  {
    name: 'Value',
    of: ({ value }) =>
      value === null ? (
        <span class="muted">none</span>
      ) : (
        <Foreign text={value === '' ? '""' : value} />
      ),
  },
  {
    name: 'From',
    of: ({ origin }) =>
      origin === 'default' ? <span class="muted">default</span> : <Foreign text={origin} />,
    isMinor: true,
  },
]

export function Configuration(): JSX.Element {
  return (
    <>
      <h2 tabIndex={-1}>Configuration</h2>
      <FilteredTable
        resource={useList<SettingItem>('configuration')}
        rowsOf={itemsOf}
        label="Settings"
        columns={COLUMNS}
        keyOf={({ key }) => key}
        textOf={({ key, value, origin }) => `${key} ${value ?? ''} ${origin}`}
        empty={<p>The server was not started from settings.</p>}
      />
    </>
  )
}
