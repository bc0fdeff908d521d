/**
 * The store of a worker. It reads the file itself, and its parent, the one process that writes, makes its changes: those
 * that depend on what their caller has seen are made when that is still so, and are judged again otherwise.
 */
import { join } from 'node:path'

import type { Endpoint } from '@proj/tunnel/server'

import type {
  AuditEvent,
  AuditFields,
  AuditLog,
  AuditRange,
  AuditRecord,
} from '../store/audit-log.ts'
import { Database } from '../store/database.ts'
import type {
  AskOutcome,
  ClaimOwner,
  DomainClaim,
  DomainFilter,
  DomainStore,
  IsClaimAsSeen,
  ProofState,
} from '../store/domain-store.ts'
import { MIGRATIONS } from '../store/migrations.ts'
import {
  type IsAsSeen,
  isReleasable,
  type Reservation,
  type ReservationFilter,
  type ReservationStore,
  type ReserveOutcome,
} from '../store/reservation-store.ts'
import type { ServedEndpoints } from '../store/served-endpoints.ts'
import { SqliteAuditLog } from '../store/sqlite-audit-log.ts'
import { SqliteDomainStore } from '../store/sqlite-domain-store.ts'
import { SqliteReservationStore } from '../store/sqlite-reservation-store.ts'
import { SqliteTokenStore } from '../store/sqlite-token-store.ts'
import { type Store, STORE_FILE, type StorePart } from '../store/store.ts'
import { StoreError } from '../store/store-error.ts'
import {
  rescoped,
  revoked,
  type TokenChange,
  type TokenOutcome,
  type TokenRecord,
  type TokenRefusal,
  type TokenStore,
  USE_RESOLUTION_MS,
} from '../store/token-store.ts'
import type { Answers, ParentCalls } from './parent-calls.ts'
import type { Seen } from './store-host.ts'

/** How often a change is judged again because something came between, before it is STORE_BUSY. */
const MAX_TRIES = 10

/** Calls of the parent, without what the parent calls. */
type Calls = Pick<ParentCalls, 'call' | 'note'>

/** How a worker's store is opened. */
export interface WorkerStoreOptions {
  /** The data directory, which the parent has. */
  readonly directory: string
  /** Endpoints that had agents when this worker was started. */
  readonly before: readonly Endpoint[]
  /** The parent. */
  readonly parent: Calls
}

/** A store of which only reading is done here. */
export class WorkerStore implements Store {
  onChange: ((parts: readonly StorePart[]) => void) | undefined
  readonly file: string
  readonly tokens: WorkerTokenStore
  readonly reservations: WorkerReservationStore
  readonly domains: WorkerDomainStore
  readonly audit: WorkerAuditLog
  readonly served: ServedEndpoints
  readonly #database: Database
  readonly #parent: Calls

  /** @throws {StoreError} when the file cannot be read, or is of another version. */
  constructor({ directory, before, parent }: WorkerStoreOptions) {
    this.file = join(directory, STORE_FILE)
    const database = Database.open(this.file, { migrations: MIGRATIONS, isReader: true })
    this.#database = database
    this.#parent = parent
    this.tokens = new WorkerTokenStore(database, parent)
    this.reservations = new WorkerReservationStore(database, parent)
    this.domains = new WorkerDomainStore(database, parent)
    this.audit = new WorkerAuditLog(database, parent)
    this.served = {
      before,
      set: (endpoint, isServed) => void parent.note('served', { endpoint, isServed }),
    }
  }

  /** What the parent tells of changes that it has made, for any worker. */
  get answers(): Answers {
    return {
      audit: (event: AuditEvent) => this.audit.onWrite?.(event),
      domains: () => this.domains.onChange(),
      tokens: () => this.tokens.look(),
      store: (parts: readonly StorePart[]) => this.onChange?.(parts),
    }
  }

  async copyTo(): Promise<void> {
    await Promise.reject(new TypeError('the store is copied by its owner'))
  }

  async settle(): Promise<void> {
    try {
      await this.#parent.call('settle')
    } catch {
      // The parent is gone, or says in its log what is wrong.
    }
  }

  handOver(): void {} // the parent does it

