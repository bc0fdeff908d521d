/** A list of things: a table, cards on a narrow screen, and only the rows in view when there are many. */
import type { ComponentChildren, JSX } from 'preact'
import { useState } from 'preact/hooks'

import { isNarrow, useWindow } from '../parts/window.ts'
import type { WholeList } from './api.ts'
import type { Resource } from './resource.ts'

/** Most rows that are drawn at once. */
export const MAX_DRAWN = 500

/** Height of a row where only those in view are drawn, px. */
const ROW = 34

/** A column of a table. */
export interface Column<Row> {
  readonly name: string
  readonly of: (row: Row) => ComponentChildren
  readonly isNumber?: boolean
  /** Whether it is left out on a narrow screen when there are many rows: these have one line. */
  readonly isMinor?: boolean
}

/** The items of a list as its rows. */
export function itemsOf<Item>({ items }: WholeList<Item>): readonly Item[] {
  return items
}

/** A table of rows that fit to a filter. */
export function FilteredTable<Item, Row = Item>({
  resource,
  label,
  columns,
  keyOf,
  textOf,
  empty,
  tools,
  rowsOf,
}: {
  readonly resource: Resource<WholeList<Item>>
  readonly label: string
  readonly columns: readonly Column<Row>[]
  readonly keyOf: (row: Row) => string
  /** What the filter looks in. */
  readonly textOf: (row: Row) => string
  /** What is said when there is none. */
  readonly empty: ComponentChildren
  readonly tools?: ComponentChildren
  readonly rowsOf: (list: WholeList<Item>) => readonly Row[]
}): JSX.Element {
  const [filter, setFilter] = useState('')
  const list = resource.value.value
  const all = list === undefined ? [] : rowsOf(list)
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean)
  const rows =
    words.length === 0
      ? all
      : all.filter((row) => {
          const text = textOf(row).toLowerCase()
          return words.every((word) =>
            word.startsWith('-') && word.length > 1
              ? !text.includes(word.slice(1))
              : text.includes(word),
          )
        })
  return (
    <>
      <div class="tools">
        <input
          type="search"
          class="filter"
          placeholder="Filter; a minus in front excludes"
          aria-label={`Filter ${label.toLowerCase()}`}
          value={filter}
          onInput={({ currentTarget }) => setFilter(currentTarget.value)}
        />
        {tools}
      </div>
      <Problem resource={resource} />
      {list !== undefined && list.unreachable.length > 0 && (
        <p class="note">
          These nodes did not answer, and what is there is missing: {list.unreachable.join(', ')}
        </p>
      )}
      {list?.isCut === true && <p class="note">Only the first 10 000 are shown.</p>}
      {list === undefined ? (
        resource.problem.value === '' && <p class="empty muted">Reading…</p>
      ) : all.length === 0 ? (
        <div class="empty">{empty}</div>
      ) : rows.length === 0 ? (
        <p class="empty muted">Nothing matches the filter.</p>
      ) : (
        <Table label={label} rows={rows} columns={columns} keyOf={keyOf} />
      )}
      {list !== undefined && all.length > 0 && (
        <p class="count muted">
          {rows.length === all.length ? `${all.length} in all` : `${rows.length} of ${all.length}`}
        </p>
      )}
    </>
  )
}

/** Why something could not be read. */
export function Problem({
  resource,
}: {
  readonly resource: Resource<unknown>
}): JSX.Element | null {
  const problem = resource.problem.value
  if (problem === '') return null
  return (
    <p class="note error" role="alert">
      {problem}
    </p>
  )
}

/** A table. */
export function Table<Row>({
  label,
  rows,
  columns,
  keyOf,
}: {
  readonly label: string
  readonly rows: readonly Row[]
  readonly columns: readonly Column<Row>[]
  readonly keyOf: (row: Row) => string
}): JSX.Element {
  const { scroller, first, last, onScroll } = useWindow(rows.length, ROW)
  const isLong = rows.length > MAX_DRAWN
  const [from, to] = isLong ? [first, last] : [0, rows.length]
  const shown =
    isLong && isNarrow.value ? columns.filter(({ isMinor }) => isMinor !== true) : columns
  const space = (count: number): JSX.Element | null =>
    count === 0 ? null : (
      <tr aria-hidden="true">
        <td class="space" colSpan={shown.length} style={{ blockSize: `${count * ROW}px` }} />
      </tr>
    )
  return (
    <div
      class={isLong ? 'table-box long' : 'table-box'}
      ref={scroller}
      onScroll={onScroll}
      {...(isLong && { tabIndex: 0, role: 'region', 'aria-label': label })}
    >
      <table role="table" aria-label={label} aria-rowcount={rows.length + 1}>
        <thead role="rowgroup">
          <tr role="row" aria-rowindex={1}>
            {shown.map(({ name, isNumber }) => (
              <th
                key={name}
                role="columnheader"
                scope="col"
                class={isNumber === true ? 'number' : ''}
              >
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody role="rowgroup">
          {space(from)}
          {rows.slice(from, to).map((row, index) => (
            <tr key={keyOf(row)} role="row" aria-rowindex={from + index + 2}>
              {shown.map(({ name, of, isNumber }) => (
                <td
                  key={name}
                  role="cell"
                  data-name={name}
                  class={isNumber === true ? 'number' : ''}
                >
                  {of(row)}
                </td>
              ))}
            </tr>
          ))}
          {space(rows.length - to)}
        </tbody>
      </table>
    </div>
  )
}
