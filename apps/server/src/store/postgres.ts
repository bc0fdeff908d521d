/**
 * The database of a cluster: a few connections to PostgreSQL, with limits for every wait. Each error is a
 * StoreError that names the host and the database; none has the URL, which contains a password.
 */
import { Socket } from 'node:net'

import {
  APPLICATION_NAME,
  type SqlFailure,
  sqlFailureOf,
  type SqlRunner,
  sqlStateOf,
} from '@proj/cluster'
import type { Client, Pool, PoolClient, QueryResult } from 'pg'

import type { SqlRow, SqlValue } from './database.ts'
import { StoreError, type StoreErrorCode } from './store-error.ts'

/** A parameter of a statement; an array is one of PostgreSQL. */
type Parameter = SqlValue | readonly SqlValue[]

/** Runs one statement. Numbers of 64 bits are texts in its rows. */
export type Query = (sql: string, ...values: readonly Parameter[]) => Promise<readonly SqlRow[]>

/** Table: limits of the connections. */
const LIMITS: Readonly<Record<'connections' | 'connectMs' | 'answerMs' | 'idleMs', number>> =
  Object.freeze({
    /** Connections for statements; one more listens for hints. */
    connections: 3,
    /** Longest wait for a connection, a new one or one that is in use, ms. Logging in takes several answers. */
    connectMs: 10_000,
    /** Longest wait for the answer to a statement, ms. */
    answerMs: 10_000,
    /** How long a connection that is not used stays open, ms. */
    idleMs: 30_000,
  })

/**
 * At the start of every transaction that writes. A node that is frozen in the middle of one must not keep its
 * locks. What is acknowledged is on the disk, also where the database is set up to be faster. These are
 * statements, because poolers refuse settings in the login.
 */
const BEGIN_WRITING = `BEGIN;
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '10s';
SET LOCAL idle_in_transaction_session_timeout = '5s';
SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off'`

const BEGIN_READING = 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY'

/** The code of a StoreError for each failure of the database. */
const CODES: Readonly<Record<SqlFailure, StoreErrorCode>> = {
  readOnly: 'STORE_READ_ONLY',
  refused: 'STORE_REFUSED',
  emptied: 'STORE_EMPTIED',
  full: 'STORE_FULL',
  unreachable: 'STORE_UNAVAILABLE',
  passing: 'STORE_UNAVAILABLE',
}

/** Codes of Node for a certificate that was not accepted. */
const CERTIFICATE_FAULT = /CERT|SELF_SIGNED|UNABLE_TO_|^ERR_TLS/

/** Answers after which the connection is closed: ended by the administrator, idle in a transaction, protocol. */
const LAST_ANSWER = /^(57P0|25P03|08)/

/** Longest wait for the connections to close, ms. */
const CLOSE_MS = 1_000

/** A connection that fails at once was lost before: the database was started again since its last use. */
const AT_ONCE_MS = 1_000

/** A PostgreSQL database. */
export class Postgres {
  /** Where it is, for messages: host, port and database, without user and password. */
  readonly name: string
  readonly #pool: Pool
  readonly #newClient: () => Client
  /** Of all connections: a database that hangs does not close them. */
  readonly #sockets: ReadonlySet<Socket>
  #listener: Client | undefined
  #isClosed = false

  private constructor(
    name: string,
    {
      pool,
      newClient,
      sockets,
    }: {
      readonly pool: Pool
      readonly newClient: () => Client
      readonly sockets: ReadonlySet<Socket>
    },
  ) {
    this.name = name
    this.#pool = pool
    this.#newClient = newClient
    this.#sockets = sockets
    // Of connections that are not used: the next statement opens another one.
    pool.on('error', () => {})
    // The pool has no listener between the login and the first use, and the database may end a connection then: an
    // error without a listener ends the process.
    pool.on('connect', (client) => client.on('error', () => {}))
  }

