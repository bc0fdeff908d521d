import { type RequestHead, type TraceForService, visitorScheme } from '@proj/http1'

import type { ObservedRoute, RequestObserver } from '../proxy/request-observer.ts'
import { encodeSpan } from './otlp.ts'
import type { SpanExporter } from './span-exporter.ts'
import {
  childContext,
  formatTraceparent,
  parseTraceparent,
  SAMPLED,
  type TraceContext,
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

/** What is known of the visitor of a request. */
export interface TracedVisitor {
  /** Of its connection. */
  readonly scheme: 'http' | 'https'
  /** Whether it came by a trusted proxy in front. */
  readonly isTrusted: boolean
}

/** Makes a span of each request that is sampled. */
export class Tracer implements AsyncDisposable {
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
   * Begins the span of a request whose head has come. Its trace is that of the request. Whether it is sampled is the
   * decision of a trusted proxy; a visitor's is not looked at, as visitors would choose how much is recorded.
   *
   * @param client - address of the visitor; undefined when a trusted proxy did not say.
   */
  request(head: RequestHead, client: string | undefined, visitor: TracedVisitor): RequestObserver {
    const header = head.header('traceparent')
    const parent = header === undefined ? undefined : parseTraceparent(header)
    const isSampled =
      parent !== undefined && visitor.isTrusted
        ? (parent.flags & SAMPLED) !== 0
        : Math.random() < this.#share
    const context = childContext(parent, isSampled)
    if (!isSampled) return new UnsampledRequest(context, parent)
    return new RequestSpan(this.#exporter, context, parent, head, client, visitor.scheme)
  }

  /** Sends what waits, for a bounded time. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#exporter.close(AbortSignal.timeout(CLOSE_MS))
  }
}

/** A request without a span: the service is told not to record its own. */
class UnsampledRequest implements RequestObserver {
  readonly trace: TraceForService

  constructor(context: TraceContext, parent: TraceContext | undefined) {
    this.trace = { parent: formatTraceparent(context), isNew: parent === undefined }
  }

  routed(): void {}
  identified(): void {}
  sent(): void {}
  answered(): void {}
  end(): void {}
}

/** A request that runs. */
class RequestSpan implements RequestObserver {
  readonly trace: TraceForService
  readonly #exporter: SpanExporter
  readonly #context: TraceContext
  readonly #parent: TraceContext | undefined
  readonly #head: RequestHead
  readonly #client: string | undefined
  readonly #connectionScheme: 'http' | 'https'
  readonly #startMs = Date.now()
  readonly #startedMs = performance.now()
  #route: ObservedRoute | undefined
  #requestId: string | undefined
  #agent: string | undefined
  #routedMs: number | undefined
  #sentMs: number | undefined
  #answeredMs: number | undefined

  constructor(
    exporter: SpanExporter,
    context: TraceContext,
    parent: TraceContext | undefined,
    head: RequestHead,
    client: string | undefined,
    connectionScheme: 'http' | 'https',
  ) {
    this.trace = { parent: formatTraceparent(context), isNew: parent === undefined }
    this.#exporter = exporter
    this.#context = context
    this.#parent = parent
    this.#head = head
    this.#client = client
    this.#connectionScheme = connectionScheme
  }

  routed(route: ObservedRoute): void {
    this.#route = route
    this.#requestId = route.forward.requestId
    this.#routedMs = this.#nowMs
  }

  identified(requestId: string): void {
    this.#requestId = requestId
  }

  sent(agent: string): void {
    this.#agent = agent
    this.#sentMs = this.#nowMs
  }

  answered(): void {
    this.#answeredMs = this.#nowMs
  }

  end(...[kind, outcome, status, bytesIn, bytesOut]: Parameters<RequestObserver['end']>) {
    const { method, target, versionMinor, hostParts } = this.#head
    const endpoint = this.#route?.endpoint
    const isKnown = METHODS.has(method)
    const shownMethod = isKnown ? method : 'HTTP'
    const query = target.indexOf('?')
    const serviceError = status >= 500 ? String(status) : undefined
    this.#exporter.push(
      encodeSpan({
        ...this.#context,
        parentSpanId: this.#parent?.spanId,
        // Visitors may ask for any name: only one that is served is part of the name.
        name: this.#agent === undefined ? shownMethod : `${shownMethod} ${endpoint?.name ?? ''}`,
        startMs: this.#startMs,
        endMs: this.#nowMs,
        // Names with `adit.` are ours, the others are semantic conventions of OpenTelemetry for HTTP.
        attributes: {
          'http.request.method': isKnown ? method : '_OTHER',
          'http.request.method_original': isKnown ? undefined : method,
          'url.scheme': this.#scheme,
          // Without the query, which may hold credentials.
          'url.path': query < 0 ? target : target.slice(0, query),
          'server.address': hostParts.name === '' ? undefined : hostParts.name,
          'client.address': this.#client,
          'network.protocol.version': versionMinor === 0 ? '1.0' : '1.1',
          'user_agent.original': this.#head.header('user-agent'),
          'http.response.status_code': status === 0 ? undefined : status,
          'error.type': outcome === 'ok' ? serviceError : outcome,
          'adit.kind': kind,
          'adit.outcome': outcome,
          'adit.endpoint': endpoint?.name,
          'adit.tenant': endpoint?.tenant === '' ? undefined : endpoint?.tenant,
          'adit.request_id': this.#requestId,
          'adit.agent': this.#agent,
          'adit.bytes_in': bytesIn,
          'adit.bytes_out': bytesOut,
        },
        events: { routed: this.#routedMs, sent: this.#sentMs, answered: this.#answeredMs },
        isError: isError(outcome, status),
      }),
    )
  }

  get #scheme(): 'http' | 'https' {
    if (this.#route === undefined) return this.#connectionScheme
    return visitorScheme(this.#head, this.#route.forward)
  }

  get #nowMs(): number {
    return this.#startMs + performance.now() - this.#startedMs
  }
}

/** A request that is answered 4xx is an error of its visitor, not of the server. */
function isError(outcome: string, status: number): boolean {
  if (status >= 500 || outcome === 'broken_off') return true
  return outcome !== 'ok' && status < 400 && !VISITOR_ENDED.has(outcome)
}