  takeBack(): void {}

  close(): void {
    this.tokens.close()
    this.#database.close()
  }

  [Symbol.dispose](): void {
    this.close()
  }
}

/** Tokens that are read here. */
class WorkerTokenStore implements TokenStore {
  readonly #read: SqliteTokenStore
  readonly #parent: Calls
  /** The last use that was noted, by token. */
  readonly #noted = new Map<string, number>()

  constructor(database: Database, parent: Calls) {
    this.#read = new SqliteTokenStore(database)
    this.#parent = parent
    // Ids of tokens that are gone would stay.
    this.#read.onChange(() => this.#noted.clear())
  }

  get hasEverHeldTokens(): boolean {
    return this.#read.hasEverHeldTokens
  }

  find(id: string): TokenRecord | undefined {
    return this.#read.find(id)
  }

  list(): readonly TokenRecord[] {
    return this.#read.list()
  }

  async create(
    token: Omit<TokenRecord, 'revokedAt' | 'lastUsedAt'>,
  ): Promise<TokenRefusal | undefined> {
    const refusal = (await this.#parent.call('tokens.create', token)) as TokenRefusal | undefined
    this.#read.look()
    return refusal
  }

  async rescope(id: string, change: TokenChange): Promise<TokenOutcome> {
    return await this.#change(
      (token) => rescoped(token, change),
      async (token, after) =>
        await this.#parent.call('tokens.rescope', { id, seen: { was: token }, scope: after }),
      id,
    )
  }

  async revoke(
    id: string,
    at: number,
    isAsSeen?: (token: TokenRecord) => boolean,
  ): Promise<TokenOutcome> {
    return await this.#change(
      (token) => revoked(token, at, isAsSeen),
      async (token) => await this.#parent.call('tokens.revoke', { id, at, seen: { was: token } }),
      id,
    )
  }

  noteUse(id: string, at: number): void {
    if (at - (this.#noted.get(id) ?? 0) < USE_RESOLUTION_MS) return
    this.#noted.set(id, at)
    this.#parent.note('tokens.use', { id, at })
  }

  onChange(listener: () => void): () => void {
    return this.#read.onChange(listener)
  }

  look(): void {
    this.#read.look()
  }

  close(): void {
    this.#read.close()
  }

  async #change(
    judge: (token: TokenRecord | undefined) => TokenOutcome,
    ask: (token: TokenRecord, after: TokenRecord) => Promise<unknown>,
    id: string,
  ): Promise<TokenOutcome> {
    return await again(async () => {
      const token = this.find(id)
      const outcome = judge(token)
      if (!outcome.ok || token === undefined) return outcome
      const answer = (await ask(token, outcome.token)) as TokenOutcome
      this.#read.look()
      return !answer.ok && answer.code === 'not-as-seen' ? undefined : answer
    })
  }
}

/** Reserved names that are read here. */
class WorkerReservationStore implements ReservationStore {
  readonly #read: SqliteReservationStore
  readonly #parent: Calls

  constructor(database: Database, parent: Calls) {
    this.#read = new SqliteReservationStore(database)
    this.#parent = parent
  }

  find(endpoint: Endpoint): Reservation | undefined {
    return this.#read.find(endpoint)
  }

  findByPort(port: number): Reservation | undefined {
    return this.#read.findByPort(port)
  }

  list(filter?: ReservationFilter): readonly Reservation[] {
    return this.#read.list(filter)
  }

