/**
 * Reads request heads off a connection, strictly: what two parsers could read differently is
 * refused, because an intermediary that repairs a message decides for the hop behind it. The work is
 * split in three: {@link SectionScanner} finds the end and checks the bytes, the lines are parsed
 * from one latin1 text, and the deciding headers are read in one pass.
 */

import { type BodyFraming, NO_BODY } from './body-framing.ts'
import { isToken, isVisible } from './character-classes.ts'
import { connectionOptions } from './connection-options.ts'
import { HttpError } from './errors.ts'
import { equalsFolded } from './folded-text.ts'
import { KIND } from './header-kinds.ts'
import { type HeaderLines, parseHeaderLines } from './header-lines.ts'
import { type HostParts, parseHost } from './host.ts'
import { type HttpLimits, resolveHttpLimits } from './limits.ts'
import { framingOf, refuseRepetition } from './message-fields.ts'
import { originForm } from './request-target.ts'
import { type Section, SectionScanner } from './section-scanner.ts'
import { parseVersion } from './start-line.ts'
import { upgradeOf } from './upgrade.ts'

const EMPTY: Buffer = Buffer.alloc(0)

/** The words of a request line. */
interface RequestLine {
  readonly method: string
  readonly target: string
  readonly versionMinor: 0 | 1
}

/** A request head that passed every check. */
export class RequestHead {
  /** Method as sent; case matters. Never CONNECT. */
  readonly method: string
  /** Target in origin-form, path and query byte for byte as sent; `*` only for OPTIONS. */
  readonly target: string
  /** 0 for HTTP/1.0, 1 for HTTP/1.1. */
  readonly versionMinor: 0 | 1
  /** Value of the only Host header, in its letter case, port included; checked against the grammar. */
  readonly host: string
  /** How the body ends; never until-close. */
  readonly framing: BodyFraming
  /** Whether the visitor will send another request on this connection. */
  readonly keepAlive: boolean
  /** Protocols offered by a real upgrade request, as sent; undefined in every other request. */
  readonly upgrade: string | undefined
  /** Whether the visitor waits for 100 Continue before it sends the body. */
  readonly expectContinue: boolean
  readonly #lines: HeaderLines
  readonly #hostParts: HostParts

  /** @internal Takes over what {@link RequestHeadReader} read. */
  constructor(lines: HeaderLines, line: RequestLine) {
    const { method, versionMinor } = line
    refuseRepetition(lines, 'request')
    const host = lines.value(KIND.host)
    if (host === undefined) {
      throw new HttpError('request', 'HOST_MISSING', `${lines.ends.length - 1} headers`)
    }
    const hostParts = parseHost(host)
    if (hostParts === undefined) {
      throw new HttpError('request', 'HOST_INVALID', `${host.length} characters`)
    }
    this.method = method
    this.target = originForm(method, line.target, hostParts)
    this.versionMinor = versionMinor
    this.host = host
    this.framing = framingOf(lines, versionMinor, 'request') ?? NO_BODY
    const connection = connectionOptions(lines.joined(KIND.connection), versionMinor)
    this.keepAlive = connection.keepAlive
    this.upgrade = upgradeOf(lines.joined(KIND.upgrade), connection.upgrade, versionMinor)
    const expect = versionMinor === 1 ? lines.joined(KIND.expect) : undefined
    this.expectContinue = expect !== undefined && equalsFolded(expect, '100-continue')
    this.#lines = lines
    this.#hostParts = hostParts
  }

  /** Host taken apart. */
  get hostParts(): HostParts {
    return this.#hostParts
  }

  /**
   * Name, value, name, value; in order and letter case as sent, values without outer blanks. The
   * list is made when it is first asked for.
   */
  get headers(): readonly string[] {
    return this.#lines.list
  }

  /**
   * Returns the value of the first header of that name, or undefined.
   * @param lowerName - the name in lower case
   */
  header(lowerName: string): string | undefined {
    return this.#lines.named(lowerName)
  }

  /** Returns a head as it came, for rewriting it; the class itself is not exported by the package. */
  static linesOf(head: RequestHead): HeaderLines {
    return head.#lines
  }
}

/** What {@link RequestHeadReader.push} found. */
export interface RequestHeadResult {
  /** The head that ended in the chunk. */
  readonly head: RequestHead
  /** The bytes of the chunk behind the head, not copied; empty if there are none. */
  readonly rest: Buffer
}

/**
 * Reads the heads of one connection, one after another. After a head it is ready for the next one;
 * the caller takes the body out of the rest in between. After an error it must not be used again.
 */
export class RequestHeadReader {
  readonly #scanner: SectionScanner

  /** Checks the limits. @throws {RangeError} for a limit out of range */
  constructor(limits?: HttpLimits) {
    const { maxHeadBytes, maxHeaders } = resolveHttpLimits(limits)
    this.#scanner = new SectionScanner({
      side: 'request',
      maxBytes: maxHeadBytes,
      tooLarge: 'HEAD_TOO_LARGE',
      limitName: 'maxHeadBytes',
      maxLines: maxHeaders + 1,
      emptyFirst: 'skip-once',
    })
  }

  /** Bytes of a head that has begun and not ended: 0 says the connection is idle, not slow. */
  get heldBytes(): number {
    return this.#scanner.heldBytes
  }

  /**
   * Takes the next bytes; all of them are taken unless a head ends in them.
   * @returns the head and what follows it, undefined while the head goes on
   * @throws {HttpError} `HTTP_REQUEST_*` with status 400, 431, 501 or 505; answer and close
   */
  push(chunk: Buffer): RequestHeadResult | undefined {
    const section = this.#scanner.scan(chunk, 0)
    if (section === undefined) return undefined
    const head = parseRequestHead(section)
    const { end } = section
    return { head, rest: end === chunk.length ? EMPTY : chunk.subarray(end) }
  }

  /** Forgets a head that has begun. */
  reset(): void {
    this.#scanner.reset()
  }
}

function parseRequestHead(section: Section): RequestHead {
  const { text, firstLine } = section
  const lineEnd = section.lineEnds[0] ?? 0
  const methodEnd = text.indexOf(' ', firstLine)
  const targetEnd = methodEnd === -1 ? -1 : text.indexOf(' ', methodEnd + 1)
  if (methodEnd === -1 || methodEnd > lineEnd || targetEnd === -1 || targetEnd > lineEnd) {
    throw new HttpError('request', 'LINE_INVALID', 'not three words')
  }
  if (!isToken(text, firstLine, methodEnd)) {
    throw new HttpError('request', 'METHOD_INVALID', `${methodEnd - firstLine} characters`)
  }
  const versionMinor = parseVersion(text, targetEnd + 1, lineEnd, 'request')
  // Nearly all are one, and a string of its own for each would be hashed again for each question.
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
