import { getHeader } from '@proj/http1'
import {
  childContext,
  encodeSpan,
  httpAttributes,
  openSpanExporter,
  parseTraceparent,
  SAMPLED,
  shownMethod,
  type SpanExporter,
  type TracingSettings,
} from '@proj/program-kit'
import type { ForwardOptions, Logger } from '@proj/tunnel'
import { resetReasonCode } from '@proj/tunnel/io'

import { Exchange } from '../inspect/exchange.ts'
import { HttpTap } from '../inspect/http-tap.ts'
import type { TapParts } from '../inspect/tap-parts.ts'
import { VERSION } from '../version.ts'

/** Longest wait for the receiver at the end, ms. */
const CLOSE_MS = 5_000

/** Nothing is kept of what crosses. */
const NO_STORE: TapParts['store'] = { charge: () => true, touch: () => {} }

/** Makes a span of each HTTP request that is sent to a service and sampled. It sees the bytes and changes none. */
export class AgentTracer implements AsyncDisposable {
  readonly #exporter: SpanExporter
  readonly #share: number

  /** @param samplePercent - of the requests that the server has sampled, or has not judged. */
  constructor(exporter: SpanExporter, samplePercent: number) {
    this.#exporter = exporter
    this.#share = samplePercent / 100
  }

  /**
   * The option `tap` of a listener.
   *
   * @param service - where its requests go, as text.
   */
  tapOf(endpoint: string, service: string): NonNullable<ForwardOptions['tap']> {
    return (record) => {
      const from = { visitor: record?.visitorAddress, requestId: record?.requestId }
      return new HttpTap(tracedStream(endpoint, from, (exchange) => this.#take(exchange, service)))
    }
  }

  /** Sends what waits, for a bounded time. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#exporter.close(AbortSignal.timeout(CLOSE_MS))
  }

  #take(exchange: Exchange, service: string): void {
    const { request, response, startedAt, times, kind, code, state, givenUp } = exchange
    // Its head could not be read: the server refuses such a request itself.
    if (request === undefined) return
    const header = getHeader(request.headers, 'traceparent')
    const parent = header === undefined ? undefined : parseTraceparent(header)
    const isWanted = parent === undefined || (parent.flags & SAMPLED) !== 0
    if (!isWanted || Math.random() >= this.#share) return
    const { started, requestEnd, responseStart, ended = performance.now() } = times
    // A connection that was there already is not waited for.
    const connected = (times.connected ?? -Infinity) < started ? undefined : times.connected
    const status = response?.status ?? 0
    const failure = state === 'failed' && code !== undefined ? resetReasonCode(code) : undefined
    const isFailure = failure !== undefined && code !== 'consumerGone'
    const at = (ms: number | undefined): number | undefined =>
      ms === undefined ? undefined : startedAt + (ms - started)
    const sentMs = Math.max(requestEnd ?? started, connected ?? started)
    this.#exporter.push(
      encodeSpan({
        ...childContext(parent, true),
        kind: 'client',
        parentSpanId: parent?.spanId,
        name: `${shownMethod(request.method)} ${exchange.endpoint}`,
        startMs: startedAt,
        endMs: startedAt + (ended - started),
        attributes: {
          ...httpAttributes(request, status),
          'error.type': isFailure ? failure : status >= 500 ? String(status) : undefined,
          'adit.kind': kind,
          'adit.outcome': failure ?? (givenUp === undefined ? 'ok' : 'unread'),
          'adit.endpoint': exchange.endpoint,
          'adit.service': service,
          'adit.request_id': exchange.requestId,
          'adit.bytes_in': exchange.bytesIn,
          'adit.bytes_out': exchange.bytesOut,
          'adit.waiting_ms': wholeMs(started, connected),
          'adit.service_ms': wholeMs(sentMs, responseStart),
          'adit.body_ms': wholeMs(responseStart, ended),
        },
        events: { connected: at(connected), sent: at(requestEnd), answered: at(responseStart) },
        isError: isFailure || status >= 500,
      }),
    )
  }
}

/**
 * Makes the tracer of the agent.
 *
 * @param limits - of what is sent. Default: those of program-kit.
 * @returns undefined: there are no traces.
 * @throws {UserError} when the headers cannot be read.
 */
export function openAgentTracer(
  settings: TracingSettings,
  logger: Logger,
  limits: Parameters<typeof openSpanExporter>[2] = {},
): AgentTracer | undefined {
  const program = { name: 'adit', version: VERSION, logger }
  const exporter = openSpanExporter(settings, program, limits)
  return exporter && new AgentTracer(exporter, settings.sample)
}

/** What the tap of one stream works with, whose exchanges are only handed on. */
function tracedStream(
  endpoint: string,
  from: Pick<TapParts, 'visitor' | 'requestId'>,
  onFinished: (exchange: Exchange) => void,
): TapParts {
  return {
    ...from,
    store: NO_STORE,
    rttMs: () => undefined,
    isOn: true,
    keepsMessages: false,
    begin: (kind) => new Exchange(0, kind, endpoint, 0),
    onAnswer: () => {},
    onFailed: () => {},
    finish: (exchange, state) => {
      exchange.state = state
      exchange.times.ended = performance.now()
      onFinished(exchange)
    },
  }
}

function wholeMs(from: number | undefined, to: number | undefined): number | undefined {
  return from === undefined || to === undefined ? undefined : Math.max(0, Math.round(to - from))
}
