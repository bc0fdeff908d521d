/** The header `traceparent` of W3C Trace Context. */
import { randomBytes } from 'node:crypto'

/** What a `traceparent` says. */
export interface TraceContext {
  /** 32 hexadecimal digits, not all of them 0. */
  readonly traceId: string
  /** 16 hexadecimal digits, not all of them 0. */
  readonly spanId: string
  /** Bit 0: sampled; bit 1: the trace id is random. Others have no meaning yet. */
  readonly flags: number
}

/** Bit 0 of the flags: the span is recorded. */
export const SAMPLED = 0x1

/** Bit 1: it belongs to the trace id, and goes with it. */
const RANDOM = 0x2

/** Section 3.2.2; a version above 00 may have more behind a further hyphen. */
const FORM = /^([\da-f]{2})-([\da-f]{32})-([\da-f]{16})-([\da-f]{2})(-.*)?$/

const ZEROS = /^0+$/

/** Reads a `traceparent`; undefined: it is not valid, and a new trace is to be begun. */
export function parseTraceparent(value: string): TraceContext | undefined {
  const [, version = '', traceId = '', spanId = '', flags = '', more] = FORM.exec(value) ?? []
  if (version === '' || version === 'ff' || (version === '00' && more !== undefined)) {
    return undefined
  }
  if (ZEROS.test(traceId) || ZEROS.test(spanId)) return undefined
  return { traceId, spanId, flags: Number.parseInt(flags, 16) }
}

/** Writes a `traceparent` of version 00. */
export function formatTraceparent({ traceId, spanId, flags }: TraceContext): string {
  return `00-${traceId}-${spanId}-${flags.toString(16).padStart(2, '0')}`
}

/** Makes the context of a child, or of a new trace. */
export function childContext(parent: TraceContext | undefined, isSampled: boolean): TraceContext {
  return {
    traceId: parent?.traceId ?? randomId(16),
    spanId: randomId(8),
    flags: ((parent?.flags ?? 0) & RANDOM) | (isSampled ? SAMPLED : 0),
  }
}

function randomId(bytes: number): string {
  const id = randomBytes(bytes).toString('hex')
  return ZEROS.test(id) ? randomId(bytes) : id
}