  /**
   * Makes ready for a database; nothing is connected yet.
   *
   * @param url - `postgres://user:password@host:port/database`, with the parameters of libpq that pg knows.
   * @param limits - in place of those in LIMITS.
   */
  static async of(url: string, limits: Partial<typeof LIMITS> = {}): Promise<Postgres> {
    const { connections, connectMs, answerMs, idleMs } = { ...LIMITS, ...limits }
    // Only a server of a cluster needs it.
    const { Client, Pool } = await import('pg')
    const sockets = new Set<Socket>()
    const options = {
      connectionString: url,
      stream: () => {
        const socket = new Socket()
        sockets.add(socket)
        socket.once('close', () => sockets.delete(socket))
        return socket
      },
      application_name: APPLICATION_NAME,
      connectionTimeoutMillis: connectMs,
      query_timeout: answerMs,
      keepAlive: true,
    }
    try {
      const pool = new Pool({
        ...options,
        max: connections,
        idleTimeoutMillis: idleMs,
        allowExitOnIdle: true,
      })
      return new Postgres(databaseName(url), {
        pool,
        sockets,
        newClient: () => new Client(options),
      })
    } catch (error) {
      // The text of an error about a URL has the URL in it.
      const isUrl = !(error instanceof TypeError)
      const why = isUrl ? 'its parameters are wrong' : 'it is not a URL of PostgreSQL'
      throw new StoreError('STORE_REFUSED', `cluster.database_url cannot be used: ${why}`)
    }
  }

  /**
   * Runs one statement: it may run twice, where a connection was lost without notice.
   *
   * @throws {StoreError}
   */
  async query(sql: string, ...values: readonly Parameter[]): Promise<readonly SqlRow[]> {
    return await this.#withConnection(sql, values, async (_, rows) => rows)
  }

  /**
   * Does all of it or, when it throws, nothing. When it resolves, the changes are on the disk of the database.
   * When it rejects with STORE_UNAVAILABLE, the connection may have been lost after the commit.
   *
   * @throws {StoreError}
   */
  async transaction<T>(work: (query: Query) => Promise<T>): Promise<T> {
    return await this.#transaction(BEGIN_WRITING, work)
  }

  /** Reads several tables as they were at one moment. @throws {StoreError} */
  async snapshot<T>(work: (query: Query) => Promise<T>): Promise<T> {
    return await this.#transaction(BEGIN_READING, work)
  }

  /** Runs work on a connection of its own, which may fail in a transaction and is closed afterwards. */
  async session<T>(work: (sql: SqlRunner) => Promise<T>): Promise<T> {
    const connection = await this.#connect()
    try {
      return await work(connection.runner)
    } finally {
      connection.release({ isKept: false })
    }
  }

  /**
   * Listens for hints of other servers, if it does not yet. Hints may be lost, and a pooler in front of the
   * database may swallow all of them.
   */
  async listen(channel: string, onHint: (text: string) => void): Promise<void> {
    if (this.#listener !== undefined || this.#isClosed) return
    const client = this.#newClient()
    this.#listener = client
    const over = (): void => {
      if (this.#listener === client) this.#listener = undefined
    }
    client.on('error', over)
    client.on('end', over)
    client.on('notification', ({ payload }) => onHint(payload ?? ''))
    try {
      await client.connect()
      await client.query(`LISTEN ${channel}`)
    } catch {
      over()
    }
    if (this.#listener !== client) await client.end().catch(() => {})
  }

  /** Closes the connections once their statements are answered, at the latest after a second. */
  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    const listener = this.#listener
    this.#listener = undefined
    const limit = setTimeout(() => {
      for (const socket of this.#sockets) socket.destroy()
    }, CLOSE_MS)
    await Promise.all(
      [this.#pool.end(), listener?.end()].map(async (one) => await one?.catch(() => {})),
    )
    clearTimeout(limit)
  }

  async #transaction<T>(begin: string, work: (query: Query) => Promise<T>): Promise<T> {
    return await this.#withConnection(begin, [], async (connection) => {
      let result: T
      try {
        result = await work(async (sql, ...values) => await connection.run(sql, values))
      } catch (error) {
        if (!connection.isLost) await connection.run('ROLLBACK', [])
        throw error
      }
      await connection.run('COMMIT', [])
      return result
    })
  }

  /** Runs a first statement and then the work, on one connection. */
  async #withConnection<T>(
    sql: string,
    values: readonly Parameter[],
    work: (connection: Connection, rows: readonly SqlRow[]) => Promise<T>,
  ): Promise<T> {
    for (let isFirst = true; ; isFirst = false) {
      const connection = await this.#connect()
      const beganAt = performance.now()
      let isBegun = false
      try {
        const rows = await connection.run(sql, values)
        isBegun = true
        return await work(connection, rows)
      } catch (error) {
        const isStale = !isBegun && connection.isLost && performance.now() - beganAt < AT_ONCE_MS
        if (!isStale || !isFirst) throw error
      } finally {
        connection.release()
      }
    }
  }

