import { Socket } from 'node:net'

import type { Client, Notification, QueryResult } from 'pg'

import { ClusterError } from '../errors.ts'
import { APPLICATION_NAME, sqlFailureOf, sqlStateOf } from './sql-state.ts'

/** One row, by the names of its columns. */
export type SqlRow = Readonly<Record<string, unknown>>

/** What statements are run with. */
export interface SqlRunner {
  /**
   * Runs one statement with values, or several in one text without.
   *
   * @returns the rows of each statement.
   * @throws {ClusterError} CLUSTER_DATABASE_BUSY when too many calls wait, CLUSTER_CLOSED, or what the database
   *   answered; the reason of the signal.
   */
  run(
    text: string,
    signal: AbortSignal,
    values?: readonly unknown[],
  ): Promise<readonly (readonly SqlRow[])[]>
  /** A text as a literal of SQL, with its quotes. */
  literal(text: string): string
}

/** Calls that wait for their turn on one connection; one more is rejected with CLUSTER_DATABASE_BUSY. */
const MAX_WAITING_CALLS = 10_000

/**
 * A connection that is made when it is needed and made again after a failure. Calls run one after another. A
 * call that is aborted or takes too long ends the connection: what comes over it could not be told apart.
 */
export class PostgresConnection implements SqlRunner {
  readonly #url: string
  readonly #timeoutMs: number
  readonly #closed = new AbortController()
  #client: Client | undefined
  #socket: Socket | undefined
  #isBusy = false
  /** Calls that wait for their turn, in their order; each function begins one. */
  readonly #waiting = new Set<() => void>()

  constructor(url: string, timeoutMs: number) {
    this.#url = url
    this.#timeoutMs = timeoutMs
  }

  /** Whether it is connected. */
  get isConnected(): boolean {
    return this.#client !== undefined
  }

