/** The store of a server with workers: the parent has it, and writes what its workers ask for. */
import { isDeepStrictEqual } from 'node:util'

import { type Endpoint, endpointKey } from '@proj/tunnel/server'

import type { AuditEvent, AuditFields } from '../store/audit-log.ts'
import type { DomainClaim, ProofState } from '../store/domain-store.ts'
import type { Reservation } from '../store/reservation-store.ts'
import type { Store } from '../store/store.ts'
import type { TokenRecord, TokenScope } from '../store/token-store.ts'
import type { Answers } from './parent-calls.ts'

/**
 * What a caller has seen before its change, as its function has accepted it: the change is made only while that is
 * still so. undefined: it may be any.
 */
export interface Seen {
  /** null: there was none. */
  readonly was: object | null
}

/** Is told when something has changed that workers keep in memory. */
export interface StoreListener {
  /** Tells a worker. */
  note(name: string, args?: unknown): unknown
}

/** How long the agents of a worker that has died are expected at others, ms. */
const EXPECTED_MS = 60_000

/** Which endpoints have agents, at any worker. */
class ServedByWorkers {
  readonly #store: Store
  readonly #workers = new Map<string, { readonly endpoint: Endpoint; readonly by: Set<object> }>()
  /** Without a worker, but expected: those of the time before the start, and of workers that have died. */
  readonly #expected = new Map<string, { readonly endpoint: Endpoint; readonly untilMs: number }>()

  constructor(store: Store) {
    this.#store = store
    for (const endpoint of store.served.before) {
      this.#expected.set(endpointKey(endpoint), { endpoint, untilMs: Infinity })
    }
  }

  /** Those that are served now or expected. */
  get endpoints(): Endpoint[] {
    const nowMs = performance.now()
    for (const [key, { untilMs }] of this.#expected) {
      if (untilMs < nowMs) this.#expected.delete(key)
    }
    return [...this.#workers.values(), ...this.#expected.values()].map(({ endpoint }) => endpoint)
  }

  set(worker: object, endpoint: Endpoint, isServed: boolean): void {
    const key = endpointKey(endpoint)
    const known = this.#workers.get(key)
    this.#expected.delete(key)
    if (isServed) {
      if (known === undefined) this.#workers.set(key, { endpoint, by: new Set([worker]) })
      else known.by.add(worker)
    } else {
      known?.by.delete(worker)
      if (known !== undefined && known.by.size > 0) return
      this.#workers.delete(key)
    }
    this.#store.served.set(endpoint, isServed)
  }

  /** A worker has ended, without its agents having left it. */
  forget(worker: object): void {
    for (const [key, { endpoint, by }] of this.#workers) {
      if (!by.delete(worker) || by.size > 0) continue
      this.#workers.delete(key)
      this.#expected.set(key, { endpoint, untilMs: performance.now() + EXPECTED_MS })
      this.#store.served.set(endpoint, false)
    }
  }
}

/** Writes to the store for the workers of this process. */
export class StoreHost {
  readonly #store: Store
  readonly #served: ServedByWorkers
  readonly #listeners = new Set<StoreListener>()
  #isEnding = false

  /** @param store - it stays the caller's. */
  constructor(store: Store) {
    this.#store = store
    this.#served = new ServedByWorkers(store)
    const tell = (name: string, args?: unknown): void => {
      for (const listener of this.#listeners) listener.note(name, args)
    }
    store.audit.onWrite = (event) => tell('audit', event)
    store.domains.onChange = () => tell('domains')
    store.onChange = (parts) => tell('store', parts)
    store.tokens.onChange(() => tell('tokens'))
  }

  /** Endpoints that a worker that starts may expect. */
  get before(): readonly Endpoint[] {
    return this.#served.endpoints
  }

  /** All workers end: what they serve now is what the next process waits for. */
  end(): void {
    this.#isEnding = true
  }

  /** Tells a worker of changes until it is gone, and forgets what it served then. */
  follow(worker: StoreListener, gone: Promise<void>): void {
    this.#listeners.add(worker)
    void gone.then(() => {
      this.#listeners.delete(worker)
      if (!this.#isEnding) this.#served.forget(worker)
    })
  }

  /** What a worker may ask for. @param worker - that follows. */
  answers(worker: () => StoreListener): Answers {
    const { tokens, reservations, domains, audit } = this.#store
    return {
      'tokens.create': async (token: Parameters<typeof tokens.create>[0]) => {
        return await tokens.create(token)
      },
      'tokens.rescope': async ({ id, seen, scope }: TokenCall & { scope: TokenScope }) => {
        return await tokens.rescope(id, (token) => (isToken(token, seen) ? scope : undefined))
      },
      'tokens.revoke': async ({ id, at, seen }: TokenCall & { at: number }) => {
        return await tokens.revoke(id, at, (token) => isToken(token, seen))
      },
      'tokens.use': ({ id, at }: { id: string; at: number }) => tokens.noteUse(id, at),
      'names.reserve': async ({ wanted, seen }: { wanted: Reservation; seen?: Seen }) => {
        return await reservations.reserve(wanted, (held) => isAsSeen(held, seen))
      },
      'names.release': async ({ endpoint, identity, seen }: ReleaseCall) => {
        return await reservations.release(endpoint, identity, (held) => isAsSeen(held, seen))
      },
      'domains.ask': async ({ wanted, seen }: { wanted: DomainClaim; seen?: Seen }) => {
        return await domains.ask(wanted, (found) => isAsSeen(found, seen))
      },
      'domains.note': async ({ before, state }: { before: DomainClaim; state: ProofState }) => {
        return await domains.note(before, state)
      },
      'domains.remove': async ({ value, seen }: { value: string; seen?: Seen }) => {
        return await domains.remove(value, (found) => isAsSeen(found, seen))
      },
      'audit.write': ({ event, fields }: { event: AuditEvent; fields: AuditFields }) => {
        audit.write(event, fields)
      },
      'audit.flush': async () => await audit.flush(),
      served: ({ endpoint, isServed }: { endpoint: Endpoint; isServed: boolean }) => {
        this.#served.set(worker(), endpoint, isServed)
      },
      settle: async () => await this.#store.settle(),
    }
  }
}

interface TokenCall {
  readonly id: string
  readonly seen?: Seen
}

interface ReleaseCall {
  readonly endpoint: Endpoint
  readonly identity?: string
  readonly seen?: Seen
}

/** A token that was used meanwhile is still the same. */
function isToken(token: TokenRecord, seen: Seen | undefined): boolean {
  if (seen === undefined) return true
  return isAsSeen(
    { ...token, lastUsedAt: undefined },
    { was: { ...seen.was, lastUsedAt: undefined } },
  )
}

function isAsSeen(found: object | undefined, seen: Seen | undefined): boolean {
  return seen === undefined || isDeepStrictEqual(plain(found ?? null), plain(seen.was))
}

/** As it comes through the channel. */
function plain(value: object | null): unknown {
  return JSON.parse(JSON.stringify(value))
}
