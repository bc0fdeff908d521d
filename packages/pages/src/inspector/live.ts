/** What the page knows of the agent, kept up to date by a stream. */
import { computed, effect, signal } from '@preact/signals'

import type { ExchangeRow, InspectorState, RowsChange } from '../contract.ts'
import { ApiError } from '../parts/api-error.ts'
import { call, get } from './api.ts'
import { type Filter, readFilter } from './filter.ts'
import { followEvents } from '../parts/event-stream.ts'

/** State of the connection to the agent. */
export type Link = 'connecting' | 'open' | 'lost' | 'no-token' | 'busy'

/** Time between two searches in headers and bodies, ms. */
const SEARCH_MS = 300

export const link = signal<Link>('connecting')
export const agent = signal<InspectorState | undefined>(undefined)
export const isPaused = signal(false)
/** Changes with every change of the rows. */
const version = signal(0)
export const filterText = signal(filterOfHash())
export const isFilterOn = signal(true)
export const kind = signal<'all' | 'http' | 'ws' | 'tcp'>('all')
/** Ids that the agent has found for `header:` and `body:`. */
const found = signal<ReadonlySet<number> | undefined>(undefined)

const rows = new Map<number, ExchangeRow>()
/** What is shown while the list is paused. */
let frozen: readonly ExchangeRow[] | undefined

/** The rows, newest first; an array of its own for each change. */
export const allRows = computed<readonly ExchangeRow[]>(() => {
  void version.value
  if (isPaused.value) return (frozen ??= newestFirst())
  frozen = undefined
  return newestFirst()
})

/** Rows come in the order in which they changed. */
function newestFirst(): ExchangeRow[] {
  return [...rows.values()].toSorted((a, b) => b.id - a.id)
}

let sound: Filter = readFilter('')
/** The filter as it is written; the last one without a fault is in force. */
export const filter = computed(() => {
  const read = readFilter(filterText.value)
  if (read.isSound) sound = read
  return read
})

/** The rows that are listed. */
export const shownRows = computed<readonly ExchangeRow[]>(() => {
  void filter.value
  const ids = found.value
  const only = kind.value
  const isOn = isFilterOn.value && filterText.value.trim() !== ''
  if (only === 'all' && !isOn) return allRows.value
  return allRows.value.filter((row) => isOfKind(row, only) && (!isOn || sound.matches(row, ids)))
})

/** Rows that have come while the list is paused. */
export const pendingCount = computed(() => {
  void version.value
  if (!isPaused.value || frozen === undefined) return 0
  const last = frozen[0]?.id ?? 0
  let count = 0
  for (const id of rows.keys()) if (id > last) count += 1
  return count
})

/** The row as it is now, also while the list is paused. */
export function currentRow(id: number): ExchangeRow | undefined {
  void version.value
  return rows.get(id)
}

/** The replays of an exchange, the newest first. */
export function replaysOf(id: number): ExchangeRow[] {
  void version.value
  return newestFirst().filter(({ replayOf }) => replayOf === id)
}

function isOfKind(row: ExchangeRow, only: 'all' | 'http' | 'ws' | 'tcp'): boolean {
  if (only === 'all') return true
  if (only === 'ws') return row.kind === 'websocket' || row.kind === 'sse'
  return row.kind === only
}

function filterOfHash(): string {
  const [, text] = /^#f=(.*)$/.exec(location.hash) ?? []
  try {
    return decodeURIComponent(text ?? '')
  } catch {
    return ''
  }
}

let waiting: RowsChange[] = []

/** Changes are put into the list once per frame. */
function take(change: RowsChange): void {
  waiting.push(change)
  if (waiting.length === 1) requestAnimationFrame(apply)
}

function apply(): void {
  const changes = waiting
  waiting = []
  for (const { reset, rows: changed, removed } of changes) {
    if (reset === true) rows.clear()
    for (const row of changed) rows.set(row.id, row)
    for (const id of removed) rows.delete(id)
  }
  version.value += 1
}

/** Follows the agent until the page is closed. */
export async function follow(): Promise<never> {
  return await followEvents({
    open: async (headers, signal) => await call('stream', { headers, signal }),
    onOpen: () => (link.value = 'open'),
    onEvent: (event, data) => {
      if (event === 'state') agent.value = JSON.parse(data) as InspectorState
      if (event === 'rows') take(JSON.parse(data) as RowsChange)
    },
    onFailure: async (error) => {
      if (error instanceof ApiError && error.status === 401) {
        link.value = 'no-token'
        await tokenGiven()
        return 'again'
      }
      link.value = error instanceof ApiError && error.status === 429 ? 'busy' : 'lost'
      return 'later'
    },
  })
}

let onToken: (() => void) | undefined

/** A token was given: the stream is tried again. */
export function retryWithToken(): void {
  link.value = 'connecting'
  onToken?.()
}

async function tokenGiven(): Promise<void> {
  await new Promise<void>((resolve) => (onToken = resolve))
}

/** The filter stays in the address; `header:` and `body:` are looked for by the agent. */
export function watchFilter(): void {
  effect(() => {
    const text = filterText.value
    history.replaceState(
      null,
      '',
      text === '' ? location.pathname : `#f=${encodeURIComponent(text)}`,
    )
  })
  let timer: ReturnType<typeof setTimeout> | undefined
  effect(() => {
    void version.value
    const { header, body } = filter.value.search
    if (header === undefined && body === undefined) {
      found.value = undefined
      return
    }
    // Not anew with each change: the list may change all the time.
    timer ??= setTimeout(() => {
      timer = undefined
      void search(filter.peek())
    }, SEARCH_MS)
  })
}

async function search(asked: Filter): Promise<void> {
  const { header, body } = asked.search
  const query = new URLSearchParams({
    ...(header !== undefined && { header }),
    ...(body !== undefined && { body }),
  })
  try {
    const { ids } = await get<{ readonly ids: readonly number[] }>(`search?${query}`)
    found.value = new Set(ids)
  } catch {
    // the stream says that the agent is away
  }
}
