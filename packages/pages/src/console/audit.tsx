/** What was done, by whom and from where. */
import type { JSX } from 'preact'
import { useState } from 'preact/hooks'

import type { AuditItem } from '../console-contract.ts'
import { formatMoment } from '../parts/format.ts'
import { Foreign, saveFile } from '../parts/text.tsx'
import { useList } from './resource.ts'
import { type Column, FilteredTable } from './table.tsx'

/** Kinds of events, as the choice names them. */
const KINDS = ['all', 'token', 'name', 'port', 'domain', 'agent', 'session', 'auth'] as const

/** Members that have a column of their own. */
const OWN = new Set(['time', 'event', 'by', 'identity', 'remoteAddress'])

const COLUMNS: readonly Column<AuditItem>[] = [
  {
    name: 'Time',
    of: ({ time }) => (
      <time dateTime={time} class="moment">
        {formatMoment(time)}
      </time>
    ),
  },
  { name: 'Event', of: ({ event }) => <b>{event}</b> },
  {
    name: 'Who',
    of: (item) => <Foreign text={String(item['by'] ?? item['identity'] ?? '–')} />,
  },
  {
    name: 'From',
    of: (item) => <Foreign text={String(item['remoteAddress'] ?? '–')} />,
    isMinor: true,
  },
  {
    name: 'What',
    of: (item) => (
      <>
        {Object.entries(item)
          .filter(([name, value]) => !OWN.has(name) && value !== '')
          .map(([name, value]) => (
            <span class="fact" key={name}>
              <span class="muted">{name}</span> <Foreign text={String(value)} />
            </span>
          ))}
      </>
    ),
    isMinor: true,
  },
]

export function Audit(): JSX.Element {
  const [kind, setKind] = useState<(typeof KINDS)[number]>('all')
  const events = useList<AuditItem>('audit')
  return (
    <>
      <h2 tabIndex={-1}>Audit log</h2>
      <FilteredTable
        resource={events}
        rowsOf={({ items }) =>
          kind === 'all' ? items : items.filter(({ event }) => event.startsWith(`${kind}.`))
        }
        label="Events"
        columns={COLUMNS}
        keyOf={(item) => JSON.stringify(item)}
        textOf={(item) => Object.values(item).join(' ')}
        empty={<p>There is no event of this kind.</p>}
        tools={
          <>
            <label>
              Kind{' '}
              <select
                value={kind}
                onChange={({ currentTarget }) => setKind(currentTarget.value as typeof kind)}
              >
                {KINDS.map((name) => (
                  <option key={name}>{name}</option>
                ))}
              </select>
            </label>
            <button
              type="button"
              onClick={() => {
                const lines = (events.value.value?.items ?? []).map((item) => JSON.stringify(item))
                saveFile('adit-audit.jsonl', new Blob([`${lines.join('\n')}\n`]))
              }}
            >
              Save as JSON lines
            </button>
          </>
        }
      />
    </>
  )
}
