/**
 * Sends changes to one page, in the form of an event stream that the page reads with fetch. What is sent is the
 * state of what changed since the last event, at most every 100 ms and only while the page takes it: a slow page
 * gets fewer events, not later ones. One that takes nothing is dropped; it comes back with the id of its last event.
 */
import type { ServerResponse } from 'node:http'

/** Shortest time between two flushes, ms. */
const FLUSH_MS = 100

/** Time between two looks, ms; also how long a page may take to see that a connection is slow. */
const LOOK_MS = 1_000

/** Time between two signs of life, ms. */
const COMMENT_MS = 15_000

/** How long a page may take nothing, ms. */
const STUCK_MS = 40_000

/** What a stream tells. */
export interface PageStreamSource {
  /** Calls back with each change. @returns ends that. */
  watch(changed: () => void): () => void
  /** Writes what has changed since it was last called. @returns whether that was all. */
  flush(write: (text: string) => void): boolean
  /** Called once a second while the page takes what is sent. Default: nothing is written then. */
  look?(write: (text: string) => void): void
}

/**
 * Streams until the page goes, or `signal` aborts. A request that was sent before the answer to another one of its
 * connection has ended is answered with 503: while its answer waits, nothing tells that the connection is gone.
 */
export function streamToPage(
  response: ServerResponse,
  source: PageStreamSource,
  signal: AbortSignal,
): void {
  if (response.socket === null) {
    response.writeHead(503, { connection: 'close' }).end()
    return
  }
  response.writeHead(200, {
    'content-type': 'text/event-stream',
    'cache-control': 'no-store, no-transform',
    'x-accel-buffering': 'no',
  })
  let timer: NodeJS.Timeout | undefined
  let takenAt = performance.now()
  let wroteAt = performance.now()
  const write = (text: string): void => {
    wroteAt = performance.now()
    response.write(text)
  }
  const flush = (): void => {
    timer = undefined
    if (response.writableNeedDrain) return // 'drain' comes back here
    takenAt = performance.now()
    if (!source.flush(write)) schedule()
  }
  const schedule = (): void => {
    timer ??= setTimeout(flush, FLUSH_MS)
  }
  const look = (): void => {
    const now = performance.now()
    if (response.writableNeedDrain) {
      if (now - takenAt > STUCK_MS) response.destroy()
      return
    }
    takenAt = now
    source.look?.(write)
    if (now - wroteAt > COMMENT_MS) write(': here\n\n')
  }
  const unwatch = source.watch(schedule)
  const looks = setInterval(look, LOOK_MS)
  looks.unref()
  const stop = (): void => void response.destroy()
  response.on('drain', flush)
  response.on('close', () => {
    unwatch()
    clearInterval(looks)
    clearTimeout(timer)
    signal.removeEventListener('abort', stop)
  })
  signal.addEventListener('abort', stop, { once: true })
  look()
  flush()
}
