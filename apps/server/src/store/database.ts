/**
 * One SQLite file. When `transaction` has returned, its changes are on the disk (WAL with
 * `synchronous=FULL`: an fsync for each commit). Several processes may have the file open. A file of a
 * newer version or of another program is not touched.
 */
import { closeSync, existsSync, fchmodSync, openSync } from 'node:fs'

import {
  type OpenSqlite,
  openSqlite,
  type SqliteConnection,
  type SqliteStatement,
} from './sqlite.ts'
import { StoreError, type StoreErrorCode } from './store-error.ts'

/** What a column holds and a parameter may be. */
export type SqlValue = string | number | null

/** A row by column name. */
export type SqlRow = Readonly<Record<string, SqlValue>>

/** How a database is opened. */
export interface DatabaseOptions {
  /** Steps of the schema, in order. */
  readonly migrations: readonly string[]
  /** How long a lock of another process is waited for, ms. Default 5000. */
  readonly busyTimeoutMs?: number
  /** Whether a file that is missing or holds nothing is filled. Default true; else it is STORE_LOST. */
  readonly mayCreate?: boolean
  /**
   * Whether another process has the file for this one, which only reads: every change is STORE_HANDED_OVER. Such a file
   * is not brought up to date. Default false.
   */
  readonly isReader?: boolean
  /** Library that opens it. Default: the one of this installation. */
  readonly open?: OpenSqlite | undefined
}

/** In place of a file: a database that ends with the process. */
export const IN_MEMORY = ':memory:'

/** Marks the file as ours: "ADIT". */
const APPLICATION_ID = 0x41444954

/** One statement, because another process may create the tables between two. */
const STATE = `SELECT (SELECT user_version FROM pragma_user_version) AS steps,
  (SELECT application_id FROM pragma_application_id) AS id,
  (SELECT count(*) FROM sqlite_schema) AS tables`

/** Far longer than any commit of this program, shorter than what a person takes for a hang. */
const BUSY_TIMEOUT_MS = 5_000

/** Prefixes of SQLite's result codes, and the code of a StoreError for each. */
const CODES: readonly (readonly [prefix: string, code: StoreErrorCode])[] = [
  ['SQLITE_BUSY', 'STORE_BUSY'],
  ['SQLITE_LOCKED', 'STORE_BUSY'],
  ['SQLITE_CORRUPT', 'STORE_CORRUPT'],
  ['SQLITE_NOTADB', 'STORE_CORRUPT'],
  ['SQLITE_FULL', 'STORE_FULL'],
]

const DEFECTS = /^SQLITE_(ERROR|CONSTRAINT|MISUSE|MISMATCH|RANGE)/

/** An open database. Calls are synchronous; those that write wait for the disk, a few ms. */
export class Database {
  /** Path of the file. */
  readonly file: string
  readonly #connection: SqliteConnection
  /** By their text; there are only as many as the code has. */
  readonly #statements = new Map<string, SqliteStatement>()
  #isOpen = true
  #isHandedOver = false

  private constructor(file: string, connection: SqliteConnection) {
    this.file = file
    this.#connection = connection
  }

  /**
   * Opens the file, makes it if it is missing, checks it and brings it up to date.
   *
   * @param file - path, or IN_MEMORY.
   * @throws {StoreError} naming the file.
   */
  static open(file: string, options: DatabaseOptions): Database {
    const { migrations, busyTimeoutMs = BUSY_TIMEOUT_MS, isReader = false } = options
    const { mayCreate = !isReader } = options
    const open = options.open ?? openSqlite
    if (!mayCreate && !existsSync(file)) throw new StoreError('STORE_LOST', `${file} is missing`)
    const connection = named(file, () => {
      if (file === IN_MEMORY) return open(file, busyTimeoutMs)
      // Created here, because SQLite would make it readable for all users; its other files get the same mode.
      const descriptor = openSync(file, 'a', 0o600)
      fchmodSync(descriptor, 0o600) // a restored backup may have another mode
      closeSync(descriptor)
      return open(file, busyTimeoutMs)
    })
    const database = new Database(file, connection)
    try {
      if (isReader) database.#prepareReader(migrations.length)
      else database.#prepare(migrations, mayCreate)
      return database
    } catch (error) {
      connection.close()
      throw error
    }
  }

  /** Whether `close` was not called yet. */
  get isOpen(): boolean {
    return this.#isOpen
  }

  /**
   * Whether another process writes to the file now, as the successor of this one. It can still be read here,
   * and every change is STORE_HANDED_OVER.
   */
  get isHandedOver(): boolean {
    return this.#isHandedOver
  }

  set isHandedOver(isIt: boolean) {
    this.#isHandedOver = isIt
  }

  /** Is another number when another connection, such as that of another process, has committed since the last look. */
  get version(): number {
    return Number(this.one('PRAGMA data_version')?.['data_version'])
  }

  /** All rows of a query. */
  all(sql: string, ...values: readonly SqlValue[]): SqlRow[] {
    return this.#do(() => this.#statement(sql).all(values) as SqlRow[]) // STRICT tables hold no other
  }

  /** The first row of a query. */
  one(sql: string, ...values: readonly SqlValue[]): SqlRow | undefined {
    return this.all(sql, ...values)[0]
  }