  async reserve(wanted: Reservation, isAsSeen?: IsAsSeen): Promise<ReserveOutcome> {
    const { tenant, endpoint: name } = wanted
    return await again(async () => {
      const found = this.find({ tenant, name })
      if (isAsSeen?.(found) === false) return { ok: false, code: 'not-as-seen' }
      const call = { wanted, ...seenOf(found, isAsSeen) }
      const answer = (await this.#parent.call('names.reserve', call)) as ReserveOutcome
      if (!('reservation' in answer)) return answer.code === 'not-as-seen' ? undefined : answer
      return { ...answer, reservation: whole(answer.reservation) }
    })
  }

  async release(
    endpoint: Endpoint,
    identity?: string,
    isAsSeen?: IsAsSeen,
  ): Promise<Reservation | undefined> {
    const outcome = await again(async () => {
      const found = this.find(endpoint)
      if (!isReleasable(found, identity, isAsSeen)) return { released: undefined }
      const call = { endpoint, identity, seen: { was: found } }
      const released = (await this.#parent.call('names.release', call)) as Reservation | undefined
      return released === undefined ? undefined : { released: whole(released) }
    })
    return outcome.released
  }
}

/** Domains that are read here. */
class WorkerDomainStore implements DomainStore {
  onChange: () => void = () => {}
  readonly #read: SqliteDomainStore
  readonly #parent: Calls

  constructor(database: Database, parent: Calls) {
    this.#read = new SqliteDomainStore(database)
    this.#parent = parent
  }

  list(filter?: DomainFilter): readonly DomainClaim[] {
    return this.#read.list(filter)
  }

  find(owner: ClaimOwner): DomainClaim | undefined {
    return this.#read.find(owner)
  }

  holder(domain: string): DomainClaim | undefined {
    return this.#read.holder(domain)
  }

  async ask(wanted: DomainClaim, isAsSeen?: IsClaimAsSeen): Promise<AskOutcome> {
    return await again(async () => {
      const found = this.find(wanted)
      if (isAsSeen?.(found) === false) return { ok: false, code: 'not-as-seen' }
      const call = { wanted, ...seenOf(found, isAsSeen) }
      const answer = (await this.#parent.call('domains.ask', call)) as AskOutcome
      return !answer.ok && answer.code === 'not-as-seen' ? undefined : answer
    })
  }

  async note(before: DomainClaim, state: ProofState): Promise<DomainClaim | undefined> {
    return (await this.#parent.call('domains.note', { before, state })) as DomainClaim | undefined
  }

  async remove(value: string, isAsSeen?: IsClaimAsSeen): Promise<DomainClaim | undefined> {
    const outcome = await again(async () => {
      const found = this.list().find((claim) => claim.value === value)
      if (isAsSeen?.(found) === false || found === undefined) return { removed: undefined }
      const call = { value, seen: { was: found } }
      const removed = (await this.#parent.call('domains.remove', call)) as DomainClaim | undefined
      return removed === undefined ? undefined : { removed }
    })
    return outcome.removed
  }
}

/** The audit log of the parent, as far as it is stored. */
class WorkerAuditLog implements AuditLog {
  onWrite: ((event: AuditEvent) => void) | undefined
  readonly #read: SqliteAuditLog
  readonly #parent: Calls
  readonly #dropped: Record<string, number> = {}

  constructor(database: Database, parent: Calls) {
    this.#read = new SqliteAuditLog(database)
    this.#parent = parent
  }

  /** The parent calls back `onWrite`, for events of all workers. */
  write(event: AuditEvent, fields: AuditFields): void {
    if (this.#parent.note('audit.write', { event, fields })) return
    this.#dropped[event] = (this.#dropped[event] ?? 0) + 1
  }

  async flush(): Promise<void> {
    await this.#parent.call('audit.flush')
  }

  async read(range?: AuditRange): Promise<readonly AuditRecord[]> {
    return await this.#read.read(range)
  }

  async deleted(): Promise<Readonly<Record<string, number>>> {
    return await this.#read.deleted()
  }

  dropped(): Readonly<Record<string, number>> {
    return { ...this.#dropped }
  }
}

/** The state that a change is made for; without a function that has judged it, it may be any. */
function seenOf(found: object | undefined, isAsSeen: unknown): { readonly seen?: Seen } {
  return isAsSeen === undefined ? {} : { seen: { was: found ?? null } }
}

/** JSON leaves out what is undefined. */
function whole(received: Reservation): Reservation {
  return { ...received, port: received.port }
}

/** Tries until nothing comes between. */
async function again<Result>(attempt: () => Promise<Result | undefined>): Promise<Result> {
  for (let tries = 0; tries < MAX_TRIES; tries += 1) {
    const result = await attempt()
    if (result !== undefined) return result
  }
  throw new StoreError('STORE_BUSY', 'others change the same at the same time')
}
