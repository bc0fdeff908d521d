import type { Logger } from '@proj/tunnel'

/** Limits of {@link RequestAdmission}, as in ProxyOptions. */
export interface RequestAdmissionOptions {
  /** How late the event loop may be before requests are rejected, ms; Infinity: it does not matter. */
  readonly maxLoopDelayMs: number
  /** Requests that may always run at once. */
  readonly minRequests: number
  /** Requests that may run at once at most. */
  readonly maxRequests: number
}

/** What the limit depends on. */
export interface RequestLoad {
  /** Requests that run now. */
  readonly inFlight: () => number
  /** How many of them began more than `ageMs` ago; asked once a second at most. */
  readonly olderThan: (ageMs: number) => number
  readonly logger: Logger
}

/** Time and a timer; tests have their own. */
export interface AdmissionClock {
  /** Monotonic, ms. */
  readonly now: () => number
  /** Calls `look` every `ms`, as far as the event loop allows. @returns stops it. */
  readonly every: (ms: number, look: () => void) => () => void
}

const REAL_CLOCK: AdmissionClock = {
  now: () => performance.now(),
  every: (ms, look) => {
    const timer = setInterval(look, ms).unref()
    return () => clearInterval(timer)
  },
}

/** Time between two looks at the event loop, ms. */
const LOOK_MS = 10

/** The loop has to be late for this long without a pause, ms: a burst or a garbage collection is shorter. */
const ONSET_MS = 500

/** The limit changes once in this time, ms, by the smallest delay in it: a queue that stays has no small one. */
const WINDOW_MS = 100
const MIN_LOOKS = 2

/** The limit falls as far as the delay is above its target, but not below this part in one step. */
const LARGEST_CUT = 0.5

/** Growth in a window in which the limit was reached; one that was not shows nothing. */
const GROWTH = 1.05

/** Windows without a rejection after which there is no limit any more. */
const CALM_WINDOWS = 50

/**
 * Age above which a running request is not counted, ms: long polls and downloads wait for their service or
 * their visitor, and to reject others for them would gain nothing.
 */
const RESTING_MS = 5_000
const COUNT_RESTING_MS = 1_000

/** At most one log line in this time, ms. */
const LOG_MS = 60_000

/**
 * How many requests may run at once. Without load that is no question and costs one comparison per request.
 * As soon as `minRequests` run, the delay of the event loop is watched; when it has been above
 * `maxLoopDelayMs` for ONSET_MS, the number that runs becomes the limit, falls with the delay and grows when
 * the delay is small again: the same control as AIMD, with a cut in proportion (Envoy's gradient, with the
 * delay of the loop in place of a latency, since services differ in theirs).
 */
export class RequestAdmission {
  /** A request that would be one more than this asks {@link rejects}. */
  limit: number
  /** Requests rejected since the start. */
  rejected = 0
  readonly #options: RequestAdmissionOptions
  readonly #load: RequestLoad
  readonly #clock: AdmissionClock
  #stop: (() => void) | undefined
  /** Requests younger than RESTING_MS that may run; Infinity: the loop is not late. */
  #young = Infinity
  #resting = 0
  #restingAtMs = -Infinity
  #lookedAtMs = 0
  /** When the loop was in time last. */
  #inTimeAtMs = 0
  #windowAtMs = 0
  #looks = 0
  #leastMs = Infinity
  #wasReached = false
  #calmWindows = 0
  #loggedAtMs = -Infinity

  constructor(
    options: RequestAdmissionOptions,
    load: RequestLoad,
    clock: AdmissionClock = REAL_CLOCK,
  ) {
    this.#options = options
    this.#load = load
    this.#clock = clock
    this.limit = this.#idleLimit
  }

  /** Whether requests are rejected because the event loop is late. */
  get isLimiting(): boolean {
    return this.#young !== Infinity
  }

  /** As many requests run as `limit` says. @returns whether one more is rejected. */
  rejects(): boolean {
    if (this.#stop === undefined) this.#watch()
    if (this.#load.inFlight() < this.limit) return false
    this.rejected += 1
    this.#wasReached = true
    return true
  }

  /** Stops watching. */
  close(): void {
    this.#stop?.()
    this.#stop = undefined
  }

  /** The limit while nothing is watched. */
  get #idleLimit(): number {
    const { maxLoopDelayMs, minRequests, maxRequests } = this.#options
    return maxLoopDelayMs === Infinity ? maxRequests : Math.min(minRequests, maxRequests)
  }

  #watch(): void {
    if (this.#options.maxLoopDelayMs === Infinity) return
    this.limit = this.#options.maxRequests
    this.#lookedAtMs = this.#inTimeAtMs = this.#clock.now()
    this.#stop = this.#clock.every(LOOK_MS, () => this.#look())
  }

  #look(): void {
    const nowMs = this.#clock.now()
    const delayMs = nowMs - this.#lookedAtMs - LOOK_MS
    this.#lookedAtMs = nowMs
    const { maxLoopDelayMs, minRequests } = this.#options
    if (delayMs <= maxLoopDelayMs) this.#inTimeAtMs = nowMs
    if (this.isLimiting) this.#follow(nowMs, delayMs)
    else if (nowMs - this.#inTimeAtMs >= ONSET_MS) this.#begin(nowMs, delayMs)
    else if (this.#load.inFlight() < minRequests / 2) {
      this.close()
      this.limit = this.#idleLimit
    }
  }

  #begin(nowMs: number, delayMs: number): void {
    this.#countResting(nowMs)
    this.#young = this.#load.inFlight() - this.#resting
    this.#cut(delayMs)
    this.#newWindow(nowMs)
    this.#calmWindows = 0
    if (nowMs - this.#loggedAtMs < LOG_MS) return
    this.#loggedAtMs = nowMs
    this.#load.logger.warn(
      {
        delayMs: Math.round(delayMs),
        limit: this.limit,
        inFlight: this.#load.inFlight(),
        hint: 'the server has more requests than CPU time; proxy.max_loop_delay sets the delay',
      },
      'overloaded: requests above the limit are answered 503',
    )
  }

  /** Moves the limit once per window. */
  #follow(nowMs: number, delayMs: number): void {
    this.#looks += 1
    this.#leastMs = Math.min(this.#leastMs, delayMs)
    if (this.#looks < MIN_LOOKS || nowMs - this.#windowAtMs < WINDOW_MS) return
    this.#countResting(nowMs)
    if (this.#leastMs > this.#options.maxLoopDelayMs) this.#cut(this.#leastMs)
    else this.#set(this.#wasReached ? this.#young * GROWTH + 1 : this.#young)
    this.#calmWindows = this.#wasReached ? 0 : this.#calmWindows + 1
    this.#newWindow(nowMs)
    if (this.#calmWindows < CALM_WINDOWS) return
    this.#set(Infinity)
  }

  #cut(delayMs: number): void {
    this.#set(this.#young * Math.max(LARGEST_CUT, this.#options.maxLoopDelayMs / delayMs))
  }

  #set(young: number): void {
    const { minRequests, maxRequests } = this.#options
    this.#young = Math.max(minRequests, Math.floor(young))
    this.limit = Math.min(maxRequests, this.#young + this.#resting)
  }

  #newWindow(nowMs: number): void {
    this.#windowAtMs = nowMs
    this.#looks = 0
    this.#leastMs = Infinity
    this.#wasReached = false
  }

  #countResting(nowMs: number): void {
    if (nowMs - this.#restingAtMs < COUNT_RESTING_MS) return
    this.#restingAtMs = nowMs
    this.#resting = this.#load.olderThan(RESTING_MS)
  }
}