  /** Runs a statement that writes. @returns rows changed. */
  run(sql: string, ...values: readonly SqlValue[]): number {
    this.#mayWrite()
    return this.#do(() => this.#statement(sql).run(values).changes)
  }

  /**
   * Does all of it or, when it throws, nothing. Takes the write lock first, so that what it reads is
   * still so when it writes.
   */
  transaction<T>(work: () => T): T {
    this.#mayWrite()
    this.#do(() => this.#connection.exec('BEGIN IMMEDIATE'))
    try {
      const result = work()
      this.#do(() => this.#connection.exec('COMMIT'))
      return result
    } catch (error) {
      // After some failures SQLite has rolled back already.
      if (this.#connection.inTransaction) this.#connection.exec('ROLLBACK')
      throw error
    }
  }

  /** Writes a consistent copy to a file that does not exist yet, while others read and write. */
  copyTo(file: string): void {
    this.run('VACUUM INTO ?', file)
  }

  /** Closes the file; nothing is left in its log. */
  close(): void {
    if (!this.#isOpen) return
    try {
      if (!this.#isHandedOver) this.one('PRAGMA wal_checkpoint(TRUNCATE)')
    } catch {
      // The next process that opens the file reads the rest from its log.
    }
    this.#isOpen = false
    this.#statements.clear()
    this.#connection.close()
  }

  /** The process that writes has checked the file. */
  #prepareReader(known: number): void {
    this.#isHandedOver = true
    const steps = this.#steps(known)
    if (steps === known) return
    const message = `${this.file} is in version ${steps}, this program needs ${known}`
    throw new StoreError('STORE_OUTDATED', message)
  }

  #prepare(migrations: readonly string[], mayCreate: boolean): void {
    this.#migrate(migrations, mayCreate)
    // The mode stays with the file: asking for it again would need the file alone for a moment.
    const mode = this.one('PRAGMA journal_mode')?.['journal_mode']
    if (mode !== 'wal') this.one('PRAGMA journal_mode = WAL')
    this.all('PRAGMA synchronous = FULL')
    const check = this.one('PRAGMA quick_check(1)')?.['quick_check']
    if (check !== 'ok') throw new StoreError('STORE_CORRUPT', `${this.file}: ${check}`)
  }

  #migrate(migrations: readonly string[], mayCreate: boolean): void {
    const steps = this.#steps(migrations.length)
    if (steps === migrations.length) return
    if (steps === 0 && !mayCreate) throw new StoreError('STORE_LOST', `${this.file} is empty`)
    this.transaction(() => {
      // Another process may have migrated the file meanwhile.
      for (const step of migrations.slice(this.#steps(migrations.length))) {
        this.#do(() => this.#connection.exec(step))
      }
      this.#do(() => {
        this.#connection.exec(`PRAGMA application_id = ${APPLICATION_ID}`)
        this.#connection.exec(`PRAGMA user_version = ${migrations.length}`)
      })
    })
  }

  /** Steps the file has taken. */
  #steps(known: number): number {
    const state = this.one(STATE)
    const steps = Number(state?.['steps'])
    const isEmpty = state?.['tables'] === 0
    if (!isEmpty && state?.['id'] !== APPLICATION_ID) {
      throw new StoreError('STORE_CORRUPT', `${this.file} is a database of another program`)
    }
    if (!isEmpty && steps === 0) {
      const message = `${this.file} has tables, but its version (user_version) is 0`
      throw new StoreError('STORE_CORRUPT', message)
    }
    if (isEmpty && steps > 0) {
      const message = `${this.file} is in version ${steps} (user_version), but has no tables`
      throw new StoreError('STORE_CORRUPT', message)
    }
    if (steps > known) {
      const message = `${this.file} is in version ${steps}, this program knows ${known}`
      throw new StoreError('STORE_NEWER', message)
    }
    return steps
  }

  #statement(sql: string): SqliteStatement {
    let statement = this.#statements.get(sql)
    if (statement === undefined) {
      statement = this.#connection.prepare(sql)
      this.#statements.set(sql, statement)
    }
    return statement
  }

  #mayWrite(): void {
    if (!this.#isHandedOver) return
    throw new StoreError(
      'STORE_HANDED_OVER',
      `${this.file} belongs to the successor of this process`,
    )
  }

  #do<T>(work: () => T): T {
    // A closed connection of the library goes on working as long as a statement of it lives.
    if (!this.#isOpen) throw new StoreError('STORE_CLOSED', `${this.file} was closed`)
    return named(this.file, work)
  }
}

/** Runs `work`, and turns an error of the library into a StoreError that names the file. */
function named<T>(file: string, work: () => T): T {
  try {
    return work()
  } catch (cause) {
    if (cause instanceof StoreError || !(cause instanceof Error)) throw cause
    const { code: theirs } = cause as { readonly code?: unknown }
    // A wrong statement is a defect of this program, not a state of the file.
    if (DEFECTS.test(String(theirs))) throw cause
    const known = CODES.find(([prefix]) => String(theirs).startsWith(prefix))
    throw new StoreError(known?.[1] ?? 'STORE_UNUSABLE', `${file}: ${cause.message}`, { cause })
  }
}
