import { STATUS_CODES } from 'node:http'

/**
 * Methods that are counted by name. A visitor may send any method, so every other one is counted as
 * `other`: the number of series stays bounded.
 */
export const COUNTED_METHODS = [
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'PATCH',
  'DELETE',
  'OPTIONS',
  'other',
] as const

/** Upper bounds of the buckets of durations, seconds: the defaults of Prometheus clients, as in Piko. */
export const DURATION_BUCKETS = [
  0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
] as const satisfies readonly number[]

/** Upper bounds of the buckets of sizes, bytes, as in Piko. */
export const SIZE_BUCKETS = [
  256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304,
] as const satisfies readonly number[]

/**
 * A status has three digits. A service may answer with any, so one that is not registered (IANA, HTTP
 * Status Code Registry) is counted as the first of its class: the number of series stays bounded.
 */
const STATUSES = 1000
const COUNTED_STATUSES = Uint16Array.from({ length: STATUSES }, (_, status) =>
  String(status) in STATUS_CODES ? status : Math.floor(status / 100) * 100,
)

/** Numbers per method and status: one per bucket, the longer ones, and the sum in seconds. */
const ROW = DURATION_BUCKETS.length + 2

/** How many answers with a status a method got. */
export interface AnswerCount {
  readonly method: (typeof COUNTED_METHODS)[number]
  readonly status: number
  readonly count: number
}

/** How long the exchanges of a method with a status took. */
export interface DurationCount extends AnswerCount {
  /** Exchanges by bucket, not cumulative, in the order of `DURATION_BUCKETS`. */
  readonly buckets: Float64Array
  /** Of all durations, seconds. */
  readonly sum: number
}

/** Sizes of requests, or of answers. */
export class SizeCounts {
  /** Of all sizes, bytes. */
  sum = 0
  count = 0
  /** Sizes by bucket, not cumulative, in the order of `SIZE_BUCKETS`. */
  readonly buckets: Float64Array = new Float64Array(SIZE_BUCKETS.length)

  /** Counts one. */
  add(bytes: number): void {
    this.sum += bytes
    this.count += 1
    let bucket = 0
    while (bytes > (SIZE_BUCKETS[bucket] ?? Infinity)) bucket += 1
    // One that is larger than all bounds is in `count` alone.
    if (bucket < SIZE_BUCKETS.length) this.buckets[bucket] = (this.buckets[bucket] ?? 0) + 1
  }
}

/**
 * Counts of the proxy port since the start. Everything is allocated here, once: counting writes numbers
 * into arrays, and the admin pages read them.
 */
export class ProxyStats {
  /** Requests whose head was read. */
  requests = 0
  inFlight = 0
  /** Of those in flight, the ones that wait for an answer: all of the request is there, and no head of a response. */
  awaiting = 0
  /** Requests whose answers from a service have begun. */
  answered = 0
  /** Requests whose visitors went away, or ended their side, while they waited for an answer. */
  givenUp = 0
  /** Connections that switched protocols and are open. */
  upgraded = 0
  /** Bytes received from visitors and sent to them. */
  bytesIn = 0
  bytesOut = 0
  /** Connections that were ended because their visitor sent or took too little. */
  tooSlowIn = 0
  tooSlowOut = 0
  /** Requests and their answers, heads included; what is sent ahead of the next answer counts with this one. */
  readonly requestSizes: SizeCounts = new SizeCounts()
  readonly answerSizes: SizeCounts = new SizeCounts()
  /** Requests that were sent to agents of this server, each attempt of them. */
  upstreamRequests = 0
  readonly #answers = new Float64Array(COUNTED_METHODS.length * STATUSES)
  readonly #durations = new Float64Array(COUNTED_METHODS.length * STATUSES * ROW)

  /**
   * Counts a response of the server or of a service when its head is known.
   *
   * @param method - undefined when the request could not be read.
   * @param status - three digits.
   */
  countAnswer(method: string | undefined, status: number): void {
    const slot = slotOf(method, status)
    this.#answers[slot] = (this.#answers[slot] ?? 0) + 1
  }

  /**
   * Counts an exchange that ended.
   *
   * @param ms - from the end of the request's head to the end of the answer, or to an upgrade.
   */
  countDuration(method: string | undefined, status: number, ms: number): void {
    const seconds = ms / 1000
    const row = slotOf(method, status) * ROW
    let bucket = 0
    while (seconds > (DURATION_BUCKETS[bucket] ?? Infinity)) bucket += 1
    this.#durations[row + bucket] = (this.#durations[row + bucket] ?? 0) + 1
    this.#durations[row + ROW - 1] = (this.#durations[row + ROW - 1] ?? 0) + seconds
  }

  /** Answers by status, of those that were given. */
  get statuses(): ReadonlyMap<number, number> {
    const byStatus = new Map<number, number>()
    for (const { status, count } of this.answers()) {
      byStatus.set(status, (byStatus.get(status) ?? 0) + count)
    }
    return new Map([...byStatus].toSorted(([a], [b]) => a - b))
  }

  /** Answers by method and status, of those that were given. */
  *answers(): Generator<AnswerCount> {
    for (const [slot, count] of this.#answers.entries()) {
      if (count > 0) yield { ...labelsOf(slot), count }
    }
  }

  /** Durations by method and status, of exchanges that ended. */
  *durations(): Generator<DurationCount> {
    for (let slot = 0; slot < this.#answers.length; slot++) {
      const row = this.#durations.subarray(slot * ROW, (slot + 1) * ROW)
      const count = row.subarray(0, ROW - 1).reduce((total, one) => total + one, 0)
      if (count === 0) continue
      const buckets = row.slice(0, DURATION_BUCKETS.length)
      yield { ...labelsOf(slot), count, buckets, sum: row[ROW - 1] ?? 0 }
    }
  }
}

function slotOf(method: string | undefined, status: number): number {
  return methodSlot(method) * STATUSES + (COUNTED_STATUSES[status] ?? 0)
}

/** A switch compares without a lookup table and without allocating. */
function methodSlot(method: string | undefined): number {
  switch (method) {
    case 'GET':
      return 0
    case 'HEAD':
      return 1
    case 'POST':
      return 2
    case 'PUT':
      return 3
    case 'PATCH':
      return 4
    case 'DELETE':
      return 5
    case 'OPTIONS':
      return 6
    default:
      return COUNTED_METHODS.length - 1
  }
}

function labelsOf(slot: number): Pick<AnswerCount, 'method' | 'status'> {
  const method = COUNTED_METHODS[Math.floor(slot / STATUSES)] ?? 'other'
  return { method, status: slot % STATUSES }
}