  /** @inheritdoc */
  async run(
    text: string,
    signal: AbortSignal,
    values?: readonly unknown[],
  ): Promise<readonly (readonly SqlRow[])[]> {
    await this.#turn(signal)
    try {
      return await this.#limited(signal, async () => {
        const client = await this.#connected()
        const found: QueryResult<SqlRow> | QueryResult<SqlRow>[] =
          values === undefined
            ? await client.query<SqlRow>(text)
            : await client.query<SqlRow>(text, [...values])
        return Array.isArray(found) ? found.map(({ rows }) => rows) : [found.rows]
      })
    } finally {
      this.#next()
    }
  }

  /** @inheritdoc */
  literal(text: string): string {
    // As pg writes it, which is not loaded yet. With E'' a backslash means the same under every setting.
    const doubled = text.replaceAll(/['\\]/g, '$&$&')
    return text.includes('\\') ? ` E'${doubled}'` : `'${doubled}'`
  }

  /** Reports notifications of a channel until the connection fails or the signal is aborted; then it rejects. */
  async listen(
    channel: string,
    onPayload: (payload: string) => void,
    signal: AbortSignal,
  ): Promise<never> {
    await this.run(`listen ${channel}`, signal)
    const client = this.#client
    if (client === undefined) throw new ClusterError('CLUSTER_DATABASE_UNREACHABLE')
    const onNotification = ({ payload }: Notification): void => onPayload(payload ?? '')
    client.on('notification', onNotification)
    let end = (): void => {}
    try {
      return await new Promise<never>((_, reject) => {
        end = () => reject(new ClusterError('CLUSTER_DATABASE_UNREACHABLE'))
        client.once('end', end)
        signal.addEventListener('abort', end, { once: true })
        if (this.#client !== client || signal.aborted) end()
      })
    } finally {
      client.off('notification', onNotification)
      signal.removeEventListener('abort', end) // the signal lives longer than this connection
    }
  }

  /** Ends it; calls that run reject. */
  close(): void {
    this.#closed.abort(new ClusterError('CLUSTER_CLOSED'))
    this.#drop()
  }

  /** Waits until no other call runs; a call whose signal aborts leaves the queue. */
  async #turn(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    if (!this.#isBusy) {
      this.#isBusy = true
      return
    }
    if (this.#waiting.size >= MAX_WAITING_CALLS) throw new ClusterError('CLUSTER_DATABASE_BUSY')
    await new Promise<void>((resolve, reject) => {
      const begin = (): void => {
        signal.removeEventListener('abort', giveUp)
        resolve()
      }
      const giveUp = (): void => {
        this.#waiting.delete(begin)
        reject(signal.reason)
      }
      this.#waiting.add(begin)
      signal.addEventListener('abort', giveUp, { once: true })
    })
  }

  #next(): void {
    const [begin] = this.#waiting
    if (begin === undefined) this.#isBusy = false
    else {
      this.#waiting.delete(begin)
      begin()
    }
  }

  async #limited<T>(signal: AbortSignal, run: () => Promise<T>): Promise<T> {
    signal.throwIfAborted()
    this.#closed.signal.throwIfAborted()
    const closed = this.#closed.signal
    let end = (): void => {}
    const ended = new Promise<never>((_, reject) => {
      const timer = setTimeout(
        () => reject(new ClusterError('CLUSTER_DATABASE_UNREACHABLE', 'no answer in time')),
        this.#timeoutMs,
      )
      const onAbort = (): void => reject(signal.reason)
      const onClosed = (): void => reject(closed.reason)
      signal.addEventListener('abort', onAbort, { once: true })
      closed.addEventListener('abort', onClosed, { once: true })
      end = () => {
        clearTimeout(timer)
        signal.removeEventListener('abort', onAbort)
        closed.removeEventListener('abort', onClosed)
      }
    })
    const running = run()
    try {
      return await Promise.race([running, ended])
    } catch (error) {
      running.catch(() => {}) // it fails with the socket
      this.#drop()
      signal.throwIfAborted()
      closed.throwIfAborted()
      throw databaseError(error)
    } finally {
      end()
    }
  }

  async #connected(): Promise<Client> {
    if (this.#client !== undefined) return this.#client
    const socket = new Socket()
    this.#socket = socket
    // Loaded here, since most servers have no database of a cluster.
    const { Client } = await import('pg')
    if (this.#socket !== socket) throw new ClusterError('CLUSTER_DATABASE_UNREACHABLE')
    const client = new Client({
      connectionString: this.#url,
      stream: () => socket,
      keepAlive: true,
      application_name: APPLICATION_NAME,
    })
    const forget = (): void => {
      if (this.#client === client) this.#client = undefined
    }
    client.on('error', forget)
    client.once('end', forget)
    await client.connect()
    if (this.#socket !== socket) throw new ClusterError('CLUSTER_DATABASE_UNREACHABLE')
    this.#client = client
    return client
  }

  #drop(): void {
    this.#socket?.destroy()
    this.#socket = undefined
    this.#client = undefined
  }
}

/** A failure of the driver, without its text, which could hold parts of the URL. */
export function databaseError(error: unknown): ClusterError {
  if (error instanceof ClusterError) return error
  const code = sqlStateOf(error)
  if (code === undefined) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : undefined
    return new ClusterError('CLUSTER_DATABASE_UNREACHABLE', reason)
  }
  const sqlState = { sqlState: code }
  switch (sqlFailureOf(code)) {
    case 'readOnly':
      return new ClusterError('CLUSTER_DATABASE_READ_ONLY', code, sqlState)
    case 'refused':
      return new ClusterError('CLUSTER_DATABASE_REFUSED', code, sqlState)
    case 'unreachable':
      return new ClusterError('CLUSTER_DATABASE_UNREACHABLE', code, sqlState)
    default:
      return new ClusterError('CLUSTER_DATABASE_FAILED', code, sqlState)
  }
}
