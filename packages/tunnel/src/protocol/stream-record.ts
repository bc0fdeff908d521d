import { TunnelError } from '../errors.ts'

/**
 * The record that opens every stream between our own peers (docs/protocol.md, "Stream record").
 *
 *     length  u16  bytes that follow, at most MAX_RECORD_BYTES
 *     field*       type u8, length u16, value
 *
 * Fields of unknown type are skipped, so that a later version may add some. It costs no round trip:
 * it travels in the same batch as the stream's first bytes.
 *
 * Table: the kinds and fields; docs/protocol.md prints it, a test compares them.
 */
export interface StreamRecord {
  /** What the stream carries. */
  readonly kind: 'control' | 'http' | 'tcp'
  /** Endpoint addressed; empty on the control stream. */
  readonly endpoint: string
  /** Visitor's address as text without a zone, where known. For kind `http`, that of the first request. */
  readonly visitorAddress?: string
  /** Port of the visitor, 1 to 65535. */
  readonly visitorPort?: number
  /** TLS version and server name of the visitor's connection, `TLSv1.3 name`, absent when plain. */
  readonly visitorTls?: string
  /** Identifier that logs of every hop share. */
  readonly requestId?: string
  /** Only between the nodes of a cluster. */
  readonly hop?: StreamHop
}

/** What a node tells another of a stream that it passes on to it. Read on links between nodes alone. */
export interface StreamHop {
  /** Tenant of the endpoint; empty for none. */
  readonly tenant: string
  /** Links the stream has passed with this one, 1 to 255. */
  readonly hops: number
  /** Epoch of the endpoint's name as the sender knows it, 0 to 2^53 - 1. */
  readonly epoch: number
  /** Id of the node that the visitor came to. */
  readonly node: string
  /** Digests of the rules by which the visitor was checked, RULE_DIGEST_BYTES each. */
  readonly rules: Buffer
  /** Key of the agent that the visitor is bound to; absent: any of the node may have the stream. */
  readonly agent?: string
}

/** Length of the digest of a rule for visitors. */
export const RULE_DIGEST_BYTES = 8

/** Longest record body: names are short; 4 KiB leaves room for fields of later versions. */
export const MAX_RECORD_BYTES = 4096

/** What a stream can carry; the index is the number on the wire. */
export const RECORD_KINDS = ['control', 'http', 'tcp'] as const
/** Field types; numbers of a later version are skipped. */
export const RECORD_FIELDS = {
  kind: 1,
  endpoint: 2,
  visitorAddress: 3,
  visitorPort: 4,
  visitorTls: 5,
  requestId: 6,
  tenant: 7,
  hops: 8,
  epoch: 9,
  node: 10,
  rules: 11,
  agent: 12,
} as const

/**
 * Encodes a record.
 *
 * @throws {TunnelError} TUNNEL_RECORD_INVALID when it would exceed MAX_RECORD_BYTES.
 */
export function encodeStreamRecord(record: StreamRecord): Buffer {
  const fields: [number, Buffer][] = [
    [RECORD_FIELDS.kind, Buffer.of(RECORD_KINDS.indexOf(record.kind))],
  ]
  const text = (type: number, value: string | undefined): void => {
    if (value !== undefined && value !== '') fields.push([type, Buffer.from(value)])
  }
  text(RECORD_FIELDS.endpoint, record.endpoint)
  text(RECORD_FIELDS.visitorAddress, record.visitorAddress)
  if (record.visitorPort !== undefined) {
    const { visitorPort } = record
    fields.push([RECORD_FIELDS.visitorPort, Buffer.of(visitorPort >> 8, visitorPort & 0xff)])
  }
  text(RECORD_FIELDS.visitorTls, record.visitorTls)
  text(RECORD_FIELDS.requestId, record.requestId)
  const { hop } = record
  if (hop !== undefined) {
    text(RECORD_FIELDS.tenant, hop.tenant)
    fields.push([RECORD_FIELDS.hops, Buffer.of(hop.hops)])
    const epoch = Buffer.alloc(8)
    epoch.writeBigUInt64BE(BigInt(hop.epoch))
    fields.push([RECORD_FIELDS.epoch, epoch])
    text(RECORD_FIELDS.node, hop.node)
    if (hop.rules.length > 0) fields.push([RECORD_FIELDS.rules, hop.rules])
    text(RECORD_FIELDS.agent, hop.agent)
  }
  const bytes = fields.reduce((sum, [, value]) => sum + 3 + value.length, 0)
  if (bytes > MAX_RECORD_BYTES) {
    throw invalid(`stream record of ${bytes} bytes exceeds ${MAX_RECORD_BYTES}`)
  }
  const out = Buffer.allocUnsafe(2 + bytes)
  let at = out.writeUInt16BE(bytes, 0)
  for (const [type, value] of fields) {
    at = out.writeUInt8(type, at)
    at = out.writeUInt16BE(value.length, at)
    at += value.copy(out, at)
  }
  return out
}

/**
 * Collects the record at the head of a stream. Bytes are kept only until the record is whole, so at
 * most MAX_RECORD_BYTES + 2 of them.
 */
