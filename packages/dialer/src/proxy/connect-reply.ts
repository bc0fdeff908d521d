import type { Parsed } from './byte-reader.ts'

/** Head of the reply of a proxy to CONNECT. */
export interface ReplyHead {
  /** `0` or `1`, as in HTTP/1.0 and HTTP/1.1. */
  readonly versionMinor: number
  readonly status: number
  readonly reason: string
  /** Field lines by lower-case name, in order. */
  readonly fields: ReadonlyMap<string, readonly string[]>
}

/** Most bytes in the heads of one reply, with 1xx ones; the default of squid is 64 KiB. */
export const MAX_REPLY_HEAD_BYTES: number = 16 * 1024

/**
 * Parses the head of a reply and skips interim ones (1xx). Lines that end in LF alone are accepted,
 * because some proxies write them and RFC 9112 section 2.2 allows it.
 * @returns undefined while bytes are missing
 * @throws {SyntaxError} for bytes that are not HTTP/1
 */
export function parseReplyHead(bytes: Buffer): Parsed<ReplyHead> | undefined {
  let start = 0
  for (;;) {
    const end = headEnd(bytes, start)
    // The first bytes show another protocol, so there is no wait until the timeout.
    if (!looksLikeHttp(bytes.subarray(start, start + 5).toString('latin1'))) {
      throw new SyntaxError('not an HTTP response')
    }
    if (end === undefined) return undefined
    const head = parseHead(bytes.subarray(start, end).toString('latin1'))
    if (head.status >= 200) return { value: head, used: end }
    start = end
  }
}

function headEnd(bytes: Buffer, start: number): number | undefined {
  for (let at = bytes.indexOf(0x0a, start); at >= 0; at = bytes.indexOf(0x0a, at + 1)) {
    if (bytes[at + 1] === 0x0a) return at + 2
    if (bytes[at + 1] === 0x0d && bytes[at + 2] === 0x0a) return at + 3
  }
  return undefined
}

function looksLikeHttp(start: string): boolean {
  return 'HTTP/'.startsWith(start.toUpperCase())
}

function parseHead(text: string): ReplyHead {
  const [statusLine = '', ...lines] = text.split(/\r?\n/)
  const match = /^HTTP\/1\.(\d) (\d{3})(?: (.*))?$/i.exec(statusLine)
  if (match === null) throw new SyntaxError('not an HTTP/1 status line')
  const fields = new Map<string, string[]>()
  for (const line of lines) {
    const colon = line.indexOf(':')
    if (colon <= 0) continue
    const name = line.slice(0, colon).trim().toLowerCase()
    const list = fields.get(name) ?? []
    list.push(line.slice(colon + 1).trim())
    fields.set(name, list)
  }
  return {
    versionMinor: Number(match[1]),
    status: Number(match[2]),
    reason: (match[3] ?? '').replaceAll(/[^\x20-\x7e]/g, '').slice(0, 100),
    fields,
  }
}
