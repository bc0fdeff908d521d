/** Spans in the JSON of OTLP 1.x: `ExportTraceServiceRequest` of opentelemetry-proto. */

/** A span that is over. */
export interface Span {
  /** Whether it is of a request that was received, or of one that was sent. */
  readonly kind: 'server' | 'client'
  /** Of all spans of one trace: 32 hexadecimal digits. */
  readonly traceId: string
  /** 16 hexadecimal digits. */
  readonly spanId: string
  /** Undefined: it is the first of its trace. */
  readonly parentSpanId: string | undefined
  /** What it is of, with few values: `GET web`. */
  readonly name: string
  /** Ms since the epoch; fractions are kept down to µs. */
  readonly startMs: number
  /** The same, when it was over. */
  readonly endMs: number
  /** What is known of it. */
  readonly attributes: Attributes
  /** What happened meanwhile; undefined times did not. */
  readonly events: Readonly<Record<string, number | undefined>>
  /** Whether it failed. */
  readonly isError: boolean
}

/** By name; undefined values are left out. */
export type Attributes = Readonly<Record<string, string | number | undefined>>

/** `SPAN_KIND_SERVER`, `SPAN_KIND_CLIENT` */
const KINDS = { server: 2, client: 3 } as const

/** `STATUS_CODE_ERROR` */
const ERROR = 2

/** Sampled, and it is known whether the parent is of another process. */
const FLAGS = 0x101

/** The parent is of another process. */
const REMOTE = 0x200

/** Longest text of an attribute, characters; the rest is cut off. */
const MAX_TEXT_CHARS = 1024

/** Writes a span as JSON. */
export function encodeSpan(span: Span): string {
  return JSON.stringify({
    traceId: span.traceId,
    spanId: span.spanId,
    parentSpanId: span.parentSpanId,
    flags: span.parentSpanId === undefined ? FLAGS : FLAGS | REMOTE,
    name: span.name.slice(0, MAX_TEXT_CHARS),
    kind: KINDS[span.kind],
    startTimeUnixNano: nanoseconds(span.startMs),
    endTimeUnixNano: nanoseconds(span.endMs),
    attributes: encodeAttributes(span.attributes),
    events: Object.entries(span.events).flatMap(([name, ms]) =>
      ms === undefined ? [] : [{ timeUnixNano: nanoseconds(ms), name }],
    ),
    status: span.isError ? { code: ERROR } : {},
  })
}

/** What comes before and after the spans of a batch, which are separated by commas. */
export function envelope(resource: Attributes, scope: string): readonly [string, string] {
  const head = { resource: { attributes: encodeAttributes(resource) } }
  const start = JSON.stringify(head).slice(0, -1)
  const named = JSON.stringify({ name: scope })
  return [`{"resourceSpans":[${start},"scopeSpans":[{"scope":${named},"spans":[`, ']}]}]}']
}

function encodeAttributes(attributes: Attributes): readonly object[] {
  return Object.entries(attributes).flatMap(([key, value]) => {
    if (value === undefined) return []
    const isText = typeof value === 'string'
    // 64 bit integers are texts in the JSON of protobuf.
    const encoded = isText
      ? { stringValue: value.slice(0, MAX_TEXT_CHARS) }
      : { intValue: String(value) }
    return [{ key, value: encoded }]
  })
}

/** As a text, because the number has more digits than a double. */
function nanoseconds(ms: number): string {
  return `${Math.round(ms * 1000)}000`
}
