import { resetReasonCode } from '@proj/tunnel/io'
import type { EndedConnection } from '@proj/tunnel/server'

import type { RecordSink, RequestEnd, RequestRecord } from '../proxy/request-record.ts'
import { type AccessEntry, EntryFormat, type AccessLogFormat } from './entry.ts'
import { LineFile } from './line-file.ts'

/** Longest wait for the disk at the end, ms. */
const CLOSE_MS = 5_000

/** What an access log is made of. */
export interface AccessLogOptions {
  /** How a line is written. */
  readonly format: AccessLogFormat
  /** Undefined: standard output. */
  readonly path: string | undefined
  /** Of the entries with the outcome `ok`, how many are written, percent; the others all are. Default 100. */
  readonly samplePercent?: number
  /** Parameters of a query whose values are masked. Default: none. */
  readonly maskQuery?: readonly string[]
  /** Called when lines could not be written. */
  readonly onProblem: (error: unknown) => void
}

/** Writes a line for each request, upgraded connection and TCP connection when it is over. */
export class AccessLog implements RecordSink, AsyncDisposable {
  readonly #file: LineFile
  readonly #format: EntryFormat
  readonly #samplePercent: number
  /** Adds up to 100 for each line that is written. */
  #sampled = 0

  private constructor(file: LineFile, options: AccessLogOptions) {
    this.#file = file
    this.#format = new EntryFormat(options.format, options.maskQuery ?? [])
    this.#samplePercent = options.samplePercent ?? 100
  }

  /** @throws the error of the system when the file cannot be opened. */
  static async open(options: AccessLogOptions): Promise<AccessLog> {
    return new AccessLog(await LineFile.open(options), options)
  }

  /** Lines that are written, and that are not. */
  get counts(): { readonly written: number; readonly dropped: number } {
    return this.#file
  }

  /** Writes what is over, unless it is one that the sample leaves out. */
  write(entry: AccessEntry): void {
    if (entry.outcome === 'ok' && this.#samplePercent < 100) {
      this.#sampled += this.#samplePercent
      if (this.#sampled < 100) return
      this.#sampled -= 100
    }
    this.#file.write(this.#format.line(entry))
  }

  /** Writes a TCP connection that is over. */
  readonly connection = (ended: EndedConnection): void => {
    const { endpoint, visitor, requestId, outcome, agent, bytesIn, bytesOut, totalMs } = ended
    this.write({
      kind: 'tcp',
      time: Date.now() - totalMs,
      outcome: outcome === 'ok' ? outcome : resetReasonCode(outcome),
      client: visitor.remoteAddress,
      endpoint: endpoint.name,
      tenant: endpoint.tenant,
      requestId,
      agent,
      bytesIn,
      bytesOut,
      ms: {
        routed: ended.openedMs,
        sent: ended.openedMs,
        answered: ended.answeredMs,
        total: totalMs,
      },
      status: 0,
      http: undefined,
    })
  }

  /** Writes a request whose head did not come whole, or could not be read. */
  unread(
    client: string | undefined,
    outcome: string,
    status: number,
    bytesIn: number,
    bytesOut: number,
  ): void {
    this.write({
      kind: 'request',
      time: Date.now(),
      outcome,
      client,
      endpoint: '',
      tenant: '',
      requestId: undefined,
      agent: undefined,
      bytesIn,
      bytesOut,
      ms: { routed: undefined, sent: undefined, answered: undefined, total: 0 },
      status,
      http: undefined,
    })
  }

  /** Writes a request or an upgraded connection that is over. */
  request(
    record: RequestRecord,
    { kind, outcome, status, bytesIn, bytesOut, totalMs }: RequestEnd,
  ): void {
    const { head, route } = record
    this.write({
      kind,
      time: record.startMs,
      outcome,
      client: record.client,
      endpoint: route?.endpoint.name ?? '',
      tenant: route?.endpoint.tenant ?? '',
      requestId: record.requestId,
      agent: record.agent,
      bytesIn,
      bytesOut,
      ms: {
        routed: record.routedMs,
        sent: record.sentMs,
        answered: record.answeredMs,
        total: totalMs,
      },
      status,
      http: {
        method: head.method,
        target: head.target,
        version: head.versionMinor === 0 ? '1.0' : '1.1',
        host: head.host,
        referer: head.header('referer'),
        userAgent: head.header('user-agent'),
      },
    })
  }

  /** Opens the file again, after it was renamed. */
  reopen(): void {
    this.#file.reopen()
  }

  /** Writes what waits, for a bounded time. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close(AbortSignal.timeout(CLOSE_MS))
  }
}
