import { Backoff, type BackoffOptions, isDialError } from '@proj/dialer'

import { underSignals } from '../abortable.ts'
import { isTunnelError } from '../errors.ts'
import { type NetworkChange, type NetworkChanges, SYSTEM_NETWORK } from './network-watch.ts'

/** Why a connection is not used for new streams any more. */
export interface Departure {
  /** What broke it; absent when it was ended in good order. */
  readonly error?: Error
  /** Delay the peer asks for before the next connection, ms. */
  readonly retryAfterMs?: number
  /** The next connection is there already: `connect` returns it at once. */
  readonly isReplaced?: true
}

/** A connection that is replaced when it is left. */
export interface KeptConnection {
  /** Resolves when the connection is not to be used any more: it is over, or the peer is draining. */
  readonly left: Promise<Departure>
  /** Address of this side, without a zone; absent where there is none. */
  readonly localAddress?: string | undefined
  /**
   * The connection counts as left from now on; its streams go on while the next one is made.
   *
   * @param why - for the log.
   */
  leave?(why: string): void
  /** Leaves it, unless something comes from the peer within NETWORK_CHECK_MS. */
  check?(): void
}

/** Time a peer has for an answer after the network changed, ms: two lost packets in a row are repaired by then. */
export const NETWORK_CHECK_MS = 2_000

/** Why a connection is left after `check`. */
export const SILENT = 'nothing came from the server since the addresses of this machine changed'

/** Longest wait that a peer can ask for when it drains, ms: the most that a server of ours can be set to. */
export const MAX_DEPARTURE_MS = 300_000

/** Longest wait between attempts while something needs the connection, ms. */
export const DEMAND_WAIT_MS = 250

/** What needs kept connections now, such as a local connection that waits for the server. */
export class Demand {
  #count = 0
  readonly #waits = new Set<() => void>()

