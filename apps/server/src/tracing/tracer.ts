import { type RequestHead, visitorScheme } from '@proj/http1'

import type { RecordSink, RequestEnd, RequestRecord } from '../proxy/request-record.ts'
import { encodeSpan } from './otlp.ts'
import type { SpanExporter } from './span-exporter.ts'
import {
  childContext,
  formatTraceparent,
  parseTraceparent,
  type RequestTrace,
  SAMPLED,
} from './trace-context.ts'

/** Longest wait for the receiver at the end, ms. */
const CLOSE_MS = 5_000

/** RFC 9110 section 9 and RFC 5789: visitors may send any other, and the name of a span has few values. */
const METHODS: ReadonlySet<string> = new Set([
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'PATCH',
  'DELETE',
  'OPTIONS',
  'TRACE',
  'CONNECT',
])

/** Outcomes that are nothing wrong, though not `ok`: the visitor ended its side. */
const VISITOR_ENDED: ReadonlySet<string> = new Set(['visitor_gone', 'consumer_gone'])

/** Makes a span of each request that is sampled. */
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
    const { method, target, versionMinor, hostParts } = head
    const endpoint = route?.endpoint
    const isKnown = METHODS.has(method)
    const shownMethod = isKnown ? method : 'HTTP'
    const query = target.indexOf('?')
    const serviceError = status >= 500 ? String(status) : undefined
    this.#exporter.push(
      encodeSpan({
        ...trace.own,
        parentSpanId: trace.parent?.spanId,
        // Visitors may ask for any name: only one that is served is part of the name.
        name: agent === undefined ? shownMethod : `${shownMethod} ${endpoint?.name ?? ''}`,
        startMs,
        endMs: startMs + totalMs,
        // Names with `adit.` are ours, the others are semantic conventions of OpenTelemetry for HTTP.
        attributes: {
          'http.request.method': isKnown ? method : '_OTHER',
          'http.request.method_original': isKnown ? undefined : method,
          'url.scheme': route === undefined ? record.scheme : visitorScheme(head, route.forward),
          // Without the query, which may hold credentials.
          'url.path': query < 0 ? target : target.slice(0, query),
          'server.address': hostParts.name === '' ? undefined : hostParts.name,
          'client.address': record.client,
          'network.protocol.version': versionMinor === 0 ? '1.0' : '1.1',
          'user_agent.original': head.header('user-agent'),
          'http.response.status_code': status === 0 ? undefined : status,
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
