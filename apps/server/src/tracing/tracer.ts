import { type RequestHead, visitorScheme } from '@proj/http1'
import {
  childContext,
  encodeSpan,
  formatTraceparent,
  httpAttributes,
  parseTraceparent,
  SAMPLED,
  shownMethod,
  type SpanExporter,
} from '@proj/program-kit'
import type { EndedConnection } from '@proj/tunnel/server'
import { resetReasonCode } from '@proj/tunnel/io'

import type { RecordSink, RequestEnd, RequestRecord } from '../proxy/request-record.ts'
import type { RequestTrace } from './request-trace.ts'

/** Longest wait for the receiver at the end, ms. */
const CLOSE_MS = 5_000

/** Outcomes that are nothing wrong, though not `ok`: the visitor ended its side. */
const VISITOR_ENDED: ReadonlySet<string> = new Set(['visitor_gone', 'consumer_gone'])

/** Makes a span of each request and TCP connection that is sampled. */
export class Tracer implements RecordSink, AsyncDisposable {
  readonly #exporter: SpanExporter
  readonly #share: number

  /** @param samplePercent - of the requests whose sampling no trusted proxy has decided. */
  constructor(exporter: SpanExporter, samplePercent: number) {
    this.#exporter = exporter
    this.#share = samplePercent / 100
  }

  /** Spans that were taken by the receiver, and that were not. */
  get counts(): { readonly sent: number; readonly dropped: number } {
    return this.#exporter
  }

  /**
   * The trace of a request whose head has come: that of the request, or a new one. Whether it is sampled is the
   * decision of a trusted proxy; a visitor's is not looked at, as visitors would choose how much is recorded.
   *
   * @param isTrusted - whether it came by a trusted proxy in front.
   */
  traceOf(head: RequestHead, isTrusted: boolean): RequestTrace {
    const header = head.header('traceparent')
    const parent = header === undefined ? undefined : parseTraceparent(header)
    const isSampled =
      parent !== undefined && isTrusted
        ? (parent.flags & SAMPLED) !== 0
        : Math.random() < this.#share
    const own = childContext(parent, isSampled)
    return {
      own,
      parent,
      forService: { parent: formatTraceparent(own), isNew: parent === undefined },
    }
  }

  /** Takes a request that is over; one that is not sampled has no span. */
  request(record: RequestRecord, end: RequestEnd): void {
    const { trace } = record
    if (trace === undefined || (trace.own.flags & SAMPLED) === 0) return
    const { kind, outcome, status, bytesIn, bytesOut, totalMs } = end
    const { head, route, startMs, agent } = record
    const { versionMinor, hostParts } = head
    const endpoint = route?.endpoint
    const method = shownMethod(head.method)
    const serviceError = status >= 500 ? String(status) : undefined
    this.#exporter.push(
      encodeSpan({
        ...trace.own,
        kind: 'server',
        parentSpanId: trace.parent?.spanId,
        // Visitors may ask for any name: only one that is served is part of the name.
        name: agent === undefined ? method : `${method} ${endpoint?.name ?? ''}`,
        startMs,
        endMs: startMs + totalMs,
        // Names with `adit.` are ours, the others are semantic conventions of OpenTelemetry for HTTP.
        attributes: {
          ...httpAttributes(head, status),
          'url.scheme': route === undefined ? record.scheme : visitorScheme(head, route.forward),
          'server.address': hostParts.name === '' ? undefined : hostParts.name,
          'client.address': record.client,
          'network.protocol.version': versionMinor === 0 ? '1.0' : '1.1',
          'user_agent.original': head.header('user-agent'),
          'error.type': outcome === 'ok' ? serviceError : outcome,
          'adit.kind': kind,
          'adit.outcome': outcome,
          'adit.endpoint': endpoint?.name,
          'adit.tenant': endpoint?.tenant === '' ? undefined : endpoint?.tenant,
          'adit.request_id': record.requestId,
          'adit.agent': agent,
          'adit.bytes_in': bytesIn,
          'adit.bytes_out': bytesOut,
        },
        events: {
          routed: after(startMs, record.routedMs),
          sent: after(startMs, record.sentMs),
          answered: after(startMs, record.answeredMs),
        },
        isError: isError(outcome, status),
      }),
    )
  }

  /** Takes a TCP connection that is over. Its trace begins and ends here: there is no place for a context in TCP. */
  readonly connection = (ended: EndedConnection): void => {
    if (Math.random() >= this.#share) return
    const { endpoint, visitor, requestId, outcome, agent, totalMs, openedMs, answeredMs } = ended
    const code = outcome === 'ok' ? outcome : resetReasonCode(outcome)
    const startMs = Date.now() - totalMs
    this.#exporter.push(
      encodeSpan({
        ...childContext(undefined, true),
        kind: 'server',
        parentSpanId: undefined,
        name: agent === undefined ? 'TCP' : `TCP ${endpoint.name}`,
        startMs,
        endMs: startMs + totalMs,
        attributes: {
          'network.transport': 'tcp',
          'client.address': visitor.remoteAddress,
          'client.port': visitor.remotePort,
          'error.type': code === 'ok' ? undefined : code,
          'adit.kind': 'tcp',
          'adit.outcome': code,
          'adit.endpoint': endpoint.name,
          'adit.tenant': endpoint.tenant === '' ? undefined : endpoint.tenant,
          'adit.request_id': requestId,
          'adit.agent': agent,
          'adit.bytes_in': ended.bytesIn,
          'adit.bytes_out': ended.bytesOut,
        },
        events: { routed: after(startMs, openedMs), answered: after(startMs, answeredMs) },
        isError: code !== 'ok' && !VISITOR_ENDED.has(code),
      }),
    )
  }

  /** Sends what waits, for a bounded time. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#exporter.close(AbortSignal.timeout(CLOSE_MS))
  }
}

function after(startMs: number, ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : startMs + ms
}

/** A request that is answered 4xx is an error of its visitor, not of the server. */
function isError(outcome: string, status: number): boolean {
  if (status >= 500 || outcome === 'broken_off') return true
  return outcome !== 'ok' && status < 400 && !VISITOR_ENDED.has(outcome)
}
