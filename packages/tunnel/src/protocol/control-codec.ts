import type { ControlMessage } from './control-message.ts'
import { CONTROL_CHARACTER } from './routes.ts'
import { isAnswerStrictness } from './answer-strictness.ts'
import { limitNames, readLimits } from './endpoint-limits.ts'
import { isWeight } from './weight.ts'
import { isStreamReuse } from './stream-reuse.ts'
import { TunnelError } from '../errors.ts'

export const MAX_CONTROL_BYTES = 16_384

/** Longest text in a message, in UTF-16 code units. */
const MAX_TEXT_CHARS = 1024

/** Most URLs of one endpoint; a server announces one for each of its domains. */
const MAX_URLS = 16

/** Encodes one message with its length. */
export function encodeControlMessage(message: ControlMessage): Buffer {
  const body = Buffer.from(JSON.stringify(message))
  if (body.length > MAX_CONTROL_BYTES) {
    throw invalid(`control message of ${body.length} bytes exceeds ${MAX_CONTROL_BYTES}`)
  }
  const out = Buffer.allocUnsafe(2 + body.length)
  out.writeUInt16BE(body.length, 0)
  body.copy(out, 2)
  return out
}

/** Cuts the control stream into messages; keeps at most one unfinished message. */
export class ControlMessageReader {
  #buffered: Buffer = Buffer.alloc(0)

  /**
   * Takes the next bytes.
   *
   * @returns the messages that became whole; those of unknown type are left out.
   * @throws {TunnelError} TUNNEL_CONTROL_INVALID for anything that is not a message.
   */
  push(chunk: Buffer): ControlMessage[] {
    let bytes = this.#buffered.length === 0 ? chunk : Buffer.concat([this.#buffered, chunk])
    const messages: ControlMessage[] = []
    while (bytes.length >= 2) {
      const length = bytes.readUInt16BE(0)
      if (length > MAX_CONTROL_BYTES) {
        throw invalid(`control message announces ${length} bytes, limit ${MAX_CONTROL_BYTES}`)
      }
      if (bytes.length < 2 + length) break
      const message = parse(bytes.subarray(2, 2 + length))
      if (message !== undefined) messages.push(message)
      bytes = bytes.subarray(2 + length)
    }
    this.#buffered = Buffer.from(bytes) // a copy, so that a large chunk is not kept alive for its tail
    return messages
  }
}

