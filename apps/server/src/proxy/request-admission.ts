import type { Logger } from '@proj/tunnel'

/** Limits of {@link RequestAdmission}, as in ProxyOptions. */
export interface RequestAdmissionOptions {
  /** How late the event loop may be before requests are rejected, ms; Infinity: it does not matter. */
  readonly maxLoopDelayMs: number
  /** In an overload: how long requests may wait in addition to the time that their services take, ms. */
  readonly queueTargetMs: number
  /** Requests that may always wait for an answer at once. */
  readonly minRequests: number
  /** Requests that may run at once at most. */
  readonly maxRequests: number
}

/** Counts of requests; read as they are now. */
export interface RequestCounts {
  /** Since the start. */
  readonly requests: number
  /** Running now. */
  readonly inFlight: number
  /** Of these, the ones that wait for an answer: a body that is sent or read slowly costs little. */
  readonly awaiting: number
  /** Since the start, those whose answers have begun. */
  readonly answered: number
  /** Since the start, those whose visitors went away while they waited. */
  readonly givenUp: number
}

/** What the limit depends on. */
export interface RequestLoad {
  readonly stats: RequestCounts
  /** Visitors' connections; each has one request at most. */
  readonly visitors: () => number
  /** How many of those that wait for an answer began more than `ageMs` ago; asked once a second at most. */
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
const ONSET_MS = 200

/** The limit changes once in this time, ms, by the smallest delay in it: a queue that stays has no small one. */
const WINDOW_MS = 100
const MIN_LOOKS = 2

/** The limit falls as far as the delay is above its target, but not below this part in one step. */
const LARGEST_CUT = 0.5

/** Growth in a window in which the limit was reached; one that was not shows nothing. */
const GROWTH = 1.05

/**
 * Visitors that each wait for one answer after the other make the loop late as well, on a busy machine few of
 * them: overload is only what more than this times `minRequests` do.
 */
const OVERLOAD_FROM = 8

/** When one in this many visitors goes away before its answer comes, fewer are an overload too, for PATIENT_MS. */
const GIVEN_UP_ONE_IN = 10
const MIN_GIVEN_UP = 10
const PATIENCE_MS = 1_000
const PATIENT_MS = 30_000

/** Answers are counted over so long, ms: a shorter time has too few of slow services. */
const COUNT_MS = 1_000

/** For so long the shortest wait counts, ms, while there is no overload: services change. */
const SERVICE_TIME_MS = 15_000

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
 * How many requests may wait for an answer at once. Without load that is no question and costs two comparisons
 * per request. As soon as `minRequests` wait, the delay of the event loop is watched; when it has been above
 * `maxLoopDelayMs` for ONSET_MS and the requests are an overload, the number that waits becomes the limit, falls
 * with the delay and grows when the delay is small again: the same control as AIMD, with a cut in proportion
 * (Envoy's gradient, with the delay of the loop in place of a latency, since services differ in theirs). By the
 * rate of answers it stays between what is answered within `maxLoopDelayMs`, and within the time of the services
 * and `queueTargetMs`.
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
  #patienceAtMs = 0
  /** When visitors gave up last. */
  #givenUpAtMs = -Infinity
  #requestsBefore = 0
  #givenUpBefore = 0
  #countedAtMs = 0
  #answeredBefore = 0
  /** Answers per ms. */
  #rate = 0
  /** Requests that waited, summed over the looks since the last count. */
  #waitSum = 0
  #waitLooks = 0
  /** Shortest time that requests waited on average, ms: about what their services take. */
  #serviceMs = Infinity
  #serviceAtMs = 0

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
    const { awaiting, inFlight } = this.#load.stats
    if (awaiting < this.limit && inFlight < this.#options.maxRequests) return false
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
    this.#newPatience(this.#lookedAtMs)
    this.#rate = 0
    this.#serviceMs = Infinity
    this.#serviceAtMs = this.#lookedAtMs
    this.#newCount(this.#lookedAtMs)
    this.#stop = this.#clock.every(LOOK_MS, () => this.#look())
  }

  #look(): void {
    const nowMs = this.#clock.now()
    const delayMs = nowMs - this.#lookedAtMs - LOOK_MS
    this.#lookedAtMs = nowMs
    if (delayMs <= this.#options.maxLoopDelayMs) this.#inTimeAtMs = nowMs
    this.#waitSum += this.#load.stats.awaiting - this.#resting
    this.#waitLooks += 1
    if (nowMs - this.#countedAtMs >= COUNT_MS) this.#count(nowMs)
    if (nowMs - this.#patienceAtMs >= PATIENCE_MS) this.#lookWhetherPatient(nowMs)
    if (this.isLimiting) this.#follow(nowMs, delayMs)
    else if (nowMs - this.#inTimeAtMs >= ONSET_MS) this.#begin(nowMs, delayMs)
    else if (this.#load.stats.awaiting < this.#options.minRequests / 2) {
      this.close()
      this.limit = this.#idleLimit
    }
  }

  #begin(nowMs: number, delayMs: number): void {
    this.#countResting(nowMs)
    const { awaiting, inFlight } = this.#load.stats
    if (awaiting - this.#resting <= this.#overloadFrom(nowMs)) return
    // The delay has lasted for long enough: a limit that fell step by step would be late itself.
    this.#set(((awaiting - this.#resting) * this.#options.maxLoopDelayMs) / delayMs)
    this.#newWindow(nowMs)
    this.#calmWindows = 0
    if (nowMs - this.#loggedAtMs < LOG_MS) return
    this.#loggedAtMs = nowMs
    this.#load.logger.warn(
      {
        delayMs: Math.round(delayMs),
        limit: this.limit,
        awaiting,
        inFlight,
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
    const isOver = this.#load.visitors() <= this.#overloadFrom(nowMs)
    if (isOver || this.#calmWindows >= CALM_WINDOWS) this.#set(Infinity)
  }

  #cut(delayMs: number): void {
    this.#set(this.#young * Math.max(LARGEST_CUT, this.#options.maxLoopDelayMs / delayMs))
  }

  #set(young: number): void {
    const { maxLoopDelayMs, minRequests, queueTargetMs } = this.#options
    // What is answered within the delay that is allowed may wait: bursts are that long.
    const least = Math.max(minRequests, this.#rate * maxLoopDelayMs)
    // More would wait where the loop does not see it: in agents, and for their acknowledgements.
    const mostMs = this.#serviceMs + queueTargetMs
    const most = mostMs === Infinity ? Infinity : Math.max(least, this.#rate * mostMs)
    this.#young = young === Infinity ? Infinity : Math.floor(Math.min(most, Math.max(least, young)))
    this.limit = Math.min(this.#options.maxRequests, this.#young + this.#resting)
  }

  #lookWhetherPatient(nowMs: number): void {
    const { requests, givenUp } = this.#load.stats
    const gone = givenUp - this.#givenUpBefore
    const begun = requests - this.rejected - this.#requestsBefore
    this.#newPatience(nowMs)
    if (gone >= Math.max(MIN_GIVEN_UP, begun / GIVEN_UP_ONE_IN)) this.#givenUpAtMs = nowMs
  }

  /** Requests above this are an overload. */
  #overloadFrom(nowMs: number): number {
    const isPatient = nowMs - this.#givenUpAtMs >= PATIENT_MS
    return this.#options.minRequests * (isPatient ? OVERLOAD_FROM : 1)
  }

  #newPatience(nowMs: number): void {
    this.#patienceAtMs = nowMs
    this.#requestsBefore = this.#load.stats.requests - this.rejected
    this.#givenUpBefore = this.#load.stats.givenUp
  }

  /** Measures the rate of answers and, by Little's law, the time that requests wait for theirs. */
  #count(nowMs: number): void {
    this.#rate = (this.#load.stats.answered - this.#answeredBefore) / (nowMs - this.#countedAtMs)
    if (!this.isLimiting && nowMs - this.#serviceAtMs >= SERVICE_TIME_MS) {
      this.#serviceMs = Infinity
      this.#serviceAtMs = nowMs
    }
    if (this.#rate > 0) {
      const waitedMs = this.#waitSum / this.#waitLooks / this.#rate
      this.#serviceMs = Math.min(this.#serviceMs, Math.max(0, waitedMs))
    }
    this.#newCount(nowMs)
  }

  #newCount(nowMs: number): void {
    this.#countedAtMs = nowMs
    this.#answeredBefore = this.#load.stats.answered
    this.#waitSum = this.#waitLooks = 0
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
