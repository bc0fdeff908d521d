/**
 * Reads response heads off a connection to a service, as strictly as requests: a service may be
 * hostile to the other services behind the same edge, and a response that ends elsewhere than its
 * reader thinks becomes the answer to somebody else's request. How the body ends depends on the
 * request, so each push names it (RFC 9112 section 6.3).
 */

import { type BodyFraming, NO_BODY, UNTIL_CLOSE_BODY } from './body-framing.ts'
import { decimalOf } from './character-classes.ts'
import { connectionOptions } from './connection-options.ts'
import { HttpError } from './errors.ts'
import { KIND } from './header-kinds.ts'
import { type HeaderLines, parseHeaderLines } from './header-lines.ts'
import { type HttpLimits, resolveHttpLimits } from './limits.ts'
import { framingOf, refuseRepetition } from './message-fields.ts'
import { type Section, SectionScanner } from './section-scanner.ts'
import { parseVersion } from './start-line.ts'

const EMPTY: Buffer = Buffer.alloc(0)
const SPACE = 0x20
// Behind "HTTP/1.1 200 ".
const REASON_START = 13

/** The parts of a status line. */
interface StatusLine {
  readonly versionMinor: 0 | 1
  readonly status: number
}

/** A response head that passed every check. */
export class ResponseHead {
  /** Status, 100 to 999. */
  readonly status: number
  /** 0 for HTTP/1.0, 1 for HTTP/1.1. */
  readonly versionMinor: 0 | 1
  /** How the body ends; none for HEAD, 1xx, 204 and 304 whatever the headers say. */
  readonly framing: BodyFraming
  /** Whether the connection to the service can carry another request after this response. */
  readonly keepAlive: boolean
  /** The protocol switched to by a 101, empty if it names none; undefined in every other response. */
  readonly upgrade: string | undefined
  readonly #lines: HeaderLines

  /** @internal Takes over what {@link ResponseHeadReader} read. */
  constructor(lines: HeaderLines, { status, versionMinor }: StatusLine, request: RequestContext) {
    refuseRepetition(lines, 'response')
    const declared = framingOf(lines, versionMinor, 'response')
    const connection = connectionOptions(lines.joined(KIND.connection), versionMinor)
    if (status === 101 && request.upgrade === undefined) {
      throw new HttpError('response', 'UPGRADE_UNEXPECTED', 'status 101')
    }
    this.status = status
    this.versionMinor = versionMinor
    this.framing = bodyFraming(status, request.method, declared)
    this.keepAlive = connection.keepAlive && isReusable(status, this.framing, declared)
    this.upgrade = status === 101 ? (lines.joined(KIND.upgrade) ?? '') : undefined
    this.#lines = lines
  }

  /** Reason phrase, one character per byte; may be empty. */
  get reason(): string {
    return this.#lines.text.slice(REASON_START, Math.max(REASON_START, this.#lines.ends[0] ?? 0))
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
  static linesOf(head: ResponseHead): HeaderLines {
    return head.#lines
  }
}

/** What the reading of a response depends on; a {@link RequestHead} fits. */
export interface RequestContext {
  /** Method of the request this answers. */
  readonly method: string
  /** Protocols the request offered; undefined refuses a 101. */
  readonly upgrade?: string | undefined
}

/** What {@link ResponseHeadReader.push} found. */
export interface ResponseHeadResult {
  /** The head that ended in the chunk. */
  readonly head: ResponseHead
  /** The bytes of the chunk behind the head, not copied; empty if there are none. */
  readonly rest: Buffer
}

/**
 * Reads the response heads of one connection, one after another, interim ones (1xx) included. After
 * an error it must not be used again.
 */
export class ResponseHeadReader {
  readonly #scanner: SectionScanner

  /** Checks the limits. @throws {RangeError} for a limit out of range */
  constructor(limits?: HttpLimits) {
    const { maxHeadBytes, maxHeaders } = resolveHttpLimits(limits)
    this.#scanner = new SectionScanner({
      side: 'response',
      maxBytes: maxHeadBytes,
      tooLarge: 'HEAD_TOO_LARGE',
      limitName: 'maxHeadBytes',
      maxLines: maxHeaders + 1,
      emptyFirst: 'refuse',
    })
  }

  /** Bytes of a head that has begun and not ended. */
  get heldBytes(): number {
    return this.#scanner.heldBytes
  }

  /**
   * Takes the next bytes; all of them are taken unless a head ends in them.
   * @param request - the request that is being answered
   * @returns the head and what follows it, undefined while the head goes on
   * @throws {HttpError} `HTTP_RESPONSE_*` with status 502; answer that and close both ways
   */
  push(chunk: Buffer, request: RequestContext): ResponseHeadResult | undefined {
    const section = this.#scanner.scan(chunk, 0)
    if (section === undefined) return undefined
    const head = parseResponseHead(section, request)
    const { end } = section
    return { head, rest: end === chunk.length ? EMPTY : chunk.subarray(end) }
  }

  /** Forgets a head that has begun. */
  reset(): void {
    this.#scanner.reset()
  }
}

/** Tells whether a status announces that the final response is still to come: 1xx but for 101. */
export function isInterim(status: number): boolean {
  return status < 200 && status !== 101
}

function parseResponseHead(section: Section, request: RequestContext): ResponseHead {
  const { text } = section
  const lineEnd = section.lineEnds[0] ?? 0
  const space = text.indexOf(' ')
  const versionEnd = space === -1 || space > lineEnd ? lineEnd : space
  const versionMinor = parseVersion(text, 0, versionEnd, 'response')
  const status = parseStatus(text, versionEnd + 1, lineEnd)
  const lines = parseHeaderLines(section, 1, 'response')
  return new ResponseHead(lines, { status, versionMinor }, request)
}

/** Reads three digits and what may follow them. Services that leave out the last space are many. */
function parseStatus(text: string, start: number, lineEnd: number): number {
  const end = start + 3
  const status = end <= lineEnd ? decimalOf(text, start, end) : undefined
  const hasEnd = end === lineEnd || text.charCodeAt(end) === SPACE
  if (status === undefined || status < 100 || !hasEnd) {
    throw new HttpError('response', 'LINE_INVALID', 'no status in its place')
  }
  return status
}

function bodyFraming(
  status: number,
  method: string,
  declared: BodyFraming | undefined,
): BodyFraming {
  if (method === 'HEAD' || status < 200 || status === 204 || status === 304) return NO_BODY
  return declared ?? UNTIL_CLOSE_BODY
}

/**
 * A service that declares a body where there can be none (1xx, 204) may send it all the same: the
 * head is still good, the connection is not.
 */
function isReusable(
  status: number,
  framing: BodyFraming,
  declared: BodyFraming | undefined,
): boolean {
  if (framing.kind === 'until-close' || status === 101) return false
  if (status >= 200 && status !== 204) return true
  return declared === undefined || (declared.kind === 'length' && declared.bytes === 0)
}