function parse(body: Buffer): ControlMessage | undefined {
  let value: unknown
  try {
    value = JSON.parse(body.toString('utf8'))
  } catch (cause) {
    throw new TunnelError('TUNNEL_CONTROL_INVALID', 'control message is not JSON', { cause })
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalid('control message is not an object')
  }
  const fields = value as Record<string, unknown> // checked just above
  switch (fields['type']) {
    case 'hello':
      return { type: 'hello', software: text(fields, 'software'), peer: text(fields, 'peer') }
    case 'register': {
      const limits = readLimits(fields['limits'])
      return {
        type: 'register',
        id: count(fields, 'id'),
        endpoint: text(fields, 'endpoint'),
        kind: text(fields, 'kind'),
        ...('visitors' in fields && { visitors: object(fields, 'visitors') }),
        ...('port' in fields && { port: port(fields) }),
        ...(fields['exclusive'] === true && { exclusive: true }),
        // A value of a later version is left out: the server's own setting holds then.
        ...(isStreamReuse(fields['reuse']) && { reuse: fields['reuse'] }),
        ...(isAnswerStrictness(fields['strictness']) && { strictness: fields['strictness'] }),
        ...(isWeight(fields['weight']) && { weight: fields['weight'] }),
        ...(limits !== undefined && { limits }),
      }
    }
    case 'registered': {
      // They are shown to a person. One that is no text for that is left out, as one of another type is.
      const urls = Array.isArray(fields['urls'])
        ? fields['urls'].filter(isText).slice(0, MAX_URLS)
        : []
      return {
        type: 'registered',
        id: count(fields, 'id'),
        urls,
        ...(fields['visitors'] === true && { visitors: true }),
        ...('port' in fields && { port: port(fields) }),
        ...(fields['exclusive'] === true && { exclusive: true }),
        ...(Array.isArray(fields['limits']) && { limits: limitNames(fields['limits']) }),
        ...('others' in fields && { others: count(fields, 'others') }),
        ...('otherHosts' in fields && { otherHosts: count(fields, 'otherHosts') }),
      }
    }
    case 'shared':
      return {
        type: 'shared',
        endpoint: text(fields, 'endpoint'),
        others: count(fields, 'others'),
        otherHosts: count(fields, 'otherHosts'),
      }
    case 'refused':
      return {
        type: 'refused',
        id: count(fields, 'id'),
        code: text(fields, 'code'),
        message: text(fields, 'message'),
        ...('holder' in fields && { holder: text(fields, 'holder') }),
        ...('since' in fields && { since: text(fields, 'since') }),
        ...('retryAfterMs' in fields && { retryAfterMs: count(fields, 'retryAfterMs') }),
      }
    case 'malformed':
      return {
        type: 'malformed',
        endpoint: text(fields, 'endpoint'),
        requestId: text(fields, 'requestId'),
        code: text(fields, 'code'),
        message: text(fields, 'message'),
      }
    case 'health':
      return {
        type: 'health',
        endpoint: text(fields, 'endpoint'),
        isUp: flag(fields, 'isUp'),
      }
    case 'release':
      return { type: 'release', id: count(fields, 'id'), endpoint: text(fields, 'endpoint') }
    case 'released':
      return { type: 'released', id: count(fields, 'id') }
    case 'drain':
      return {
        type: 'drain',
        retryAfterMs: count(fields, 'retryAfterMs'),
        ...('longLivedMs' in fields && { longLivedMs: count(fields, 'longLivedMs') }),
      }
    case 'ended':
      return { type: 'ended', reason: text(fields, 'reason') }
    case 'query':
      return { type: 'query', id: count(fields, 'id'), endpoint: text(fields, 'endpoint') }
    case 'endpoint':
      return {
        type: 'endpoint',
        id: count(fields, 'id'),
        endpoint: text(fields, 'endpoint'),
        upstreams: count(fields, 'upstreams'),
        ...('agents' in fields && { agents: count(fields, 'agents') }),
        ...('outcome' in fields && { outcome: text(fields, 'outcome') }),
        ...('ageMs' in fields && { ageMs: count(fields, 'ageMs') }),
        ...(fields['permitted'] === false && { permitted: false }),
      }
    default:
      return undefined
  }
}

function text(fields: Record<string, unknown>, name: string): string {
  const value = fields[name]
  if (!isText(value)) throw invalid(`control message lacks a sound ${name}`)
  return value
}

function isText(value: unknown): value is string {
  return (
    typeof value === 'string' && value.length <= MAX_TEXT_CHARS && !CONTROL_CHARACTER.test(value)
  )
}

function object(fields: Record<string, unknown>, name: string): object {
  const value = fields[name]
  if (typeof value !== 'object' || value === null) {
    throw invalid(`control message lacks a sound ${name}`)
  }
  return value
}

function flag(fields: Record<string, unknown>, name: string): boolean {
  const value = fields[name]
  if (typeof value !== 'boolean') throw invalid(`control message lacks a sound ${name}`)
  return value
}

function count(fields: Record<string, unknown>, name: string): number {
  const value = fields[name]
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) {
    throw invalid(`control message lacks a sound ${name}`)
  }
  return value
}

function port(fields: Record<string, unknown>): number {
  const value = count(fields, 'port')
  if (value > 65_535) throw invalid('control message lacks a sound port')
  return value
}

function invalid(message: string): TunnelError {
  return new TunnelError('TUNNEL_CONTROL_INVALID', message)
}
