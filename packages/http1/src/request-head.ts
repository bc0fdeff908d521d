/**
 * Reads request heads from a connection. A head that two parsers could read differently is rejected
 * and never repaired: the next hop may not agree with the repair. The work has three steps:
 * {@link SectionScanner} finds the end and checks the bytes, the lines are parsed from one latin1
 * text, and then the headers are read that decide how the message is handled.
 */

import { equalsIgnoreCase, isToken, isVisible } from './ascii.ts'
import { type BodyFraming, framingOf, NO_BODY } from './body-framing.ts'
import { connectionOptions, upgradeOf } from './connection-header.ts'
import { HttpError } from './errors.ts'
import { parseVersion, rejectRepeatedHeaders } from './head-rules.ts'
import { KIND } from './header-kinds.ts'
import { type HeaderLines, parseHeaderLines } from './header-lines.ts'
import { type HostParts, NO_HOST, parseHost } from './host.ts'
import type { HttpLimits } from './limits.ts'
import { authorityOf, originForm } from './request-target.ts'
import { type HeadResult, headRules, type Section, SectionScanner } from './section-scanner.ts'

const EMPTY: Buffer = Buffer.alloc(0)

/** The parts of a request line. */
interface RequestLine {
  readonly method: string
  readonly target: string
  readonly versionMinor: 0 | 1
}

/** A request head that passed all checks. */
export class RequestHead {
  /** Method as sent; case is significant. Never CONNECT. */
  readonly method: string
  /** Target in origin-form, path and query byte for byte as sent; `*` only for OPTIONS. */
  readonly target: string
  /** 0 for HTTP/1.0, 1 for HTTP/1.1. */
  readonly versionMinor: 0 | 1
  /**
   * Value of the Host header as sent, with its port; checked against the grammar. For an HTTP/1.0 request without
   * one that of an absolute target, else empty.
   */
  readonly host: string
  /** How the end of the body is found; never until-close. */
  readonly framing: BodyFraming
  /**
   * Whether the connection can carry another request. Never after a request that is `unframed`: what follows
   * may be its body.
   */
  readonly keepAlive: boolean
  /**
   * A POST, PUT or PATCH with neither Content-Length nor Transfer-Encoding. It has no body (RFC 9112 section
   * 6.3); a client that sends one all the same gets 411 (RFC 9110 section 15.5.12).
   */
  readonly unframed: boolean
  /** Protocols that an upgrade request offers, as sent; undefined in every other request. */
  readonly upgrade: string | undefined
  /** Whether the visitor waits for 100 Continue before it sends the body. */
  readonly expectContinue: boolean
  readonly #lines: HeaderLines
  readonly #hostParts: HostParts

  /** @internal Made by {@link RequestHeadReader}. */
  constructor(lines: HeaderLines, line: RequestLine) {
    const { method, versionMinor } = line
    rejectRepeatedHeaders(lines, 'request')
    const sent = lines.value(KIND.host)
    if (sent === undefined && versionMinor === 1) {
      throw new HttpError('request', 'HOST_MISSING', `${lines.ends.length - 1} headers`)
    }
    // RFC 9112 section 3.2: HTTP/1.0 has no Host; an absolute target says the same.
    const host = sent ?? authorityOf(line.target)
    const hostParts = sent === undefined && host === '' ? NO_HOST : parseHost(host)
    if (hostParts === undefined) {
      throw new HttpError('request', 'HOST_INVALID', `${host.length} characters`)
    }
    this.method = method
    this.target = originForm(method, line.target, hostParts)
    this.versionMinor = versionMinor
    this.host = host
    this.framing = framingOf(lines, versionMinor, 'request') ?? NO_BODY
    this.unframed = this.framing.kind === 'none' && hasBodyMostly(method)
    const connection = connectionOptions(lines.joined(KIND.connection), versionMinor)
    this.keepAlive = connection.keepAlive && !this.unframed
    this.upgrade = upgradeOf(lines.joined(KIND.upgrade), connection.upgrade, versionMinor)
    const expect = versionMinor === 1 ? lines.joined(KIND.expect) : undefined
    this.expectContinue = expect !== undefined && equalsIgnoreCase(expect, '100-continue')
    this.#lines = lines
    this.#hostParts = hostParts
  }

