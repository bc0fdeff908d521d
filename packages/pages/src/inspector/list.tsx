/** The list of exchanges. Only the rows in view are in the document; the selected one stays there. */
import { type Signal, signal, useSignal } from '@preact/signals'
import type { JSX } from 'preact'
import { useLayoutEffect, useRef } from 'preact/hooks'

import type { ExchangeRow } from '../contract.ts'
import { formatBytes, formatClock, formatMoment, formatMs } from '../parts/format.ts'
import { OutcomeIcon, Spark } from '../parts/pictures.tsx'
import { Foreign } from '../parts/text.tsx'
import { isNarrow, useWindow } from '../parts/window.ts'
import { agent, shownRows } from './live.ts'
import { outcomeOf, TimeBar } from './parts.tsx'

/** Heights of a row, px: in a table, and as two lines on a narrow screen. */
const ROW = 30
const TALL_ROW = 56

/** Id of the selected exchange. */
export const selected: Signal<number | undefined> = signal(undefined)

/** Moves the selection by rows; from nothing to the first. */
export function moveSelection(by: number): void {
  const rows = shownRows.peek()
  const at = rows.findIndex(({ id }) => id === selected.peek())
  const next = at === -1 ? 0 : Math.max(0, Math.min(rows.length - 1, at + by))
  const row = rows[next]
  if (row !== undefined) selected.value = row.id
}

/** @param onOpen - the selected exchange is to be shown, or has the focus already. */
export function List({ onOpen }: { readonly onOpen: () => void }): JSX.Element {
  const rows = shownRows.value
  const height = isNarrow.value ? TALL_ROW : ROW
  const { scroller, top, view, first, last, onScroll } = useWindow(rows.length, height)
  const newest = useSignal(0)
  const drawn = useRef<readonly ExchangeRow[]>([])
  const endpoints = agent.value?.listeners.length ?? 0

  // What was in view stays there when rows come above it.
  useLayoutEffect(() => {
    const element = scroller.current
    const before = drawn.current
    drawn.current = rows
    if (element === null || before === rows) return
    if (element.scrollTop < 1) {
      newest.value = rows[0]?.id ?? 0
      return
    }
    const anchor = before[Math.floor(element.scrollTop / height)]
    const was = anchor === undefined ? -1 : before.indexOf(anchor)
    const is = anchor === undefined ? -1 : rows.findIndex(({ id }) => id === anchor.id)
    if (was !== -1 && is !== -1 && is !== was) element.scrollTop += (is - was) * height
  }, [rows, height])

  useLayoutEffect(() => {
    const element = scroller.current
    const at = shownRows.peek().findIndex(({ id }) => id === selected.value)
    if (element === null || at === -1) return
    const [start, end] = [at * height, (at + 1) * height]
    if (start < element.scrollTop) element.scrollTop = start
    else if (end > element.scrollTop + element.clientHeight) {
      element.scrollTop = end - element.clientHeight
    }
    if (element.contains(document.activeElement)) {
      element.querySelector<HTMLElement>('[tabindex="0"]')?.focus({ preventScroll: true })
    }
  }, [selected.value])

  const visible = rows.slice(first, last).map((row, index) => ({ row, at: first + index }))
  const selectedAt = rows.findIndex(({ id }) => id === selected.value)
  if (selectedAt !== -1 && (selectedAt < first || selectedAt >= last)) {
    const row = rows[selectedAt]
    if (row !== undefined) visible.push({ row, at: selectedAt })
  }
  const tabStop = selectedAt === -1 ? rows[0]?.id : selected.value
  const unseen = top.value < 1 ? 0 : rows.findIndex(({ id }) => id <= newest.value)

  const onKeyDown = (event: KeyboardEvent): void => {
    const page = Math.max(1, Math.floor(view.peek() / height) - 1)
    const moves: Readonly<Record<string, number>> = {
      ArrowDown: 1,
      ArrowUp: -1,
      PageDown: page,
      PageUp: -page,
      Home: -Infinity,
      End: Infinity,
    }
    const by = moves[event.key]
    if (by !== undefined && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault()
      moveSelection(by)
    } else if (event.key === 'Enter') onOpen()
  }

  return (
    <div
      class={`list ${endpoints > 1 ? 'has-via' : ''}`}
      role="grid"
      aria-label="Exchanges"
      aria-rowcount={rows.length + 1}
      aria-colcount={8}
    >
      <div class="list-head" role="rowgroup">
        <div class="row" role="row" aria-rowindex={1}>
          <span role="columnheader">Status</span>
          <span role="columnheader">Method</span>
          <span role="columnheader">Path</span>
          <span role="columnheader" class="c-bar">
            Time spent
          </span>
          <span role="columnheader" class="number">
            Total
          </span>
          <span role="columnheader" class="number c-size">
            Size
          </span>
          <span role="columnheader" class="c-via">
            Via
          </span>
          <span role="columnheader" class="c-started">
            Started
          </span>
        </div>
      </div>
      {unseen > 0 && (
        <button
          type="button"
          class="newer"
          onClick={() => {
            if (scroller.current !== null) scroller.current.scrollTop = 0
          }}
        >
          {unseen} new ↑
        </button>
      )}
      <div
        class="scroller"
        role="presentation"
        ref={scroller}
        onScroll={(event) =>
          onScroll(event, (scrollTop) => {
            if (scrollTop < 1) newest.value = shownRows.peek()[0]?.id ?? 0
          })
        }
        onKeyDown={onKeyDown}
      >
        <div role="rowgroup" class="rows" style={{ blockSize: `${rows.length * height}px` }}>
          {visible.map(({ row, at }) => (
            <Row
              key={row.id}
              row={row}
              at={at}
              height={height}
              isSelected={row.id === selected.value}
              isTabStop={row.id === tabStop}
              onPress={() => {
                selected.value = row.id
                onOpen()
              }}
            />
          ))}
        </div>
      </div>
    </div>
  )
}

