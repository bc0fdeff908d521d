/**
 * Pings in both directions. Keeps the smallest round trip of the whole session, because one measured
 * under load includes our own queues, and windows sized by it would grow without end. On a long path the
 * latest one counts too, within bounds: a path that loses packets takes several round trips for some of its
 * bytes, and the smallest one shows nothing of that.
 */
import { addAbortListener } from 'node:events'
import { MuxError } from '../errors.ts'
import { Flag, FrameType } from '../frame/frame.ts'
import type { Clock } from '../clock.ts'
import type { SendQueue } from '../frame/send-queue.ts'

/** Pings of ours that may wait for a response at once; one more rejects with MUX_PING_BACKLOG. */
const MAX_WAITING = 64
/** Shortest time between two probes while data flows: often enough to hit a quiet moment soon. */
const PROBE_INTERVAL_MS = 500
/** Smallest round trip of a long path. Less may be that of a busy machine; there the first window carries 50 MB/s. */
const LONG_PATH_MS = 5
/** Round trips measured before a path counts as long: the first of a process that starts can be late by itself. */
const LONG_PATH_MEASUREMENTS = 3
/** The most that a window is sized by, in smallest round trips. */
const MAX_ROUND_TRIPS = 4

interface Waiting {
  readonly sentAtMs: number
  readonly resolve: (rttMs: number) => void
  readonly reject: (error: unknown) => void
}

/** The pings of one session. */
export class Pings {
  readonly #output: SendQueue
  readonly #clock: Clock
  readonly #waiting = new Map<number, Waiting>()
  #nextValue = 1
  #probeValue = 0
  #probeSentAtMs = -Infinity
  #measurements = 0
  /** Smallest round trip in ms; undefined before the first. */
  minRttMs: number | undefined
  /** Latest round trip in ms; undefined before the first. */
  lastRttMs: number | undefined

  constructor(output: SendQueue, clock: Clock) {
    this.#output = output
    this.#clock = clock
  }

  /** Whether the smallest of at least LONG_PATH_MEASUREMENTS round trips is that of a long path. */
  get isLongPath(): boolean {
    return this.#measurements >= LONG_PATH_MEASUREMENTS && (this.minRttMs ?? 0) >= LONG_PATH_MS
  }

  /** Sends as many pings, one after the other, as it takes to know whether the path is long. */
  async measurePath(): Promise<void> {
    for (let count = 0; count < LONG_PATH_MEASUREMENTS; count++) {
      // The smallest round trip decides: one that is short ends it.
      if ((await this.ping()) < LONG_PATH_MS) return
    }
  }

  /** Round trip in ms that windows are sized by; undefined before the first. */
  get windowRttMs(): number | undefined {
    const { minRttMs, lastRttMs } = this
    if (minRttMs === undefined || lastRttMs === undefined || !this.isLongPath) return minRttMs
    return Math.min(lastRttMs, MAX_ROUND_TRIPS * minRttMs)
  }

  /** Pings of ours without a response, except probes. */
  get waiting(): number {
    return this.#waiting.size
  }

  /** Sends a ping and resolves with its round trip in ms; rejects when the session ends first. */
  ping(signal?: AbortSignal): Promise<number> {
    if (this.#waiting.size >= MAX_WAITING) {
      const message = `${MAX_WAITING} pings wait for a response`
      return Promise.reject(new MuxError('MUX_PING_BACKLOG', message))
    }
    const value = this.#send()
    return new Promise((resolve, reject) => {
      const listener = signal && addAbortListener(signal, () => settle(() => reject(signal.reason)))
      const settle = (finish: () => void): void => {
        listener?.[Symbol.dispose]()
        this.#waiting.delete(value)
        finish()
      }
      this.#waiting.set(value, {
        sentAtMs: this.#clock.now(),
        resolve: (rttMs) => settle(() => resolve(rttMs)),
        reject: (error) => settle(() => reject(error)),
      })
    })
  }

  /** Sends a ping to measure the round trip, at most twice a second. */
  probe(nowMs: number): void {
    if (this.#probeValue !== 0 || nowMs - this.#probeSentAtMs < PROBE_INTERVAL_MS) return
    this.#probeSentAtMs = nowMs
    this.#probeValue = this.#send()
  }

  /** Responds to a ping of the peer. */
  reply(value: number): void {
    this.#output.control(FrameType.ping, Flag.ack, 0, value)
  }

  /** Takes a response of the peer; false if it belongs to no ping of ours. */
  receiveReply(value: number): boolean {
    if (value === this.#probeValue) {
      this.#probeValue = 0
      this.#measured(this.#clock.now() - this.#probeSentAtMs)
      return true
    }
    const waiting = this.#waiting.get(value)
    if (waiting === undefined) return false
    const rttMs = this.#clock.now() - waiting.sentAtMs
    this.#measured(rttMs)
    waiting.resolve(rttMs)
    return true
  }

  /** Rejects all pings that wait. */
  end(error: MuxError): void {
    for (const waiting of this.#waiting.values()) waiting.reject(error)
  }

  // Value 0 means "no probe", so it is never sent.
  #send(): number {
    const value = this.#nextValue
    this.#nextValue = value === 0xffff_ffff ? 1 : value + 1
    this.#output.control(FrameType.ping, Flag.syn, 0, value)
    return value
  }

  #measured(rttMs: number): void {
    this.#measurements += 1
    this.lastRttMs = rttMs
    this.minRttMs = Math.min(rttMs, this.minRttMs ?? Infinity)
  }
}
