import type { BodyFraming } from '../src/body-framing.ts'
import { createBodyReader } from '../src/body-reader.ts'
import { HttpError, type HttpFault, type HttpSide } from '../src/errors.ts'
import type { HttpLimits } from '../src/limits.ts'
import { type RequestHead, RequestHeadReader } from '../src/request-head.ts'
import { type RequestContext, type ResponseHead, ResponseHeadReader } from '../src/response-head.ts'

const GET: RequestContext = { method: 'GET' }

/** Turns text into bytes, one per character. */
export function bytesOf(text: string): Buffer {
  return Buffer.from(text, 'latin1')
}

/** Cuts bytes into chunks of one byte. */
export function singleBytes(bytes: Buffer): Buffer[] {
  return Array.from(bytes, (_, at) => bytes.subarray(at, at + 1))
}

/** Result of reading chunks: a value with the number of bytes it used, or a fault; undefined if unfinished. */
export type Outcome<T> =
  | { readonly value: T; readonly taken: number }
  | { readonly fault: HttpFault; readonly side: HttpSide; readonly status: number }
  | undefined

/** Reads one request head from chunks; undefined if it does not end. Throws every error that is not an HttpError. */
export function readRequest(chunks: readonly Buffer[], limits?: HttpLimits): Outcome<RequestHead> {
  const reader = new RequestHeadReader(limits)
  return readHead(chunks, (chunk) => reader.push(chunk))
}

/** Reads one response head from chunks. */
export function readResponse(
  chunks: readonly Buffer[],
  request: RequestContext = GET,
  limits?: HttpLimits,
): Outcome<ResponseHead> {
  const reader = new ResponseHeadReader(limits)
  return readHead(chunks, (chunk) => reader.push(chunk, request))
}

/** Returns the headers of a head in text form: name, value, name, value. */
export function headersIn(head: string): string[] {
  const [, ...lines] = head.slice(0, -'\r\n\r\n'.length).split('\r\n')
  return lines.flatMap((line) => {
    const [name = ''] = line.split(': ', 1)
    return [name, line.slice(name.length + 2)]
  })
}

/** Returns an outcome whose head is the result of {@link withHeaders}. */
export function comparable<T extends RequestHead | ResponseHead | string>(
  outcome: Outcome<T>,
): unknown {
  if (outcome === undefined || 'fault' in outcome || typeof outcome.value === 'string') {
    return outcome
  }
  return { ...outcome, value: withHeaders(outcome.value) }
}

/** Returns a head with the values of its getters as properties, for comparison. */
export function withHeaders(head: RequestHead | ResponseHead | undefined): unknown {
  if (head === undefined) return undefined
  const reason = 'reason' in head ? { reason: head.reason } : {}
  return Object.assign({}, head, reason, { headers: head.headers })
}

/** Reads one body from chunks and returns its payload; undefined if it does not end. */
export function readBody(
  chunks: readonly Buffer[],
  framing: BodyFraming = { kind: 'chunked' },
  side: HttpSide = 'request',
  limits?: HttpLimits,
): Outcome<string> {
  const reader = createBodyReader(framing, side, limits)
  const pieces: Buffer[] = []
  let taken = 0
  return orFault(() => {
    for (const chunk of chunks) {
      const end = reader.scan(chunk, 0, (piece) => pieces.push(piece))
      taken += end
      if (reader.done) return { value: Buffer.concat(pieces).toString('latin1'), taken }
      if (end !== chunk.length) throw new Error('bytes left over before the end')
    }
    return undefined
  })
}

function readHead<T>(
  chunks: readonly Buffer[],
  push: (chunk: Buffer) => { readonly head: T; readonly rest: Buffer } | undefined,
): Outcome<T> {
  let taken = 0
  return orFault(() => {
    for (const chunk of chunks) {
      const result = push(chunk)
      taken += chunk.length
      if (result !== undefined) return { value: result.head, taken: taken - result.rest.length }
    }
    return undefined
  })
}

function orFault<T>(read: () => Outcome<T>): Outcome<T> {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof HttpError)) throw error
    return { fault: error.fault, side: error.side, status: error.status }
  }
}
