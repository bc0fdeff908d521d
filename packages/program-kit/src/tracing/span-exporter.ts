import { setTimeout as delay } from 'node:timers/promises'

import { type Attributes, envelope } from './otlp.ts'

/** How spans are sent. */
export interface SpanExporterOptions {
  /** Where batches are posted: the path for traces of an OTLP receiver. */
  readonly url: string
  /** Credentials and others, sent with each batch. Never logged. */
  readonly headers: Headers
  /** The program whose spans these are. */
  readonly scope: string
  /** What the spans are of. */
  readonly resource: Attributes
  /** Called when a batch is dropped. */
  readonly onProblem: (problem: ExportProblem) => void
  /** Limits. Default: {@link SPAN_EXPORT_LIMITS}. */
  readonly limits?: Partial<SpanExportLimits>
}

/** Why a batch was not taken; holds nothing of the request or the answer. */
export interface ExportProblem {
  /** Status of the receiver; undefined: there was no answer. */
  readonly status?: number
  /** Code of Node for what went wrong on the way. */
  readonly code?: string
}

/** Bounds of {@link SpanExporter}. */
export interface SpanExportLimits {
  /** Characters that may wait or be on their way, some 8000 spans; spans beyond are dropped. */
  readonly maxQueuedChars: number
  /** Spans in one request. */
  readonly maxBatchSpans: number
  /** How long spans wait for others, unless a batch is full, ms. */
  readonly batchDelayMs: number
  /** How long a request may take, ms. */
  readonly timeoutMs: number
  /** How often a batch is sent again; then it is dropped. */
  readonly maxRetries: number
  /** Wait before the first retry, ms; it doubles with each. */
  readonly retryDelayMs: number
  /** Longest wait before a retry, also where the receiver asks for a longer one, ms. */
  readonly maxRetryDelayMs: number
}

/** Limits of {@link SpanExporter}. */
export const SPAN_EXPORT_LIMITS: SpanExportLimits = Object.freeze({
  maxQueuedChars: 8 * 1024 * 1024,
  maxBatchSpans: 512,
  batchDelayMs: 1_000,
  timeoutMs: 10_000,
  maxRetries: 4,
  retryDelayMs: 1_000,
  maxRetryDelayMs: 30_000,
})

/** Answers after which OTLP allows a retry. */
const PASSING: ReadonlySet<number> = new Set([429, 502, 503, 504])

/**
 * Posts spans to an OTLP/HTTP receiver, in batches one after another. What comes meanwhile waits in a bounded queue;
 * nothing else waits for the receiver.
 */
export class SpanExporter {
  /** Spans that the receiver took. */
  sent = 0
  /** Spans that it did not: too many waited, or it did not take a batch. */
  dropped = 0
  readonly #options: SpanExporterOptions
  readonly #limits: SpanExportLimits
  readonly #around: readonly [string, string]
  #queue: string[] = []
  /** Of those that wait and those that are on their way. */
  #queuedChars = 0
  #working: Promise<void> | undefined
  /** Ends the wait for a full batch. */
  #batchWait: AbortController | undefined
  /** Ends the request that is on its way. */
  #request: AbortController | undefined
  /** Aborted by `close`: nothing is waited for, and nothing is sent twice. */
  readonly #closing = new AbortController()
  #isOver = false

  constructor(options: SpanExporterOptions) {
    this.#options = options
    this.#limits = { ...SPAN_EXPORT_LIMITS, ...options.limits }
    this.#around = envelope(options.resource, options.scope)
  }

  /** Takes a span, encoded by `encodeSpan`. */
  push(span: string): void {
    if (this.#isOver || this.#queuedChars + span.length > this.#limits.maxQueuedChars) {
      this.dropped += 1
      return
    }
    this.#queue.push(span)
    this.#queuedChars += span.length
    if (this.#queue.length >= this.#limits.maxBatchSpans) this.#batchWait?.abort()
    this.#working ??= this.#work()
  }

  /**
   * Sends what waits, each batch once.
   *
   * @param signal - ends the wait for the receiver; what is not sent then is dropped.
   */
  async close(signal: AbortSignal): Promise<void> {
    this.#closing.abort()
    this.#batchWait?.abort()
    const giveUp = (): void => {
      this.#isOver = true
      this.#request?.abort()
    }
    if (signal.aborted) giveUp()
    signal.addEventListener('abort', giveUp, { once: true })
    await this.#working
    signal.removeEventListener('abort', giveUp)
    this.#isOver = true
  }

  async #work(): Promise<void> {
    const { maxBatchSpans, batchDelayMs } = this.#limits
    while (this.#queue.length > 0) {
      if (this.#queue.length < maxBatchSpans && !this.#closing.signal.aborted) {
        this.#batchWait = new AbortController()
        await wait(batchDelayMs, this.#batchWait.signal)
        this.#batchWait = undefined
      }
      const batch = this.#queue.splice(0, maxBatchSpans)
      await this.#send(batch)
      for (const span of batch) this.#queuedChars -= span.length
    }
    this.#working = undefined
  }

  async #send(batch: readonly string[]): Promise<void> {
    const { maxRetries, retryDelayMs, maxRetryDelayMs } = this.#limits
    const body = this.#around.join(batch.join(','))
    for (let retries = 0; !this.#isOver; retries += 1) {
      const { problem, isPassing, retryAfterMs } = await this.#post(body)
      if (problem === undefined) {
        this.sent += batch.length
        return
      }
      if (!isPassing || retries >= maxRetries || this.#closing.signal.aborted) {
        this.#options.onProblem(problem)
        break
      }
      const waitMs = Math.max(retryAfterMs, retryDelayMs * 2 ** retries)
      await wait(Math.min(waitMs, maxRetryDelayMs), this.#closing.signal)
    }
    this.dropped += batch.length
  }

  async #post(body: string): Promise<{
    readonly problem?: ExportProblem
    readonly isPassing: boolean
    readonly retryAfterMs: number
  }> {
    const { url, headers } = this.#options
    const request = new AbortController()
    this.#request = request
    const timer = setTimeout(() => request.abort(), this.#limits.timeoutMs)
    try {
      const { signal } = request
      // The credentials are for this receiver: redirects are not followed.
      const answer = await fetch(url, { method: 'POST', headers, body, signal, redirect: 'manual' })
      await answer.body?.cancel()
      const { ok, status } = answer
      if (ok) return { isPassing: false, retryAfterMs: 0 }
      // A date is not read: the least wait is right then.
      const seconds = Number(answer.headers.get('retry-after') ?? 0)
      const retryAfterMs = seconds > 0 ? seconds * 1000 : 0
      return { problem: { status }, isPassing: PASSING.has(status), retryAfterMs }
    } catch (error) {
      const code = request.signal.aborted ? 'ETIMEDOUT' : codeOf(error)
      return { problem: { code }, isPassing: true, retryAfterMs: 0 }
    } finally {
      clearTimeout(timer)
      this.#request = undefined
    }
  }
}

/** Waits, or until the signal is aborted. */
async function wait(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await delay(ms, undefined, { signal })
  } catch {
    // Aborted: the wait is over.
  }
}

/** `fetch` has the error of the socket as its cause. */
function codeOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined
  const hasCode = cause instanceof Error && 'code' in cause && typeof cause.code === 'string'
  return hasCode ? String(cause.code) : 'UNKNOWN'
}
