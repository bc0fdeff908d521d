/**
 * Sends the changes of the list to one page, in the form of an event stream that the page reads with fetch. What is
 * sent is the state of what changed since the last event, at most every 100 ms and only while the page takes it: a
 * slow page gets fewer events, not later ones. One that takes nothing is dropped; it comes back with the number of
 * its last event and gets what it missed, or everything.
 */
import type { ServerResponse } from 'node:http'

import type { InspectorState, RowsChange } from '@proj/pages'

import type { Exchange } from './exchange.ts'
import type { ExchangeStore } from './exchange-store.ts'
import { rowOf } from './exchange-rows.ts'
import type { Secrets } from './secrets.ts'

/** Shortest time between two events with rows, ms. */
const FLUSH_MS = 100

/** Time between two looks at the state of the agent, ms; also how long a connection is silent. */
const STATE_MS = 1_000

/** Time between two signs of life, ms. */
const COMMENT_MS = 15_000

/** How long a page may take nothing, ms. */
const STUCK_MS = 40_000

/** Most rows in one event. */
const MAX_ROWS = 200

/** What a stream works with. */
export interface ChangeStreamParts {
  readonly store: ExchangeStore
  readonly secrets: Secrets
  /** Names this run of the agent. */
  readonly boot: string
  readonly state: () => InspectorState
}

/** Streams until the page goes, or `signal` aborts. */
export function streamChanges(
  response: ServerResponse,
  lastEventId: string | undefined,
  { store, secrets, boot, state }: ChangeStreamParts,
  signal: AbortSignal,
): void {
  response.writeHead(200, {
    'content-type': 'text/event-stream',
    'cache-control': 'no-store, no-transform',
    'x-accel-buffering': 'no',
  })
  let sent: number | undefined
  const [, run, seq] = /^(.+)-(\d+)$/.exec(lastEventId ?? '') ?? []
  if (run === boot) sent = Number(seq)
  let timer: NodeJS.Timeout | undefined
  let takenAt = performance.now()
  let wroteAt = 0
  let lastState = ''
  const write = (text: string): void => {
    wroteAt = performance.now()
    response.write(text)
  }
  const flush = (): void => {
    timer = undefined
    if (response.writableNeedDrain) return // 'drain' comes back here
    takenAt = performance.now()
    const known = sent === undefined ? undefined : store.since(sent)
    const changed = known?.changed.toSorted((a, b) => a.seq - b.seq) ?? store.all()
    const change: { -readonly [K in keyof RowsChange]: RowsChange[K] } = {
      ...(known === undefined && { reset: true as const }),
      rows: [],
      removed: known?.removed ?? [],
    }
    // A reset is in the order of ids: all of it is one event, for its number stands for everything before.
    const part: Exchange[] = known === undefined ? changed : changed.slice(0, MAX_ROWS)
    change.rows = part.map((exchange) => rowOf(exchange, secrets))
    const isAll = part.length === changed.length
    sent = isAll ? store.seq : (part.at(-1)?.seq ?? store.seq)
    if (change.reset === true || change.rows.length > 0 || change.removed.length > 0) {
      write(`id: ${boot}-${sent}\nevent: rows\ndata: ${JSON.stringify(change)}\n\n`)
    }
    if (!isAll) schedule()
  }
  const schedule = (): void => {
    timer ??= setTimeout(flush, FLUSH_MS)
  }
  const tick = (): void => {
    const now = performance.now()
    if (response.writableNeedDrain) {
      if (now - takenAt > STUCK_MS) response.destroy()
      return
    }
    takenAt = now
    const next = JSON.stringify(state())
    if (next !== lastState) {
      lastState = next
      write(`event: state\ndata: ${next}\n\n`)
    } else if (now - wroteAt > COMMENT_MS) write(': here\n\n')
  }
  const unwatch = store.watch(schedule)
  const ticks = setInterval(tick, STATE_MS)
  ticks.unref()
  const stop = (): void => void response.destroy()
  response.on('drain', flush)
  response.on('close', () => {
    unwatch()
    clearInterval(ticks)
    clearTimeout(timer)
    signal.removeEventListener('abort', stop)
  })
  signal.addEventListener('abort', stop, { once: true })
  tick()
  flush()
}
