import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import type { Logger } from '@proj/tunnel'

import { type AuditLog, MemoryAuditLog, MirroredAuditLog } from './audit-log.ts'
import { prepareDataDirectory } from './data-directory.ts'
import { Database } from './database.ts'
import { type DomainLimits, type DomainStore, MemoryDomainStore } from './domain-store.ts'
import {
  MemoryReservationStore,
  type ReservationLimits,
  type ReservationStore,
} from './reservation-store.ts'
import { MemoryTokenStore, type TokenStore } from './token-store.ts'
import { MIGRATIONS } from './migrations.ts'
import { SqliteAuditLog } from './sqlite-audit-log.ts'
import { SqliteDomainStore } from './sqlite-domain-store.ts'
import { SqliteReservationStore } from './sqlite-reservation-store.ts'
import { type ServedEndpoints, SqliteServedEndpoints } from './served-endpoints.ts'
import { SqliteTokenStore } from './sqlite-token-store.ts'
import { isStoreError } from './store-error.ts'

/** What of a store may be changed by another process, or at another node. */
export type StorePart = 'tokens' | 'reservations' | 'domains' | 'audit'

/** The parts of a file; which of them another process has changed is not known. */
const PARTS: readonly StorePart[] = ['tokens', 'reservations', 'domains', 'audit']

/** The stored data of a server. */
export interface Store extends Disposable {
  /**
   * Is told within some seconds what commands of other processes and other nodes have changed, and maybe what this
   * process has; see `AuditLog.onWrite` for that. Default: nothing is told.
   */
  onChange: ((parts: readonly StorePart[]) => void) | undefined
  /** Where it is, for messages; undefined for a store in memory, where no name can be reserved. */
  readonly file: string | undefined
  /** Tokens by their hashes. */
  readonly tokens: TokenStore
  readonly reservations: ReservationStore
  readonly domains: DomainStore
  readonly audit: AuditLog
  readonly served: ServedEndpoints
  /** Writes a consistent copy of everything, in the form of STORE_FILE, to a file that is empty or missing. */
  copyTo(file: string): Promise<void>
  /**
   * Resolves when what waits is stored, for a cluster in its database. Gives up after some seconds, or when that
   * is away: then it waits for the next start.
   */
  settle(): Promise<void>
  /**
   * Writes what waits, and nothing after that: another process takes the file over. Reading goes on. Changes
   * are STORE_HANDED_OVER, and events of the audit log wait.
   *
   * @throws {StoreError} when it cannot be written; nothing has changed then.
   */
  handOver(): void
  /** No other process has taken the file: writes again. */
  takeBack(): void
  /** Writes what waits and closes the file. */
  close(): void
}

/** How a store is opened. */
export interface StoreOptions {
  /** User the program runs as; undefined where there are none. */
  readonly uid: number | undefined
  /** How many names may be reserved. */
  readonly reservations?: ReservationLimits
  /** How many domains may be asked for. */
  readonly domains?: DomainLimits
  /** Gets every event of the audit log, and one error while the audit log cannot be written. */
  readonly logger: Logger
}

/** Name of the file in the data directory. */
export const STORE_FILE = 'adit.db'

/**
 * Name of the file that says that there was a store: without it a missing or empty STORE_FILE is a new
 * store, with it the names and tokens were lost.
 */
export const STAMP_FILE = 'adit.stamp'

const STAMP = `There is a store in this directory. Remove this file only to begin anew when ${STORE_FILE} is lost.\n`

/** How long the audit log, the use of tokens and the served endpoints wait to be written together, ms. */
const FLUSH_MS = 1_000

/**
 * Opens the store of a data directory, which is made if it is missing.
 *
 * @throws {StoreError} naming the directory or the file.
 */
export function openStore(directory: string, options: StoreOptions): Store {
  const { uid, logger } = options
  prepareDataDirectory(directory, uid)
  const file = join(directory, STORE_FILE)
  const stamp = join(directory, STAMP_FILE)
  const hasStamp = existsSync(stamp)
  const database = Database.open(file, { migrations: MIGRATIONS, mayCreate: !hasStamp })
  if (!hasStamp) {
    try {
      writeFileSync(stamp, STAMP, { mode: 0o600 })
    } catch (error) {
      logger.warn({ err: error }, 'stamp beside the store not written, a loss would not be noticed')
    }
  }
  const tokens = new SqliteTokenStore(database)
  const reservations = new SqliteReservationStore(database, options.reservations)
  const domains = new SqliteDomainStore(database, options.domains)
  const audit = new SqliteAuditLog(database)
  const served = new SqliteServedEndpoints(database)
  let isFailing = false
  const write = (): void => {
    audit.flushNow()
    tokens.flush()
    served.flush()
  }
  const flush = (): void => {
    if (database.isHandedOver) return
    try {
      write()
      isFailing = false
    } catch (error) {
      if (!isStoreError(error)) throw error
      if (!isFailing) logger.error({ err: error }, 'audit log cannot be written, trying again')
      isFailing = true
    }
  }
  let version = database.version
  /** Tells what commands have changed meanwhile. */
  const look = (): void => {
    let found: number
    try {
      found = database.version
    } catch (error) {
      if (!isStoreError(error)) throw error
      return // the next look may succeed
    }
    if (found === version) return
    version = found
    store.onChange?.(PARTS)
  }
  const timer = setInterval(() => {
    flush()
    look()
  }, FLUSH_MS)
  timer.unref() // close flushes as well
  const close = (): void => {
    clearInterval(timer)
    if (database.isOpen) flush()
    tokens.close()
    database.close()
  }
  const store: Store = {
    file,
    onChange: undefined,
    tokens,
    reservations,
    domains,
    audit: new MirroredAuditLog(audit, logger),
    served,
    copyTo: async (copy) => database.copyTo(copy),
    settle: async () => flush(),
    handOver: () => {
      write()
      database.isHandedOver = true
    },
    takeBack: () => {
      database.isHandedOver = false
    },
    close,
    [Symbol.dispose]: close,
  }
  return store
}

/** A store in memory: it ends with the process. */
export function memoryStore(logger: Logger): Store {
  return {
    file: undefined,
    onChange: undefined,
    tokens: new MemoryTokenStore(),
    reservations: new MemoryReservationStore(),
    domains: new MemoryDomainStore(),
    audit: new MirroredAuditLog(new MemoryAuditLog(), logger),
    served: { before: [], set: () => {} },
    copyTo: async () => {
      throw new TypeError('a store in memory has no copy')
    },
    settle: async () => {},
    handOver: () => {},
    takeBack: () => {},
    close: () => {},
    [Symbol.dispose]: () => {},
  }
}
