import { existsSync } from 'node:fs'
import { join } from 'node:path'

import { EXIT, UserError } from '@proj/program-kit'
import type { Logger } from '@proj/tunnel'

import { dataDirectory, prepareDataDirectory } from './data-directory.ts'
import type { DomainLimits } from './domain-store.ts'
import { type DirectoryLock, lockDirectory } from './directory-lock.ts'
import type { ReservationLimits } from './reservation-store.ts'
import { isStoreError, type StoreError, type StoreErrorCode } from './store-error.ts'
import { memoryStore, openStore, type Store, STORE_FILE } from './store.ts'

/** Where the store is, and its logger. */
export interface ServerStoreOptions {
  /** Directory that is configured. */
  readonly dataDir: string | undefined
  /** Environment variables, for the default. */
  readonly env: Readonly<Record<string, string | undefined>>
  /** How many names may be reserved. Default: RESERVATION_LIMITS. */
  readonly limits?: ReservationLimits
  /** How many domains may be asked for. Default: DOMAIN_LIMITS. */
  readonly domainLimits?: DomainLimits
  /** Gets the errors of the open store. */
  readonly logger: Logger
}

/** Options of a command's store. */
export interface CommandStoreOptions extends ServerStoreOptions {
  /** Whether a missing store is an error; otherwise it is created. */
  readonly mustExist: boolean
}

/** Errors that need a change of the configuration or the machine; others may be gone at the next try. */
const USAGE: ReadonlySet<StoreErrorCode> = new Set<StoreErrorCode>([
  'STORE_DIRECTORY_UNSAFE',
  'STORE_IN_USE',
  'STORE_LOST',
  'STORE_NEWER',
  'STORE_NOT_EMPTY',
  'STORE_OUTDATED',
  'STORE_REFUSED',
  'STORE_TOO_OLD',
  'STORE_UNUSABLE',
])

/**
 * Opens the store for a command that works on it.
 *
 * @throws {UserError} with exit code 2 when the configuration has to be changed, 1 otherwise.
 */
export function openServerStore(options: CommandStoreOptions): Store {
  const { dataDir, env, logger, mustExist } = options
  const uid = process.geteuid?.()
  const { path } = dataDirectory(dataDir, { env, uid })
  if (mustExist) requireStoreFile(path)
  try {
    return openStore(path, { uid, logger })
  } catch (error) {
    throw isStoreError(error) ? explained(error) : error
  }
}

/** @throws {UserError} when a data directory has no store. @returns its path. */
export function requireStoreFile(directory: string): string {
  const file = join(directory, STORE_FILE)
  if (existsSync(file)) return file
  throw new UserError(`there is no ${STORE_FILE} in ${directory}`, {
    exitCode: EXIT.usage,
    hint: 'has the server run here? name its directory with --data-dir',
  })
}

/** The store of a server that runs. Disposed of asynchronously, it waits until what it has is stored. */
export interface OwnStore extends Disposable, AsyncDisposable {
  readonly store: Store
  /** Path of the directory that this process has locked; undefined when nothing is kept. */
  readonly directory: string | undefined
  /**
   * Writes what waits and lets another server have the directory; the store can still be read.
   *
   * @throws {StoreError} when it cannot be written; nothing has changed then.
   */
  handOver(): void
  /**
   * Has the directory again.
   *
   * @throws {StoreError} STORE_IN_USE when another server has it.
   */
  takeBack(): void
}

/**
 * Opens the store of a server that starts and locks its directory. Where no directory is configured and no
 * file exists, the server can start without: it stores nothing then. A file that exists and cannot be read is an error: it may hold
 * tokens, and a server that ignored them would admit every peer.
 *
 * @throws {UserError} with exit code 2 when the configuration has to be changed, 1 otherwise.
 */
export function openStoreOrNone({
  dataDir,
  env,
  limits,
  domainLimits,
  logger,
}: ServerStoreOptions): OwnStore {
  const uid = process.geteuid?.()
  const { path, isConfigured } = dataDirectory(dataDir, { env, uid })
  let lock: DirectoryLock | undefined
  try {
    prepareDataDirectory(path, uid)
    lock = lockDirectory(path)
    const store = openStore(path, {
      uid,
      logger,
      ...(limits !== undefined && { reservations: limits }),
      ...(domainLimits !== undefined && { domains: domainLimits }),
    })
    return owned(store, path, lock)
  } catch (error) {
    lock?.release()
    if (!isStoreError(error)) throw error
    const isMissing = !existsSync(join(path, STORE_FILE))
    if (isConfigured || !isMissing || error.code !== 'STORE_UNUSABLE') throw explained(error)
    logger.warn(
      { why: error.message, hint: 'name a directory the server may write to: data_dir' },
      'the server stores nothing: no names can be reserved and no tokens created',
    )
    return owned(memoryStore(logger))
  }
}

/** The store of a process that has the directory, if there is one. */
export function owned(store: Store, directory?: string, held?: DirectoryLock): OwnStore {
  let lock = held
  const close = (): void => {
    store.close()
    lock?.release()
  }
  return {
    store,
    directory,
    handOver: () => {
      store.handOver()
      lock?.release()
      lock = undefined
    },
    takeBack: () => {
      if (directory !== undefined) lock ??= lockDirectory(directory)
      store.takeBack()
    },
    [Symbol.dispose]: close,
    [Symbol.asyncDispose]: async () => {
      await store.settle()
      close()
    },
  }
}

/** The error of a program for an error of its store. */
export function explained(error: StoreError): UserError {
  return new UserError(`${error.message} (${error.code})`, {
    exitCode: USAGE.has(error.code) ? EXIT.usage : EXIT.failed,
    hint: error.hint,
    cause: error,
  })
}
