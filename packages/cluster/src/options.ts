import { type Clock, SYSTEM_CLOCK } from './clock.ts'
import { ClusterError } from './errors.ts'

/** A number that can be set: its default and its range, both ends included. */
export interface ClusterLimit {
  /** Used when the option is absent. */
  readonly default: number
  readonly min: number
  readonly max: number
}

/** Every number of a membership that can be set, by the name of its option. The README prints this table. */
export const CLUSTER_LIMITS: Readonly<
  Record<Exclude<keyof MembershipOptions, 'clock'>, ClusterLimit>
> = Object.freeze({
  leaseMs: { default: 10_000, min: 100, max: 600_000 },
  pollMs: { default: 1_000, min: 10, max: 60_000 },
  batchMs: { default: 20, min: 0, max: 1_000 },
  hintMs: { default: 100, min: 0, max: 10_000 },
  assertMs: { default: 30_000, min: 100, max: 3_600_000 },
  retryMinMs: { default: 200, min: 1, max: 60_000 },
  retryMaxMs: { default: 2_000, min: 1, max: 60_000 },
  claimWaitMs: { default: 5_000, min: 10, max: 60_000 },
  nameRetryAfterMs: { default: 15_000, min: 0, max: 600_000 },
  awayRetryAfterMs: { default: 5_000, min: 0, max: 600_000 },
  maxWaitingClaims: { default: 20_000, min: 1, max: 1_000_000 },
  maxPuts: { default: 1_000, min: 1, max: 10_000 },
  // Few pages: while the tables have no statistics yet, the database sorts all that is left for each page.
  pageRows: { default: 10_000, min: 1, max: 20_000 },
  maxRecent: { default: 10_000, min: 0, max: 1_000_000 },
  removalsMs: { default: 600_000, min: 1_000, max: 86_400_000 },
  forgetMs: { default: 900_000, min: 1_000, max: 86_400_000 },
})

/** Options of a membership; see CLUSTER_LIMITS for defaults and ranges. */
export interface MembershipOptions {
  /** How long a node counts as alive after it renewed its lease, ms; it renews three times in this time. Equal on all nodes. */
  readonly leaseMs?: number
  /** How often changes of others are read, whether or not there are hints, ms. */
  readonly pollMs?: number
  /** Shortest time between two writes of changes, ms: those meanwhile are written together. */
  readonly batchMs?: number
  /** Shortest time between two hints of the node, ms: a hint takes a lock of the whole database. */
  readonly hintMs?: number
  /** How often the node compares what is stored of it with what it serves, ms. */
  readonly assertMs?: number
  /** Shortest delay after a failure of the database, ms. */
  readonly retryMinMs?: number
  /** Longest delay after a failure of the database, ms. */
  readonly retryMaxMs?: number
  /** How long a claim waits for the database, ms. */
  readonly claimWaitMs?: number
  /** Delay after which a claim that was rejected should come again, ms. */
  readonly nameRetryAfterMs?: number
  /** Shortest delay after which a claim should come again that the database did not answer, ms; it is drawn up to three times as long. */
  readonly awayRetryAfterMs?: number
  /** Claims that wait for the database at most; one more is unavailable at once. */
  readonly maxWaitingClaims?: number
  /** Routes and removals of each kind that are written at once. */
  readonly maxPuts?: number
  /** Rows that are read at once. */
  readonly pageRows?: number
  /** Names that are remembered after they were released, for the time the database is away. */
  readonly maxRecent?: number
  /** How long a removal stays stored, ms: a node that did not read for longer reads everything again. */
  readonly removalsMs?: number
  /** How long a node that is gone and a name without a route stay stored, ms. */
  readonly forgetMs?: number
  /** Time and random numbers. Default: those of the system. */
  readonly clock?: Clock
}

/** Options with their defaults. */
export type ResolvedMembershipOptions = Readonly<Record<keyof typeof CLUSTER_LIMITS, number>> & {
  readonly clock: Clock
}

/**
 * Checks options and adds the defaults.
 *
 * @throws {ClusterError} CLUSTER_OPTION_INVALID
 */
export function resolveMembershipOptions(options: MembershipOptions): ResolvedMembershipOptions {
  const { clock = SYSTEM_CLOCK, ...numbers } = options
  for (const name of Object.keys(numbers)) {
    if (!Object.hasOwn(CLUSTER_LIMITS, name)) {
      throw new ClusterError('CLUSTER_OPTION_INVALID', 'is not known', { option: name })
    }
  }
  const pick = (name: keyof typeof CLUSTER_LIMITS): number => {
    const { default: byDefault, min, max } = CLUSTER_LIMITS[name]
    const value = options[name] ?? byDefault
    if (!Number.isSafeInteger(value) || value < min || value > max) {
      const range = `is not a whole number from ${min} to ${max}`
      throw new ClusterError('CLUSTER_OPTION_INVALID', range, { option: name })
    }
    return value
  }
  return {
    leaseMs: pick('leaseMs'),
    pollMs: pick('pollMs'),
    batchMs: pick('batchMs'),
    hintMs: pick('hintMs'),
    assertMs: pick('assertMs'),
    retryMinMs: pick('retryMinMs'),
    retryMaxMs: pick('retryMaxMs'),
    claimWaitMs: pick('claimWaitMs'),
    nameRetryAfterMs: pick('nameRetryAfterMs'),
    awayRetryAfterMs: pick('awayRetryAfterMs'),
    maxWaitingClaims: pick('maxWaitingClaims'),
    maxPuts: pick('maxPuts'),
    pageRows: pick('pageRows'),
    maxRecent: pick('maxRecent'),
    removalsMs: pick('removalsMs'),
    forgetMs: pick('forgetMs'),
    clock,
  }
}
