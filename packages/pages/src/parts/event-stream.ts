/**
 * A stream of events that is read with fetch: EventSource does not come back after one answer with an error, and
 * cannot send a header.
 */

/** Without a sign of life for this long the stream counts as broken, ms. */
const SILENT_MS = 40_000

/** A hidden page lets the stream go after this, ms: a browser has six connections to one host. */
const HIDDEN_MS = 10_000

const MIN_RETRY_MS = 300
const MAX_RETRY_MS = 10_000

/** What a stream is followed with. */
export interface FollowOptions {
  /** Asks for the stream. @param headers - with `last-event-id`, once there was an event. */
  readonly open: (headers: Record<string, string>, signal: AbortSignal) => Promise<Response>
  /** The stream has begun. */
  readonly onOpen: () => void
  /** An event has come. */
  readonly onEvent: (event: string, data: string) => void
  /**
   * The stream has ended.
   *
   * @param error - undefined: in good order.
   * @returns `again`: now; `later`: after a time that grows with each failure.
   */
  readonly onFailure: (error: unknown) => Promise<'again' | 'later'>
}

/** Follows a stream until the page is closed; each time from the last event on. */
export async function followEvents(options: FollowOptions): Promise<never> {
  const { onOpen, onFailure } = options
  const last = { id: '' }
  let failures = 0
  for (;;) {
    if (document.visibilityState === 'hidden') await visible()
    let ended: unknown
    try {
      await readStream(options, last, () => {
        failures = 0
        onOpen()
      })
    } catch (error) {
      ended = error
    }
    if (document.visibilityState === 'hidden') continue
    if ((await onFailure(ended)) === 'again') continue
    failures += 1
    const most = Math.min(MAX_RETRY_MS, MIN_RETRY_MS * 2 ** failures)
    await new Promise((resolve) => setTimeout(resolve, most * (0.5 + Math.random() / 2)))
  }
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

async function readStream(
  { open, onEvent }: FollowOptions,
  last: { id: string },
  onOpen: () => void,
): Promise<void> {
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
    const headers: Record<string, string> = last.id === '' ? {} : { 'last-event-id': last.id }
    const response = await open(headers, end.signal)
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
      for (const event of events) {
        const fields = fieldsOf(event)
        const data = fields.get('data')
        if (data !== undefined) onEvent(fields.get('event') ?? 'message', data)
        last.id = fields.get('id') ?? last.id
      }
    }
  } finally {
    clearTimeout(silence)
    clearTimeout(hiding)
    document.removeEventListener('visibilitychange', onVisibility)
    end.abort()
  }
}

function fieldsOf(text: string): Map<string, string> {
  const fields = new Map<string, string>()
  for (const line of text.split('\n')) {
    const at = line.indexOf(': ')
    if (at > 0) fields.set(line.slice(0, at), line.slice(at + 2))
  }
  return fields
}
