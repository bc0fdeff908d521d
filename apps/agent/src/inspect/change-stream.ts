/**
 * Sends the changes of the list to one page. One that comes back has the number of its last event and gets what it
 * missed, or everything.
 */
import type { ServerResponse } from 'node:http'

import type { InspectorState, RowsChange } from '@proj/pages'
import { streamToPage } from '@proj/program-kit'

import type { Exchange } from './exchange.ts'
import type { ExchangeStore } from './exchange-store.ts'
import { rowOf } from './exchange-rows.ts'
import type { Secrets } from './secrets.ts'

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
  let sent: number | undefined
  const [, run, seq] = /^(.+)-(\d+)$/.exec(lastEventId ?? '') ?? []
  if (run === boot) sent = Number(seq)
  let lastState = ''
  const flush = (write: (text: string) => void): boolean => {
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
    return isAll
  }
  const look = (write: (text: string) => void): void => {
    const next = JSON.stringify(state())
    if (next === lastState) return
    lastState = next
    write(`event: state\ndata: ${next}\n\n`)
  }
  const watch = (changed: () => void): (() => void) => store.watch(changed)
  streamToPage(response, { watch, flush, look }, signal)
}
