import type { ChannelSink, ChunkAnswer, MuxError } from '@proj/mux'

/** What may pass at once after a pause, ms of the rate. */
const BURST_MS = 100

/** What a socket that may be read on is expected to bring: many that may at once do not bring it for nothing. */
const EXPECTED_BYTES = 16 * 1024

/** The most that bytes which have passed already hold later ones back, ms. */
const MAX_DEBT_MS = 10_000

/** Least rate, bytes per second: at less, one chunk would hold others back for longer than connections wait. */
export const MIN_BANDWIDTH: number = 8 * 1024

/** Where the time comes from; for tests. */
export interface BandwidthClock {
  /** Milliseconds that only ever grow. */
  now(): number
  /** Calls back after `ms`, not before; what it returns cancels that. */
  after(ms: number, call: () => void): () => void
}

const REAL_CLOCK: BandwidthClock = {
  now: () => performance.now(),
  after: (ms, call) => {
    const timer = setTimeout(call, ms).unref()
    return () => clearTimeout(timer)
  },
}

/** A bandwidth as a connection of one visitor uses it. */
export type BandwidthShare = Pick<Bandwidth, 'isFree' | 'take' | 'wait' | 'cancel'>

/**
 * Bytes per second that several connections share, a token bucket. Visitors that wait have their turns one after
 * another, with one chunk each, however many connections a visitor has: none holds others back for long.
 */
export class Bandwidth {
  readonly #clock: BandwidthClock
  #bytesPerMs: number
  /** When everything that has passed is paid for. */
  #paidAtMs: number
  /** What waits of each visitor, in order of arrival; the visitor whose turn it is comes first. */
  readonly #waiting = new Map<string, Set<() => void>>()
  /** Cancels the timer of the next turn; undefined: there is none. */
  #stopTimer: (() => void) | undefined

  /**
   * @param bytesPerSecond - at least MIN_BANDWIDTH; Infinity: no limit.
   * @param clock - Default: the real one.
   */
  constructor(bytesPerSecond: number, clock: BandwidthClock = REAL_CLOCK) {
    this.#clock = clock
    this.#bytesPerMs = bytesPerSecond / 1000
    this.#paidAtMs = clock.now() - BURST_MS
  }

  /** Changes the rate, for all that share it. */
  set bytesPerSecond(value: number) {
    const now = this.#clock.now()
    const before = this.#bytesPerMs
    this.#bytesPerMs = value / 1000
    const dueMs = this.#paidAtMs - now
    if (dueMs > 0) this.#paidAtMs = now + (dueMs * before) / this.#bytesPerMs
    // The timer is that of the old rate: at a higher one the next turn comes earlier.
    this.#clearTimer()
    this.#serve()
  }

  /** Whether a chunk may pass now. */
  get isFree(): boolean {
    return this.#waiting.size === 0 && this.#dueMs <= 0
  }

  /**
   * Counts bytes that pass.
   *
   * @param bytes - negative: so many that were counted do not pass.
   */
  take(bytes: number): void {
    const now = this.#clock.now()
    const paidAt = Math.max(this.#paidAtMs, now - BURST_MS) + bytes / this.#bytesPerMs
    this.#paidAtMs = Math.min(paidAt, now + MAX_DEBT_MS)
    if (bytes >= 0 || this.#stopTimer === undefined) return
    // The next turn comes earlier.
    this.#clearTimer()
    this.#time()
  }

  /**
   * Calls back when it is the turn of `next`, which then takes one chunk.
   *
   * @param visitor - whose turn it uses. Default: all that name none are one visitor.
   */
  wait(next: () => void, visitor: string = ''): void {
    const theirs = this.#waiting.get(visitor)
    if (theirs === undefined) this.#waiting.set(visitor, new Set([next]))
    else theirs.add(next)
    this.#time()
  }

  /** It does not wait any more. */
  cancel(next: () => void, visitor: string = ''): void {
    const theirs = this.#waiting.get(visitor)
    if (theirs?.delete(next) === true && theirs.size === 0) this.#waiting.delete(visitor)
  }

  /** What a connection of this visitor uses. */
  shareOf(visitor: string): BandwidthShare {
    return new VisitorShare(this, visitor)
  }

  get #dueMs(): number {
    return this.#paidAtMs - this.#clock.now()
  }

  #clearTimer(): void {
    this.#stopTimer?.()
    this.#stopTimer = undefined
  }

  #time(): void {
    if (this.#stopTimer !== undefined || this.#waiting.size === 0) return
    this.#stopTimer = this.#clock.after(Math.max(0, Math.ceil(this.#dueMs)), () => {
      this.#stopTimer = undefined
      this.#serve()
    })
  }

  #serve(): void {
    for (const [visitor, theirs] of this.#waiting) {
      if (this.#dueMs > 0) break
      // Behind all others with what it has left, and with what waits again.
      this.#waiting.delete(visitor)
      const [next] = theirs
      if (next === undefined) continue
      theirs.delete(next)
      if (theirs.size > 0) this.#waiting.set(visitor, theirs)
      next()
    }
    this.#time()
  }
}

class VisitorShare implements BandwidthShare {
  readonly #bandwidth: Bandwidth
  readonly #visitor: string

  constructor(bandwidth: Bandwidth, visitor: string) {
    this.#bandwidth = bandwidth
    this.#visitor = visitor
  }

  get isFree(): boolean {
    return this.#bandwidth.isFree
  }

  take(bytes: number): void {
    this.#bandwidth.take(bytes)
  }