  /** The parts of Host. */
  get hostParts(): HostParts {
    return this.#hostParts
  }

  /**
   * Name, value, name, value; in the order and case they were sent in, values without outer blanks.
   * The list is made at the first use.
   */
  get headers(): readonly string[] {
    return this.#lines.list
  }

  /**
   * Returns the value of the first header of a name, or undefined.
   * @param lowerName - the name in lower case
   */
  header(lowerName: string): string | undefined {
    return this.#lines.named(lowerName)
  }

  /** Returns the lines of a head, for rewriting. The package does not export the class itself. */
  static linesOf(head: RequestHead): HeaderLines {
    return head.#lines
  }
}

/** What {@link RequestHeadReader.push} found. */
export type RequestHeadResult = HeadResult<RequestHead>

/**
 * Reads the heads of one connection, one after another. After a head it is ready for the next one;
 * the caller reads the body in between. After an error the reader must not be used again.
 */
export class RequestHeadReader {
  readonly #scanner: SectionScanner

  /** Checks the limits. @throws {RangeError} for a limit out of range */
  constructor(limits?: HttpLimits) {
    this.#scanner = new SectionScanner(headRules('request', 'skip', limits))
  }

  /** Bytes of an unfinished head; 0 between heads, so that an idle connection differs from a slow one. */
  get heldBytes(): number {
    return this.#scanner.heldBytes
  }

  /**
   * Takes the next bytes; all of them, unless a head ends in them.
   * @returns the head and the bytes after it; undefined while the head is unfinished
   * @throws {HttpError} `HTTP_REQUEST_*` with status 400, 431, 501 or 505; send that status and close
   */
  push(chunk: Buffer): RequestHeadResult | undefined {
    const section = this.#scanner.scan(chunk, 0)
    if (section === undefined) return undefined
    const head = parseRequestHead(section)
    const { end } = section
    return { head, rest: end === chunk.length ? EMPTY : chunk.subarray(end) }
  }

  /** Drops an unfinished head. */
  reset(): void {
    this.#scanner.reset()
  }
}

function hasBodyMostly(method: string): boolean {
  return method === 'POST' || method === 'PUT' || method === 'PATCH'
}

function parseRequestHead(section: Section): RequestHead {
  const { text, firstLine } = section
  const lineEnd = section.lineEnds[0] ?? 0
  const methodEnd = text.indexOf(' ', firstLine)
  const targetEnd = methodEnd === -1 ? -1 : text.indexOf(' ', methodEnd + 1)
  if (methodEnd === -1 || methodEnd > lineEnd || targetEnd === -1 || targetEnd > lineEnd) {
    throw new HttpError('request', 'LINE_INVALID', 'not three parts')
  }
  if (!isToken(text, firstLine, methodEnd)) {
    throw new HttpError('request', 'METHOD_INVALID', `${methodEnd - firstLine} characters`)
  }
  const versionMinor = parseVersion(text, targetEnd + 1, lineEnd, 'request')
  // Most requests are GET. The shared constant is hashed once; a new string would be hashed again.
  const isGet = text.startsWith('GET ', firstLine)
  const method = isGet ? 'GET' : text.slice(firstLine, methodEnd)
  if (method === 'CONNECT') throw new HttpError('request', 'METHOD_UNSUPPORTED', 'no forward proxy')
  if (!isVisible(text, methodEnd + 1, targetEnd)) {
    throw new HttpError('request', 'TARGET_INVALID', `${targetEnd - methodEnd - 1} characters`)
  }
  const lines = parseHeaderLines(section, 1, 'request')
  const target = text.slice(methodEnd + 1, targetEnd)
  return new RequestHead(lines, { method, target, versionMinor })
}
