/**
 * The store of a server of a cluster: tokens, names, domains and the audit log are in the database of the cluster, with a
 * copy in the data directory. Which endpoints have agents concerns this server alone and stays there.
 */
import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

import type { Logger } from '@proj/tunnel'

import { MirroredAuditLog } from './audit-log.ts'
import { ClusterAuditLog } from './cluster-audit-log.ts'
import { ClusterDomainStore } from './cluster-domain-store.ts'
import { ClusterMirror, type Part, PART_TABLES } from './cluster-mirror.ts'
import { ClusterReservationStore } from './cluster-reservation-store.ts'
import { ClusterTokenStore } from './cluster-token-store.ts'
import { copyToFile } from './copy-store.ts'
import { dataDirectory, prepareDataDirectory } from './data-directory.ts'
import { Database, IN_MEMORY } from './database.ts'
import { type DirectoryLock, lockDirectory } from './directory-lock.ts'
import { SharedTables } from './shared-tables.ts'
import { MIGRATIONS } from './migrations.ts'
import { Postgres } from './postgres.ts'
import type { DomainLimits } from './domain-store.ts'
import type { ReservationLimits } from './reservation-store.ts'
import { SqliteServedEndpoints } from './served-endpoints.ts'
import { explained, type OwnStore, owned, type ServerStoreOptions } from './server-store.ts'
import { SqliteAuditLog } from './sqlite-audit-log.ts'
import { SqliteDomainStore } from './sqlite-domain-store.ts'
import { SqliteReservationStore } from './sqlite-reservation-store.ts'
import { SqliteTokenStore } from './sqlite-token-store.ts'
import { type Store, STORE_FILE, type StorePart } from './store.ts'
import { isStoreError, type StoreErrorCode } from './store-error.ts'

/** Name of the file in the data directory; STORE_FILE stays what it was before the server joined a cluster. */
export const CLUSTER_FILE = 'adit-cluster.db'

/** With these the server does not start: they stay so until a person changes something. */
const FINAL: ReadonlySet<StoreErrorCode> = new Set<StoreErrorCode>([
  'STORE_NEWER',
  'STORE_REFUSED',
  'STORE_TOO_OLD',
])

/** How long the audit log, the use of tokens and the served endpoints wait to be written together, ms. */
const FLUSH_MS = 1_000

/** Longest time that `settle` waits for the database, ms. */
const SETTLE_MS = 5_000

/** The store of a server of a cluster, and where its copy is. */
export interface ClusterStoreOptions extends ServerStoreOptions {
  /** URL of the database, with its password. */
  readonly url: string
  /** For how long after the last look at the database tokens are good for new sessions, ms. */
  readonly staleAfterMs: number
}

/**
 * Opens the store of a server of a cluster that starts, and locks its directory. While the database is away the
 * server starts with the copy that it has.
 *
 * @throws {UserError} with exit code 2 when the configuration has to be changed, 1 otherwise.
 */
export async function openClusterStore(options: ClusterStoreOptions): Promise<OwnStore> {
  const { dataDir, env, logger, url } = options
  const uid = process.geteuid?.()
  const { path, isConfigured } = dataDirectory(dataDir, { env, uid })
  let lock: DirectoryLock | undefined
  let store: Store | undefined
  try {
    const postgres = await Postgres.of(url)
    try {
      prepareDataDirectory(path, uid)
      lock = lockDirectory(path)
    } catch (error) {
      if (isConfigured || !isStoreError(error, 'STORE_UNUSABLE')) throw error
      logger.warn(
        { why: error.message, hint: 'name a directory the server may write to: data_dir' },
        'the server has no file: it cannot start while the database of the cluster is away',
      )
    }
    const database = lock === undefined ? memory() : openCopy(join(path, CLUSTER_FILE), logger)
    const parts = { ...options, postgres, database }
    const opened = new ClusterStore(parts)
    store = opened
    await opened.begin()
    if (lock !== undefined) warnOfOwnFile(join(path, STORE_FILE), database, logger)
    return owned(opened, lock === undefined ? undefined : path, lock)
  } catch (error) {
    store?.close()
    lock?.release()
    throw isStoreError(error) ? explained(error) : error
  }
}

/**
 * Opens the store of a cluster for a command that works on it.
 *
 * @throws {UserError} when the database cannot be read.
 */
export async function openClusterCommandStore(url: string, logger: Logger): Promise<Store> {
  let store: ClusterStore | undefined
  try {
    const postgres = await Postgres.of(url)
    store = new ClusterStore({ postgres, database: memory(), logger, staleAfterMs: Infinity })
    await store.read()
    return store
  } catch (error) {
    store?.close()
    throw isStoreError(error) ? explained(error) : error
  }
}

/** What a store of a cluster is made of. */
interface ClusterStoreParts {
  readonly postgres: Postgres
  /** The copy of this server. */
  readonly database: Database
  readonly logger: Logger
  readonly staleAfterMs: number
  readonly limits?: ReservationLimits
  readonly domainLimits?: DomainLimits
}

/** The parts of the shared tables, as pages know them. */
const PARTS: Readonly<Record<Part, StorePart>> = {
  tokens: 'tokens',
  names: 'reservations',
  domains: 'domains',
}