export class StreamRecordReader {
  readonly #isLink: boolean
  #buffered: Buffer | undefined

  /** @param isLink - whether the peer is a node: the fields of `hop` are skipped otherwise. Default false. */
  constructor(isLink = false) {
    this.#isLink = isLink
  }

  /**
   * Takes the next bytes of the stream.
   *
   * @returns the record and what follows it, or undefined while more is needed.
   * @throws {TunnelError} TUNNEL_RECORD_INVALID for a record out of form or out of bounds.
   */
  push(chunk: Buffer): { record: StreamRecord; rest: Buffer } | undefined {
    const bytes = this.#buffered === undefined ? chunk : Buffer.concat([this.#buffered, chunk])
    if (bytes.length >= 2) {
      const length = bytes.readUInt16BE(0)
      if (length > MAX_RECORD_BYTES) {
        throw invalid(`stream record announces ${length} bytes, limit ${MAX_RECORD_BYTES}`)
      }
      if (bytes.length >= 2 + length) {
        this.#buffered = undefined
        const record = decode(bytes.subarray(2, 2 + length), this.#isLink)
        return { record, rest: bytes.subarray(2 + length) }
      }
    }
    this.#buffered = bytes
    return undefined
  }
}

type Mutable<T> = { -readonly [K in keyof T]?: T[K] }

function decode(body: Buffer, isLink: boolean): StreamRecord {
  let kind: StreamRecord['kind'] | undefined
  const record: Mutable<StreamRecord> = {}
  let hop: Mutable<StreamHop> | undefined
  for (let at = 0; at < body.length;) {
    if (at + 3 > body.length) throw invalid('stream record ends inside a field header')
    const type = body.readUInt8(at)
    const end = at + 3 + body.readUInt16BE(at + 1)
    if (end > body.length) throw invalid(`field ${type} of the stream record is cut short`)
    const value = body.subarray(at + 3, end)
    if (type === RECORD_FIELDS.kind) kind = kindOf(value)
    else if (type === RECORD_FIELDS.endpoint) record.endpoint = text(value, type)
    else if (type === RECORD_FIELDS.visitorAddress) record.visitorAddress = text(value, type)
    else if (type === RECORD_FIELDS.visitorPort) record.visitorPort = port(value)
    else if (type === RECORD_FIELDS.visitorTls) record.visitorTls = text(value, type)
    else if (type === RECORD_FIELDS.requestId) record.requestId = text(value, type)
    else if (isLink && type <= RECORD_FIELDS.agent) decodeHop((hop ??= {}), type, value)
    at = end
  }
  if (kind === undefined) throw invalid('stream record names no kind this version knows')
  if (kind !== 'control' && !record.endpoint) throw invalid('stream record names no endpoint')
  const decoded = { ...record, kind, endpoint: record.endpoint ?? '' }
  return hop === undefined ? decoded : { ...decoded, hop: wholeHop(hop) }
}

function decodeHop(hop: Mutable<StreamHop>, type: number, value: Buffer): void {
  if (type === RECORD_FIELDS.tenant) hop.tenant = text(value, type)
  else if (type === RECORD_FIELDS.hops) hop.hops = value.length === 1 ? value.readUInt8(0) : 0
  else if (type === RECORD_FIELDS.epoch) hop.epoch = epochOf(value)
  else if (type === RECORD_FIELDS.node) hop.node = text(value, type)
  else if (type === RECORD_FIELDS.rules) hop.rules = Buffer.from(value) // the chunk may be lent
  else if (type === RECORD_FIELDS.agent) hop.agent = text(value, type)
}

function wholeHop(hop: Mutable<StreamHop>): StreamHop {
  const { tenant = '', hops, epoch, node, rules = Buffer.alloc(0), agent } = hop
  if (!hops || epoch === undefined || !node || rules.length % RULE_DIGEST_BYTES !== 0) {
    throw invalid('stream record of a node is incomplete')
  }
  return { tenant, hops, epoch, node, rules, ...(agent !== undefined && { agent }) }
}

function epochOf(value: Buffer): number {
  const epoch = value.length === 8 ? Number(value.readBigUInt64BE(0)) : Number.NaN
  if (!Number.isSafeInteger(epoch)) throw invalid('the epoch of a stream record is out of range')
  return epoch
}

function kindOf(value: Buffer): StreamRecord['kind'] | undefined {
  return value.length === 1 ? RECORD_KINDS[value.readUInt8(0)] : undefined
}

function port(value: Buffer): number {
  if (value.length !== 2) throw invalid(`the visitor's port has ${value.length} bytes, not 2`)
  return value.readUInt16BE(0)
}

function text(value: Buffer, type: number): string {
  // Control bytes would end up in logs and headers of both sides.
  for (const byte of value) {
    if (byte < 0x20 || byte === 0x7f) throw invalid(`field ${type} holds a control byte`)
  }
  return value.toString('utf8')
}

function invalid(message: string): TunnelError {
  return new TunnelError('TUNNEL_RECORD_INVALID', message)
}
