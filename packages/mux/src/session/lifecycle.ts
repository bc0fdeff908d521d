/**
 * How a session ends. States go one way: open, closing (streams finish), ending (the transport
 * closes), closed. Entering `ending` always releases everything the session holds. What differs is
 * whether the peer gets a last GoAway and the transport time to send it.
 */
import type { Duplex } from 'node:stream'
import { MUX_ERRORS, MuxError, type MuxErrorCode } from '../errors.ts'
import type { ResolvedSessionOptions } from './options.ts'
import type { SendQueue } from '../frame/send-queue.ts'
import { TransportLink } from './transport-link.ts'
import { Waiters } from './waiters.ts'

/** Why a session ended. */
export interface SessionEnd {
  /** Code of the error; `MUX_SESSION_CLOSED` after `close`. */
  readonly code: MuxErrorCode
  /** Absent after `close` and after `destroy` without a cause. */
  readonly error?: MuxError
}

/** What a session is doing: `closing` waits for streams, `ending` for the transport. */
export type SessionState = 'open' | 'closing' | 'ending' | 'closed'

/** Callbacks of the session. */
export interface LifecycleOwner {
  received(chunk: Buffer): void
  /** The session is over: everything that waits fails with `error`, and nothing more is read. */
  released(error: MuxError): void
  /** The transport is gone. */
  gone(end: SessionEnd): void
}

/** State and end of one session. */
export class Lifecycle {
  /** Resolves when the transport is gone; never rejects. */
  readonly closed: Promise<SessionEnd>
  readonly #options: ResolvedSessionOptions
  readonly #output: SendQueue
  readonly #owner: LifecycleOwner
  readonly #link: TransportLink
  readonly #waiting = new Waiters()
  #state: SessionState = 'open'
  #end: SessionEnd = { code: 'MUX_SESSION_CLOSED' }
  #resolveClosed: (end: SessionEnd) => void = () => {}

  constructor(
    transport: Duplex,
    options: ResolvedSessionOptions,
    output: SendQueue,
    owner: LifecycleOwner,
  ) {
    this.#options = options
    this.#output = output
    this.#owner = owner
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve
    })
    this.#link = new TransportLink(transport, {
      received: (chunk) => owner.received(chunk),
      ended: () => this.finish(new MuxError('MUX_TRANSPORT_CLOSED', 'transport ended')),
      failed: (cause) => {
        this.finishNow(new MuxError('MUX_TRANSPORT_FAILED', 'transport failed', { cause }))
      },
      gone: () => this.#gone(),
    })
  }

  /** What the session is doing. */
  get state(): SessionState {
    return this.#state
  }

  /** Whether all streams have ended and nothing can be sent any more. */
  get over(): boolean {
    return this.#state === 'ending' || this.#state === 'closed'
  }

  /** Returns the error for calls after the end. */
  closedError(): MuxError {
    const cause = this.#end.error
    return new MuxError('MUX_SESSION_CLOSED', 'session is closed', cause && { cause })
  }

  /** Starts to wait for the open streams; false if it was not open. */
  beginClosing(): boolean {
    if (this.#state !== 'open') return false
    this.#state = 'closing'
    return true
  }

  /** Waits until the transport is gone. */
  async untilClosed(signal: AbortSignal | undefined): Promise<void> {
    if (this.#state !== 'closed') await this.#waiting.wait(signal)
  }

  /** Ends because of `error`: with the GoAway of its code if there is one, else at once. */
  fail(error: MuxError): void {
    const { goAway } = MUX_ERRORS[error.code]
    if (goAway === undefined) this.finishNow(error)
    else this.finish(error, goAway)
  }

  /** Sends the queued control frames, then a GoAway if a code is given, then ends. */
  finish(error: MuxError, goAwayCode?: number): void {
    if (this.over) return
    this.#output.finish(goAwayCode)
    this.#release(error)
    this.#link.end(this.#options.clock, this.#options.lingerTimeoutMs)
  }

  /** Ends at once; what is queued is dropped. */
  finishNow(error: MuxError): void {
    if (!this.over) {
      this.#output.stop()
      this.#release(error)
    }
    this.#link.destroy()
  }

  #release(error: MuxError): void {
    const { code, cause } = error
    const asked = code === 'MUX_SESSION_CLOSED' || code === 'MUX_SESSION_DESTROYED'
    this.#state = 'ending'
    this.#end = asked && cause === undefined ? { code } : { code, error }
    this.#owner.released(error)
  }

  #gone(): void {
    this.#state = 'closed'
    this.#resolveClosed(this.#end)
    this.#waiting.releaseAll()
    this.#owner.gone(this.#end)
  }
}