  wait(next: () => void): void {
    this.#bandwidth.wait(next, this.#visitor)
  }

  cancel(next: () => void): void {
    this.#bandwidth.cancel(next, this.#visitor)
  }
}

/** What a connection may carry in each direction; undefined: there is no limit. */
export interface Bandwidths {
  /** From the visitor to the service. */
  readonly upload?: BandwidthShare | undefined
  /** From the service to the visitor. */
  readonly download?: BandwidthShare | undefined
}

/** Where a bandwidth delivers to. */
export interface PacedTarget extends ChannelSink {
  /**
   * Whether what is delivered from now on is discarded: it is not counted, and not kept once the channel is closed.
   * Default: false.
   */
  readonly isGone?: boolean
}

/**
 * Delivers what a channel brings as fast as a bandwidth allows. What waits is not given back to the window of the
 * channel, which bounds it.
 */
export class PacedSink implements ChannelSink {
  #sink: PacedTarget
  readonly #bandwidth: BandwidthShare
  readonly #held: Buffer[] = []
  #isEnded = false
  /** How the channel was closed behind what is held; undefined: it was not. */
  #closed: { readonly error: MuxError | undefined } | undefined

  constructor(sink: PacedTarget, bandwidth: BandwidthShare) {
    this.#sink = sink
    this.#bandwidth = bandwidth
  }

  /** Delivers to another sink from now on, also what is held. */
  redirect(sink: PacedTarget): void {
    this.#sink = sink
  }

  /** Whether something is still to be delivered. */
  get isHolding(): boolean {
    return this.#held.length > 0 || this.#isEnded || this.#closed !== undefined
  }

  /** @inheritdoc */
  onData(chunk: Buffer): ChunkAnswer | undefined {
    if (this.#held.length === 0 && this.#bandwidth.isFree) return this.#deliver(chunk)
    this.#held.push(chunk)
    if (this.#held.length === 1) this.#bandwidth.wait(this.#next)
    return false
  }

  /** @inheritdoc */
  onEnd(): void {
    if (this.#held.length === 0) this.#sink.onEnd()
    else this.#isEnded = true
  }

  /** @inheritdoc */
  onDrain(): void {
    this.#sink.onDrain()
  }

  /** @inheritdoc */
  onFinish(): void {
    this.#sink.onFinish?.()
  }

  /** @inheritdoc */
  onClose(error?: MuxError): void {
    // After our own reset nothing is to be delivered.
    const isKept = error?.code !== 'MUX_STREAM_ABORTED' && this.#sink.isGone !== true
    if (this.#held.length > 0 && isKept) this.#closed = { error }
    else this.#drop(error)
  }

  #drop(error: MuxError | undefined): void {
    this.#bandwidth.cancel(this.#next)
    this.#held.length = 0
    this.#isEnded = false
    this.#closed = undefined
    this.#sink.onClose(error)
  }

  #deliver(chunk: Buffer): ChunkAnswer | undefined {
    if (this.#sink.isGone !== true) this.#bandwidth.take(chunk.length)
    return this.#sink.onData(chunk)
  }

  readonly #next = (): void => {
    // A reset of a channel that is closed has no effect: nothing else says that the sink is gone.
    if (this.#closed !== undefined && this.#sink.isGone === true) {
      this.#drop(this.#closed.error)
      return
    }
    const chunk = this.#held.shift()
    if (chunk === undefined) return
    this.#deliver(chunk)
    if (this.#held.length > 0) {
      this.#bandwidth.wait(this.#next)
      return
    }
    const closed = this.#closed
    if (this.#isEnded) {
      this.#isEnded = false
      this.#sink.onEnd()
    }
    if (closed === undefined) return
    this.#closed = undefined
    this.#sink.onClose(closed.error)
  }
}

/** Holds the reading of a socket back while a bandwidth is used up. */
export class PacedReads {
  readonly #bandwidth: BandwidthShare
  readonly #resume: () => void
  #isHeld = false
  /** Bytes that are counted and not yet read. */
  #expected = 0

  /** @param resume - reads on, unless something else holds it back. */
  constructor(bandwidth: BandwidthShare, resume: () => void) {
    this.#bandwidth = bandwidth
    this.#resume = resume
  }

  /** Whether nothing is to be read now. */
  get isHeld(): boolean {
    return this.#isHeld
  }

  /** Counts bytes that were read; returns whether the socket is to be paused. */
  took(bytes: number): boolean {
    this.#bandwidth.take(bytes - this.#expected)
    this.#expected = 0
    return this.holds()
  }

  /** Whether the socket is to be paused, or not to be read yet; it has to wait for a turn unless there is room. */
  holds(): boolean {
    if (!this.#isHeld && !this.#bandwidth.isFree) {
      this.#isHeld = true
      this.#bandwidth.wait(this.#next)
    }
    return this.#isHeld
  }

  /** The connection is over, or is not limited any more. */
  close(): void {
    this.#isHeld = false
    this.#bandwidth.cancel(this.#next)
    if (this.#expected > 0) this.#bandwidth.take(-this.#expected)
    this.#expected = 0
  }

  readonly #next = (): void => {
    this.#isHeld = false
    this.#expected = EXPECTED_BYTES
    this.#bandwidth.take(EXPECTED_BYTES)
    this.#resume()
  }
}

/** The sink itself without a bandwidth, so that nothing is added to its path. */
export function paced(sink: PacedTarget, bandwidth: BandwidthShare | undefined): ChannelSink {
  return bandwidth === undefined ? sink : new PacedSink(sink, bandwidth)
}
