/**
 * The two libraries of SQLite, as one: libsql, a native module that is installed beside the program, and
 * `node:sqlite`, which is part of newer Node. The second is used where the first cannot be: in a program of
 * one file, and on systems without a binary of libsql (musl). Both write the same file and take the same locks.
 */
/** A connection, as far as the store uses it. */
export interface SqliteConnection {
  /** Whether a transaction is open. */
  readonly inTransaction: boolean
  /** Runs statements that return nothing. */
  exec(sql: string): void
  /** Compiles one statement. */
  prepare(sql: string): SqliteStatement
  /** Closes the file. */
  close(): void
}

/** A compiled statement. */
export interface SqliteStatement {
  /** Rows by column name. */
  all(values: readonly unknown[]): unknown[]
  /** Runs a statement that writes. */
  run(values: readonly unknown[]): { readonly changes: number }
}

/**
 * Opens a file, which is created if it is missing.
 *
 * @param busyTimeoutMs - how long a lock of another process is waited for
 * @throws an Error whose `code` begins with the name of a result code of SQLite, `SQLITE_BUSY`
 */
export type OpenSqlite = (file: string, busyTimeoutMs: number) => SqliteConnection

/** The part of `node:sqlite` that is used; the types of our oldest Node do not have it. */
interface NodeSqlite {
  readonly DatabaseSync: new (file: string, options: { timeout: number }) => NodeConnection
}

interface NodeConnection {
  readonly isTransaction: boolean
  exec(sql: string): void
  prepare(sql: string): NodeStatement
  close(): void
}

interface NodeStatement {
  all(...values: readonly unknown[]): unknown[]
  run(...values: readonly unknown[]): { readonly changes: number | bigint }
}

/** Result codes of SQLite (https://www.sqlite.org/rescode.html) that the store tells apart. */
const RESULT_CODES: ReadonlyMap<number, string> = new Map([
  [1, 'SQLITE_ERROR'],
  [5, 'SQLITE_BUSY'],
  [6, 'SQLITE_LOCKED'],
  [11, 'SQLITE_CORRUPT'],
  [13, 'SQLITE_FULL'],
  [18, 'SQLITE_TOOBIG'],
  [19, 'SQLITE_CONSTRAINT'],
  [20, 'SQLITE_MISMATCH'],
  [21, 'SQLITE_MISUSE'],
  [25, 'SQLITE_RANGE'],
  [26, 'SQLITE_NOTADB'],
])

/** libsql; undefined where its binary is not installed or does not fit the system. */
export const openLibsql: OpenSqlite | undefined = await loadLibsql()

/** `node:sqlite`; undefined before Node 22.16, which lacks it or parts of it. */
export const openNodeSqlite: OpenSqlite | undefined = loadNodeSqlite()

/** Opens a file with the first library that is there. */
export const openSqlite: OpenSqlite = (file, busyTimeoutMs) => {
  const open = openLibsql ?? openNodeSqlite
  if (open !== undefined) return open(file, busyTimeoutMs)
  throw new Error('no SQLite for this system: libsql has no binary for it; Node 24 has its own')
}

async function loadLibsql(): Promise<OpenSqlite | undefined> {
  try {
    const { default: Libsql } = await import('libsql')
    return (file, timeout) => new Libsql(file, { timeout })
  } catch {
    return undefined
  }
}

function loadNodeSqlite(): OpenSqlite | undefined {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  if (major < 22 || (major === 22 && minor < 16)) return undefined
  return (file, timeout) => {
    // Loaded late: older Node prints a warning about it.
    const { DatabaseSync } = process.getBuiltinModule('node:sqlite') as unknown as NodeSqlite
    return named(() => new NodeSqliteConnection(new DatabaseSync(file, { timeout })))
  }
}

/** `node:sqlite` with the names of libsql. */
class NodeSqliteConnection implements SqliteConnection {
  readonly #connection: NodeConnection

  constructor(connection: NodeConnection) {
    this.#connection = connection
  }

  get inTransaction(): boolean {
    return this.#connection.isTransaction
  }

  exec(sql: string): void {
    named(() => this.#connection.exec(sql))
  }

  prepare(sql: string): SqliteStatement {
    const statement = named(() => this.#connection.prepare(sql))
    return {
      all: (values) => named(() => statement.all(...values).map((row) => ({ ...(row as object) }))),
      run: (values) => named(() => ({ changes: Number(statement.run(...values).changes) })),
    }
  }

  close(): void {
    this.#connection.close()
  }
}

/** Gives an error of `node:sqlite` the name of its result code. */
function named<T>(work: () => T): T {
  try {
    return work()
  } catch (error) {
    const { errcode } = error as { readonly errcode?: unknown }
    if (!(error instanceof Error) || typeof errcode !== 'number') throw error
    const code = RESULT_CODES.get(errcode & 0xff) ?? `SQLITE_${errcode & 0xff}`
    throw Object.assign(error, { code })
  }
}
