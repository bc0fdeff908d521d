/** What the page knows of the agent, kept up to date by a stream. */
import { computed, effect, signal } from '@preact/signals'

import type { ExchangeRow, InspectorState, RowsChange } from '../contract.ts'
import { ApiError, call, get } from './api.ts'
import { type Filter, readFilter } from './filter.ts'

/** State of the connection to the agent. */
export type Link = 'connecting' | 'open' | 'lost' | 'no-token' | 'busy'

/** Without a sign of life for this long the stream counts as broken, ms. */
const SILENT_MS = 40_000

/** A hidden page lets the stream go after this, ms: a browser has six connections to one host. */
const HIDDEN_MS = 10_000

/** Time between two searches in headers and bodies, ms. */
const SEARCH_MS = 300

const MIN_RETRY_MS = 300
const MAX_RETRY_MS = 10_000

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

let lastEventId = ''

/** Follows the agent until the page is closed. */
export async function follow(): Promise<never> {
  let failures = 0
  for (;;) {
    if (document.visibilityState === 'hidden') await visible()
    try {
      await readStream(() => {
        failures = 0
        link.value = 'open'
      })
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) {
        link.value = 'no-token'
        await tokenGiven()
        continue
      }
      link.value = error instanceof ApiError && error.status === 429 ? 'busy' : 'lost'
    }
    failures += 1
    const most = Math.min(MAX_RETRY_MS, MIN_RETRY_MS * 2 ** failures)
    await new Promise((resolve) => setTimeout(resolve, most * (0.5 + Math.random() / 2)))
  }
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

async function visible(): Promise<void> {
  await new Promise<void>((resolve) => {
    const look = (): void => {
      if (document.visibilityState === 'hidden') return
      document.removeEventListener('visibilitychange', look)
      resolve()
    }
    document.addEventListener('visibilitychange', look)
  })
}

async function readStream(onOpen: () => void): Promise<void> {
  const end = new AbortController()
  let silence: ReturnType<typeof setTimeout> | undefined
  let hiding: ReturnType<typeof setTimeout> | undefined
  const heard = (): void => {
    clearTimeout(silence)
    silence = setTimeout(() => end.abort(), SILENT_MS)
  }
  const onVisibility = (): void => {
    clearTimeout(hiding)
    if (document.visibilityState === 'hidden') hiding = setTimeout(() => end.abort(), HIDDEN_MS)
  }
  document.addEventListener('visibilitychange', onVisibility)
  heard()
  try {
    const headers: Record<string, string> =
      lastEventId === '' ? {} : { 'last-event-id': lastEventId }
    const response = await call('stream', { headers, signal: end.signal })
    onOpen()
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
    let text = ''
    for (;;) {
      const part = await reader?.read()
      if (part === undefined || part.done) return
      heard()
      text += part.value
      const events = text.split('\n\n')
      text = events.pop() ?? ''
      for (const event of events) takeEvent(event)
    }
  } finally {
    clearTimeout(silence)
    clearTimeout(hiding)
    document.removeEventListener('visibilitychange', onVisibility)
    end.abort()
  }
}

function takeEvent(text: string): void {
  const fields = new Map<string, string>()
  for (const line of text.split('\n')) {
    const at = line.indexOf(': ')
    if (at > 0) fields.set(line.slice(0, at), line.slice(at + 2))
  }
  const data = fields.get('data')
  if (data === undefined) return
  if (fields.get('event') === 'state') agent.value = JSON.parse(data) as InspectorState
  if (fields.get('event') === 'rows') take(JSON.parse(data) as RowsChange)
  lastEventId = fields.get('id') ?? lastEventId
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