  async #connect(): Promise<Connection> {
    if (this.#isClosed) throw new StoreError('STORE_CLOSED', `${this.name} was closed`)
    try {
      return new Connection(await this.#pool.connect(), this.name)
    } catch (error) {
      throw explained(error, this.name)
    }
  }
}

/** A connection in use. */
class Connection {
  readonly #client: PoolClient
  readonly #database: string
  #isLost = false

  constructor(client: PoolClient, database: string) {
    this.#client = client
    this.#database = database
    // Without a listener an error between two statements ends the process.
    client.on('error', this.#onError)
  }

  /** Whether it cannot be used any more. */
  get isLost(): boolean {
    return this.#isLost
  }

  async run(sql: string, values: readonly Parameter[]): Promise<readonly SqlRow[]> {
    try {
      const { rows } = await this.#client.query<SqlRow>(sql, [...values])
      return rows
    } catch (error) {
      const state = sqlStateOf(error)
      if (state === undefined || LAST_ANSWER.test(state)) this.#isLost = true
      throw explained(error, this.#database)
    }
  }

  /** The same for tables that several parts of the program make. */
  get runner(): SqlRunner {
    return {
      run: async (text, _signal, values) => await this.#runAll(text, values),
      literal: (text) => this.#client.escapeLiteral(text),
    }
  }

  /** Gives it back; a lost one is closed, and one that is not kept. */
  release({ isKept = true }: { readonly isKept?: boolean } = {}): void {
    const isClosed = this.#isLost || !isKept
    // One that is closed has no other listener, and may fail once more.
    if (!isClosed) this.#client.off('error', this.#onError)
    this.#client.release(isClosed)
  }

  async #runAll(
    text: string,
    values?: readonly unknown[],
  ): Promise<readonly (readonly SqlRow[])[]> {
    try {
      const found: QueryResult<SqlRow> | QueryResult<SqlRow>[] = await this.#client.query<SqlRow>(
        text,
        values === undefined ? undefined : [...values],
      )
      return Array.isArray(found) ? found.map(({ rows }) => rows) : [found.rows]
    } catch (error) {
      throw explained(error, this.#database)
    }
  }

  readonly #onError = (): void => {
    this.#isLost = true
  }
}

/** The StoreError for an error of pg. */
function explained(error: unknown, database: string): unknown {
  const state = sqlStateOf(error)
  const failure = state === undefined ? undefined : sqlFailureOf(state)
  const known = failure && CODES[failure]
  // A wrong statement is a defect of this program, not a state of the database.
  if (state !== undefined && known === undefined) return error
  const { message = '', code } = error as { readonly message?: string; readonly code?: unknown }
  // When every address of a host fails, the error has no message.
  const why = message === '' ? String(code) : message
  // Without the error as its cause: it is not known that none of pg contains a password.
  return new StoreError(known ?? codeOfFault(error), `${database}: ${why}`)
}

/** A file of the URL that cannot be read, or a certificate that is not trusted, stays so until it is changed. */
function codeOfFault(error: unknown): StoreErrorCode {
  const { code, syscall } = error as { readonly code?: unknown; readonly syscall?: unknown }
  const isWrong = syscall === 'open' || CERTIFICATE_FAULT.test(String(code))
  return isWrong ? 'STORE_REFUSED' : 'STORE_UNAVAILABLE'
}

/** Host, port and name of a database, as messages show it. */
function databaseName(url: string): string {
  // Without both slashes the host would be this machine.
  if (!/^postgres(?:ql)?:\/\//.test(url)) throw new TypeError('not PostgreSQL')
  const { hostname, port, pathname, searchParams } = new URL(url)
  // A slash in a password that is not written as %2F: what follows it is no name to show.
  if (pathname.includes('@')) throw new TypeError('part of a password')
  // Libpq reads the folder of a socket from the parameter.
  const host = hostname === '' ? (searchParams.get('host') ?? 'localhost') : hostname
  const name = decodeURIComponent(pathname.slice(1))
  return `database ${name === '' ? '(default)' : name} on ${host}:${port === '' ? 5432 : port}`
}