class ClusterStore implements Store {
  onChange: ((parts: readonly StorePart[]) => void) | undefined
  readonly tokens: ClusterTokenStore
  readonly reservations: ClusterReservationStore
  readonly domains: ClusterDomainStore
  readonly audit: MirroredAuditLog
  readonly served: SqliteServedEndpoints
  readonly #parts: ClusterStoreParts
  readonly #shared: SharedTables
  readonly #copy: SqliteTokenStore
  readonly #audit: ClusterAuditLog
  #timer: NodeJS.Timeout | undefined
  #isFailing = false
  #isClosed = false

  constructor(parts: ClusterStoreParts) {
    const { postgres, database, logger, staleAfterMs, limits, domainLimits } = parts
    this.#parts = parts
    const copy = new SqliteTokenStore(database)
    this.#copy = copy
    this.#shared = new SharedTables({
      postgres,
      mirror: new ClusterMirror(database),
      logger,
      onChange: (part) => {
        if (part === 'tokens') copy.look()
        if (part === 'domains') this.domains.onChange()
        this.onChange?.([PARTS[part]])
      },
    })
    const shared = this.#shared
    this.tokens = new ClusterTokenStore({ postgres, shared, copy, staleAfterMs })
    const names = new SqliteReservationStore(database)
    this.reservations = new ClusterReservationStore({ shared, copy: names, limits })
    const domains = new SqliteDomainStore(database)
    this.domains = new ClusterDomainStore({ shared, copy: domains, limits: domainLimits })
    this.#audit = new ClusterAuditLog({ postgres, outbox: new SqliteAuditLog(database) })
    this.audit = new MirroredAuditLog(this.#audit, logger)
    this.served = new SqliteServedEndpoints(database)
  }

  get file(): string {
    return this.#parts.postgres.name
  }

  /** Reads the database for the first time. @throws {StoreError} */
  async read(): Promise<void> {
    await this.#shared.look()
    this.tokens.noteRead()
  }

  /**
   * Reads the database if it is there, and follows it from now on.
   *
   * @throws {StoreError} when it refuses this server, or was made by a newer version.
   */
  async begin(): Promise<void> {
    try {
      await this.read()
    } catch (error) {
      if (!isStoreError(error) || FINAL.has(error.code)) throw error
      // It was logged: this server begins with the copy that it has.
    }
    this.#shared.start()
    this.#wait()
  }

  async copyTo(file: string): Promise<void> {
    await copyToFile(this.#parts.postgres, file)
  }

  async settle(): Promise<void> {
    const ended = new AbortController()
    const { signal } = ended
    const limit = delay(SETTLE_MS, undefined, { signal, ref: false }).catch(() => {})
    await Promise.race([this.#flush(), limit])
    ended.abort()
  }

  handOver(): void {
    this.#flushNow()
    this.#parts.database.isHandedOver = true
  }

  takeBack(): void {
    this.#parts.database.isHandedOver = false
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    clearTimeout(this.#timer)
    this.#shared.stop()
    const { database, postgres, logger } = this.#parts
    try {
      if (!database.isHandedOver) this.#flushNow()
    } catch (error) {
      if (!isStoreError(error)) throw error
      logger.error({ err: error }, 'audit log cannot be written')
    }
    this.#copy.close()
    database.close()
    void postgres.close()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  #wait(): void {
    const flush = async (): Promise<void> => {
      await this.#flush()
      if (!this.#isClosed) this.#wait()
    }
    this.#timer = setTimeout(() => void flush(), FLUSH_MS)
    this.#timer.unref()
  }

  #flushNow(): void {
    this.#audit.flushNow()
    this.tokens.flushNow()
    this.served.flush()
  }

  /** Writes what waits to the file, and from there to the database. */
  async #flush(): Promise<void> {
    const { database, logger } = this.#parts
    if (database.isHandedOver) return
    try {
      this.#flushNow()
      if (this.#shared.isAway) return
      await this.#audit.flush()
      await this.tokens.flush()
      this.#isFailing = false
    } catch (error) {
      // Another process has the file now, or this one ends: what waits is in the file.
      if (isStoreError(error, 'STORE_HANDED_OVER') || isStoreError(error, 'STORE_CLOSED')) return
      const isFirst = !this.#isFailing
      this.#isFailing = true
      if (isFirst) logger.error({ err: error }, 'audit log cannot be written now')
    }
  }
}

function memory(): Database {
  return Database.open(IN_MEMORY, { migrations: MIGRATIONS })
}

/** Opens the file with the copy. One that is damaged is made again: the database has everything. */
function openCopy(file: string, logger: Logger): Database {
  try {
    return Database.open(file, { migrations: MIGRATIONS })
  } catch (error) {
    if (!isStoreError(error, 'STORE_CORRUPT')) throw error
    logger.error(
      { err: error },
      'the copy of tokens, names and domains is damaged: it is made again from the database',
    )
    for (const end of ['', '-wal', '-shm']) rmSync(`${file}${end}`, { force: true })
    return Database.open(file, { migrations: MIGRATIONS })
  }
}

/** Warns when this server has tokens, names or domains of the time before the cluster, and that has none. */
function warnOfOwnFile(file: string, copy: Database, logger: Logger): void {
  const isEmpty = (database: Database): boolean =>
    Object.values(PART_TABLES).every(
      ({ local }) => database.one(`SELECT 1 FROM ${local} LIMIT 1`) === undefined,
    )
  if (!existsSync(file) || !isEmpty(copy)) return
  const own = Database.open(file, { migrations: MIGRATIONS })
  if (!isEmpty(own)) {
    logger.warn(
      { file, hint: 'stop the server and run: adit-server store copy' },
      'the cluster has no tokens, names and domains, and those of this server are not used',
    )
  }
  own.close()
}