  /** Something needs the connection, until `end`. */
  begin(): void {
    this.#count += 1
    for (const hasten of this.#waits) hasten()
  }

  /** It needs it no more. */
  end(): void {
    this.#count -= 1
  }

  /** Waits for `ms`, or for DEMAND_WAIT_MS when that is shorter and something needs the connection. */
  async wait(ms: number, signal: AbortSignal): Promise<void> {
    const sinceMs = performance.now()
    let hasten = (): void => {}
    await new Promise<void>((resolve) => {
      const end = (): void => {
        clearTimeout(timer)
        signal.removeEventListener('abort', end)
        resolve()
      }
      let timer = setTimeout(end, this.#count > 0 ? Math.min(ms, DEMAND_WAIT_MS) : ms)
      signal.addEventListener('abort', end, { once: true })
      hasten = () => {
        const restMs = Math.min(ms, DEMAND_WAIT_MS) - (performance.now() - sinceMs)
        clearTimeout(timer)
        timer = setTimeout(end, Math.max(0, restMs))
      }
      this.#waits.add(hasten)
    })
    this.#waits.delete(hasten)
  }
}

const NO_DEMAND = new Demand()

/** What a kept connection needs. */
export interface KeepConnectedOptions<T extends KeptConnection> {
  /** Makes one attempt; the signal ends it. */
  readonly connect: (signal: AbortSignal) => Promise<T>
  /** Called with each connection that was made. */
  readonly onConnected: (connection: T) => void
  /** Called before each wait, with the error, if there was one. */
  readonly onRetry: (error: unknown, delayMs: number) => void
  /** Whether each attempt may have new credentials: then it is tried once more after a 401. */
  readonly renewsCredentials?: boolean
  /**
   * A session ended because its credentials are not valid any more: whether that is the end.
   * Default: yes, unless `renewsCredentials`.
   */
  readonly isOver?: (connection: T, error: unknown) => boolean
  /** Waits between attempts. Default: full jitter from 100 ms to MAX_BACKOFF_MS. */
  readonly backoff: BackoffOptions
  /** Shortens the waits while something needs the connection. Default: nothing does. */
  readonly demand?: Demand
  /** Tells when the addresses or routes of this machine change. Default: those of the system. */
  readonly network?: NetworkChanges | undefined
  /** Ends the connection and the attempts. */
  readonly signal: AbortSignal
}

/** Longest wait between attempts, ms: as long as Piko's. */
export const MAX_BACKOFF_MS = 15_000

/**
 * Time a connection must have lasted to prove that this peer may connect, ms. After that the waits start
 * again at the shortest, and no rejection is final: a server that is being replaced, or has lost its
 * token store for a moment, rejects every peer.
 */
export const LIVED_MS = 5_000

/**
 * Keeps one connection up: connects, waits until it is left, connects again. When the peer drains, the
 * next connection is made while the last streams of the old one finish. When the addresses or routes of this
 * machine change, a connection whose address is gone is left at once, another one is checked; with a new
 * address or route an attempt is made at once, and one that is running is begun again.
 *
 * @returns resolves when the signal is aborted; never without.
 * @throws the error of an attempt that trying again cannot mend (`retryable` is false), as long as no
 *   connection has lasted LIVED_MS, and the one a session was ended with because its credentials are not
 *   valid any more.
 */
export async function keepConnected<T extends KeptConnection>(
  options: KeepConnectedOptions<T>,
): Promise<void> {
  const { network = SYSTEM_NETWORK } = options
  const guard = new NetworkGuard()
  const unsubscribe = network.subscribe((change) => guard.onChange?.(change))
  try {
    await keepTrying(options, guard)
  } finally {
    unsubscribe()
  }
}

/** What a change of this machine's addresses or routes means at the moment; undefined: nothing. */
class NetworkGuard {
  onChange: ((change: NetworkChange) => void) | undefined
  /** Whether a new address or route has ended what `untilNew` ran last. */
  isNew = false

  /** Runs something whose signal also aborts when there is a new address or route. */
  async untilNew<T>(signal: AbortSignal, run: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const changed = new AbortController()
    this.isNew = false
    this.onChange = ({ hasCome }) => {
      if (!hasCome) return
      this.isNew = true
      changed.abort(new Error('this machine has a new address or route'))
    }
    try {
      return await underSignals([signal, changed.signal], run)
    } finally {
      this.onChange = undefined
    }
  }

  /** Leaves a connection whose address is gone, and checks it after other changes. */
  watch(connection: KeptConnection): void {
    const { localAddress } = connection
    this.onChange = ({ gone }) => {
      if (localAddress === undefined || !gone.has(localAddress)) connection.check?.()
      else connection.leave?.(`the address ${localAddress} of the connection is gone`)
    }
  }
}

async function keepTrying<T extends KeptConnection>(
  options: KeepConnectedOptions<T>,
  guard: NetworkGuard,
): Promise<void> {
  const { signal, demand = NO_DEMAND } = options
  const maxMs = options.backoff.maxMs ?? MAX_BACKOFF_MS
  const backoff = new Backoff({ resetAfterMs: LIVED_MS, ...options.backoff, maxMs })
  let isRefused = false
  let hasLived = false
  // An attempt is begun again once: addresses that come one after the other must not keep it from its end.
  let isAgain = false
  while (!signal.aborted) {
    let problem: unknown
    let retryAfterMs: number | undefined
    let isOver = false
    try {
      const attempt = isAgain
        ? options.connect(signal)
        : guard.untilNew(signal, (either) => options.connect(either))
      const connection = await attempt
      isAgain = false
      guard.watch(connection)
      const sinceMs = performance.now()
      backoff.connected(sinceMs)
      isRefused = false
      options.onConnected(connection)
      const departure = await connection.left
      guard.onChange = undefined
      const leftMs = performance.now()
      backoff.lost(leftMs)
      hasLived ||= leftMs - sinceMs >= LIVED_MS
      if (departure.isReplaced) continue
      problem = departure.error
      retryAfterMs = departure.retryAfterMs && Math.min(departure.retryAfterMs, MAX_DEPARTURE_MS)
      if (isUnauthorized(problem) && options.renewsCredentials !== true) {
        isOver = options.isOver?.(connection, problem) ?? true
        // Another server takes the place of the one that has ended the session.
        if (!isOver) problem = undefined
      }
    } catch (error) {
      if (signal.aborted) return
      isAgain = !isAgain && guard.isNew
      if (isAgain) continue
      const mayRenew: boolean =
        isUnauthorized(error) && options.renewsCredentials === true && !isRefused
      if (!isRetryable(error) && !mayRenew && !hasLived) throw error
      isRefused = isUnauthorized(error)
      problem = error
    }
    if (isOver) throw problem
    if (signal.aborted) return
    const reason = reasonOf(problem, retryAfterMs)
    // Refused credentials are counted by servers; asking soon again would only lock this peer out.
    const mayHasten = !hasUnauthorized(problem)
    const isMoved = isTunnelError(problem, 'TUNNEL_NETWORK_CHANGED')
    const waitMs = isMoved ? 0 : backoff.next(reason, mayHasten ? performance.now() : undefined)
    options.onRetry(problem, waitMs)
    if (isMoved) continue
    const isHastened = mayHasten && reason.retryAfterMs === undefined
    if (isHastened) await guard.untilNew(signal, (either) => demand.wait(waitMs, either))
    else await NO_DEMAND.wait(waitMs, signal)
  }
}

function isUnauthorized(error: unknown): boolean {
  return isTunnelError(error, 'TUNNEL_UNAUTHORIZED')
}

/** Whether that is the error, or that of one of several servers. */
function hasUnauthorized(error: unknown): boolean {
  return [error, ...errorsOfServers(error)].some(isUnauthorized)
}

/** What failed at each server when none of several was reached. */
function errorsOfServers(error: unknown): readonly unknown[] {
  if (!isTunnelError(error, 'TUNNEL_SERVERS_FAILED')) return []
  return error.cause instanceof AggregateError ? error.cause.errors : []
}

/** Whether trying again may mend an error. */
export function isRetryable(error: unknown): boolean {
  // An unknown error is retried: never to connect again would be worse.
  return !(error instanceof Error && 'retryable' in error && error.retryable === false)
}

function reasonOf(
  problem: unknown,
  retryAfterMs: number | undefined,
): { readonly retry?: 'yes' | 'slow' | 'no'; readonly retryAfterMs?: number | undefined } {
  if (isDialError(problem)) return problem
  const each = errorsOfServers(problem).map((one) => reasonOf(one, undefined))
  if (each.length > 0) {
    const delays = each.map((one) => one.retryAfterMs ?? 0)
    const soonestMs = Math.min(...delays)
    const isSlow = each.every(({ retry }) => retry === 'slow' || retry === 'no')
    return {
      retry: isSlow ? 'slow' : 'yes',
      retryAfterMs: soonestMs > 0 ? soonestMs : undefined,
    }
  }
  if (!isTunnelError(problem)) return { retryAfterMs }
  const isSlow = problem.code === 'TUNNEL_UPGRADE_REFUSED' || problem.code === 'TUNNEL_UNAUTHORIZED'
  return { retry: isSlow ? 'slow' : 'yes', retryAfterMs: problem.retryAfterMs }
}