function Row({
  row,
  at,
  height,
  isSelected,
  isTabStop,
  onPress,
}: {
  readonly row: ExchangeRow
  readonly at: number
  readonly height: number
  readonly isSelected: boolean
  readonly isTabStop: boolean
  readonly onPress: () => void
}): JSX.Element {
  const outcome = outcomeOf(row)
  const isLoud = outcome === 'warn' || outcome === 'bad'
  const { kind, messages, totalMs } = row
  const size = messages === undefined ? formatBytes(row.bytesOut) : `${messages} msg`
  return (
    <div
      class="row"
      role="row"
      aria-rowindex={at + 2}
      aria-selected={isSelected}
      tabIndex={isTabStop ? 0 : -1}
      style={{ transform: `translateY(${at * height}px)` }}
      onClick={onPress}
    >
      <span role="gridcell" class="c-status">
        <OutcomeIcon outcome={outcome} />
        <span class={isLoud ? outcome : ''}>{row.status ?? (kind === 'tcp' ? 'TCP' : '–')}</span>
      </span>
      <span role="gridcell" class="c-method">
        {kind === 'tcp' ? (
          'TCP'
        ) : kind === 'websocket' ? (
          'WS'
        ) : kind === 'sse' ? (
          'SSE'
        ) : (
          <Foreign text={row.method || '–'} />
        )}
      </span>
      <span role="gridcell" class="c-path" title={kind === 'tcp' ? row.visitor : row.target}>
        <Foreign text={kind === 'tcp' ? (row.visitor ?? 'visitor') : row.target || '–'} />
        <Tags row={row} />
      </span>
      <span role="gridcell" class="c-bar">
        {row.spark === undefined ? (
          <TimeBar row={row} width={64} />
        ) : (
          <Spark values={row.spark} width={64} height={16} />
        )}
        <span class="hidden-text">
          {row.waitMs === undefined
            ? 'no answer yet'
            : `waiting for the service ${formatMs(row.waitMs)}`}
        </span>
      </span>
      <span role="gridcell" class="number c-total">
        {totalMs === undefined ? 'open' : formatMs(totalMs)}
      </span>
      <span role="gridcell" class="number c-size">
        {size}
      </span>
      <span role="gridcell" class="c-via" title={row.endpoint}>
        <Foreign text={row.endpoint} />
      </span>
      <span role="gridcell" class="c-started" title={formatMoment(row.startedAt)}>
        {formatClock(row.startedAt)}
      </span>
    </div>
  )
}

function Tags({ row }: { readonly row: ExchangeRow }): JSX.Element | null {
  const { pinned, replayOf, imported, afterDown, code, givenUp } = row
  if (!(pinned || replayOf || imported || afterDown || code || givenUp)) return null
  return (
    <>
      {pinned && <span class="tag">pinned</span>}
      {replayOf !== undefined && <span class="tag">replay</span>}
      {imported && <span class="tag">from a file</span>}
      {afterDown && <span class="tag">first after it was down</span>}
      {code !== undefined && <span class="tag">{code}</span>}
      {givenUp !== undefined && <span class="tag">not read</span>}
    </>
  )
}
