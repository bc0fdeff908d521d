/**
 * One server for each data directory. The lock is one of SQLite on a file of its own, so it ends with the
 * process, holds across containers that share the directory, and needs no code beyond what the store
 * needs. The commands that work on the store do not take it: they run beside a server.
 */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'

import { type OpenSqlite, openSqlite, type SqliteConnection } from './sqlite.ts'
import { isStoreError, StoreError } from './store-error.ts'

/** A data directory that this process alone serves. */
export interface DirectoryLock extends Disposable {
  /** Releases the lock, so that another server can use the directory. Calling it again does nothing. */
  release(): void
}

/** Who has the lock. */
export interface Holder {
  readonly pid: number
  readonly host: string
  /** ISO 8601. */
  readonly since: string
}

/** Name of the file that is locked; it stays empty. */
const LOCK_FILE = 'adit.lock'

/** Name of the file that says who has locked it. */
const HOLDER_FILE = 'adit.holder'

/**
 * Takes the lock of a data directory, or fails at once.
 *
 * @param directory - exists
 * @param open - library that locks it; default: the one of this installation
 * @throws {StoreError} STORE_IN_USE, naming who has it; STORE_UNUSABLE when no file can be made there.
 */
export function lockDirectory(directory: string, open: OpenSqlite = openSqlite): DirectoryLock {
  const holderFile = join(directory, HOLDER_FILE)
  const connection = locked(directory, holderFile, open)
  let isHeld = true
  const release = (): void => {
    if (!isHeld) return
    isHeld = false
    // Before the lock is released: after that the file may be the next holder's.
    rmSync(holderFile, { force: true })
    // libsql may keep the connection open after `close`; the transaction, which is the lock, has to end now.
    connection.exec('ROLLBACK')
    connection.close()
  }
  try {
    // Removed first: if the disk is full, no holder file is better than that of an earlier process.
    rmSync(holderFile, { force: true })
    const holder: Holder = {
      pid: process.pid,
      host: hostname(),
      since: new Date().toISOString(),
    }
    writeFileSync(holderFile, `${JSON.stringify(holder)}\n`, { mode: 0o600 })
  } catch {
    // The lock is held; error messages of other servers cannot name its holder.
  }
  return { release, [Symbol.dispose]: release }
}

/** The process that has the lock of a data directory; undefined when none has it, or it has no name. */
export function findHolder(directory: string): Holder | undefined {
  if (!existsSync(join(directory, LOCK_FILE))) return undefined
  try {
    lockDirectory(directory).release()
    return undefined
  } catch (error) {
    if (!isStoreError(error, 'STORE_IN_USE')) throw error
    return holderOf(join(directory, HOLDER_FILE))
  }
}

function locked(directory: string, holderFile: string, open: OpenSqlite): SqliteConnection {
  const file = join(directory, LOCK_FILE)
  let connection: SqliteConnection | undefined
  try {
    // Created here, because SQLite would create it readable by all users.
    writeFileSync(file, '', { flag: 'a', mode: 0o600 })
    connection = open(file, 0)
    connection.exec('BEGIN IMMEDIATE')
    return connection
  } catch (cause) {
    connection?.close()
    const { code, message } = cause as { readonly code?: unknown; readonly message: string }
    if (!String(code).startsWith('SQLITE_BUSY')) {
      throw new StoreError('STORE_UNUSABLE', `${file}: ${message}`, { cause })
    }
    const who = holderOf(holderFile)
    const by = who === undefined ? '' : ` (process ${who.pid} on ${who.host}, since ${who.since})`
    const why = `data directory ${directory} is in use by another server${by}`
    throw new StoreError('STORE_IN_USE', why, { cause })
  }
}

/** Undefined in the moment between the lock and its file, and where that could not be written. */
function holderOf(file: string): Holder | undefined {
  try {
    const { pid, host, since } = JSON.parse(readFileSync(file, 'utf8')) as Partial<Holder>
    if (pid === undefined || host === undefined || since === undefined) return undefined
    return { pid, host, since }
  } catch {
    return undefined
  }
}
