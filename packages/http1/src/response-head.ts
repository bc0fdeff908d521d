/**
 * Reads response heads from a connection to a service. A service may attack the other services behind
 * the same edge, and bytes after a wrongly found end would become the response to another visitor's
 * request: so a head is read as strictly as a request, or repaired where it has one reading, and then
 * nothing else is read from the connection. The strict reader comes first, so that a valid head costs no
 * more; only one with a fault is read again by {@link LooseSection} and repaired. The framing of the body
 * depends on the request, so each push gets the request (RFC 9112 section 6.3).
 */

import { parseDecimal } from './ascii.ts'
import {
  type BodyFraming,
  framingOf,
  hasNoBody,
  NO_BODY,
  UNTIL_CLOSE_BODY,
} from './body-framing.ts'
import { connectionOptions } from './connection-header.ts'
import { HttpError, type HttpFault } from './errors.ts'
import { parseVersion, rejectRepeatedHeaders } from './head-rules.ts'
import { KIND } from './header-kinds.ts'
import { type HeaderLines, parseHeaderLines } from './header-lines.ts'
import type { HttpLimits } from './limits.ts'
import { LooseSection, strictSection } from './loose-section.ts'
import { repairHead, type Strictness } from './repair-lines.ts'
import {
  type HeadResult,
  headRules,
  type Section,
  type SectionRules,
  SectionScanner,
} from './section-scanner.ts'

const EMPTY: Buffer = Buffer.alloc(0)
const SPACE = 0x20
// After "HTTP/1.1 200 ".
const REASON_START = 13

/** The parts of a status line. */
interface StatusLine {
  readonly versionMinor: 0 | 1
  readonly status: number
}

/** A response head that passed all checks. */
export class ResponseHead {
  /** Status, 100 to 999. */
  readonly status: number
  /** 0 for HTTP/1.0, 1 for HTTP/1.1. */
  readonly versionMinor: 0 | 1
  /** How the end of the body is found; always none for HEAD, 1xx, 204 and 304. */
  readonly framing: BodyFraming
  /** The first fault that was repaired, or undefined; see {@link Strictness}. */
  readonly repaired: HttpFault | undefined
  /** Whether the connection to the service can carry another request after this response. */
  readonly keepAlive: boolean
  /** The new protocol of a 101, empty if it names none; undefined in every other response. */
  readonly upgrade: string | undefined
  readonly #lines: HeaderLines

  /** @internal Made by {@link ResponseHeadReader}. */
  constructor(
    lines: HeaderLines,
    { status, versionMinor }: StatusLine,
    request: RequestContext,
    isLast: boolean,
    repaired: HttpFault | undefined,
  ) {
    rejectRepeatedHeaders(lines, 'response')
    const declared = framingOf(lines, versionMinor, 'response')
    const connection = connectionOptions(lines.joined(KIND.connection), versionMinor)
    if (status === 101 && request.upgrade === undefined) {
      throw new HttpError('response', 'UPGRADE_UNEXPECTED', 'status 101')
    }
    this.status = status
    this.versionMinor = versionMinor
    this.framing = bodyFraming(status, request.method, declared)
    this.repaired = repaired
    this.keepAlive = connection.keepAlive && !isLast && isReusable(status, this.framing, declared)
    this.upgrade = status === 101 ? (lines.joined(KIND.upgrade) ?? '') : undefined
    this.#lines = lines
  }

  /** Reason phrase, one character per byte; may be empty. */
  get reason(): string {
    return this.#lines.text.slice(REASON_START, Math.max(REASON_START, this.#lines.ends[0] ?? 0))
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
  static linesOf(head: ResponseHead): HeaderLines {
    return head.#lines
  }
}

/** The part of a request that a response depends on; a {@link RequestHead} fits. */
export interface RequestContext {
  /** Method of the request. */
  readonly method: string
  /** Protocols that the request offered; with undefined a 101 is rejected. */
  readonly upgrade?: string | undefined
}

/** What {@link ResponseHeadReader.push} found. */
export type ResponseHeadResult = HeadResult<ResponseHead>

/**
 * Reads the response heads of one connection, one after another, including interim ones (1xx). After
 * an error the reader must not be used again.
 */
export class ResponseHeadReader {
  readonly #rules: SectionRules
  readonly #scanner: SectionScanner
  /** A head with a fault, up to its end. */
  #loose: LooseSection | undefined
  /** The fault that the head has; the first one. */
  #fault: HttpFault | undefined
  /** A head was repaired: the connection carries no other request. */
  #isLast = false

  /** Checks the limits. @throws {RangeError} for a limit out of range */
  constructor(limits?: HttpLimits) {
    this.#rules = headRules('response', 'reject', limits)
    this.#scanner = new SectionScanner(this.#rules)
  }

  /** Bytes of an unfinished head. */
  get heldBytes(): number {
    return this.#loose?.heldBytes ?? this.#scanner.heldBytes
  }

  /**
   * Takes the next bytes; all of them, unless a head ends in them.
   * @param request - the request that this responds to
   * @param strictness - whether faults with one reading are repaired; the same for all parts of a head
   * @returns the head and the bytes after it; undefined while the head is unfinished
   * @throws {HttpError} `HTTP_RESPONSE_*` with status 502; send that status and close both connections
   */
  push(
    chunk: Buffer,
    request: RequestContext,
    strictness: Strictness = 'strict',
  ): ResponseHeadResult | undefined {
    if (this.#loose !== undefined) return this.#pushLoose(this.#loose, chunk, request)
    let section: Section | undefined
    try {
      section = this.#scanner.scan(chunk, 0)
      if (section === undefined) return undefined
      const head = parseResponseHead(section, request, this.#isLast)
      const { end } = section
      return { head, rest: end === chunk.length ? EMPTY : chunk.subarray(end) }
    } catch (error) {
      if (strictness === 'strict' || !(error instanceof HttpError)) throw error
      this.#fault = error.fault
      if (section !== undefined) return this.#repair(section.text, request, chunk, section.end)
    }
    this.#loose = new LooseSection(this.#rules, 'HTTP/1.')
    this.#loose.scan(this.#scanner.takeHeld(), 0)
    return this.#pushLoose(this.#loose, chunk, request)
  }

  /** Drops an unfinished head. */
  reset(): void {
    this.#scanner.reset()
    this.#loose = undefined
  }

  #pushLoose(
    loose: LooseSection,
    chunk: Buffer,
    request: RequestContext,
  ): ResponseHeadResult | undefined {
    const end = loose.scan(chunk, 0)
    if (end === undefined) return undefined
    this.#loose = undefined
    return this.#repair(loose.text, request, chunk, end)
  }

  #repair(text: string, request: RequestContext, chunk: Buffer, end: number): ResponseHeadResult {
    const section = strictSection(repairHead(text, request.method), this.#rules)
    this.#isLast = true
    const head = parseResponseHead(section, request, true, this.#fault)
    return { head, rest: end === chunk.length ? EMPTY : chunk.subarray(end) }
  }
}

/** Tells whether a final response follows a response of this status: 1xx except 101. */
export function isInterim(status: number): boolean {
  return status < 200 && status !== 101
}

function parseResponseHead(
  section: Section,
  request: RequestContext,
  isLast: boolean,
  repaired?: HttpFault,
): ResponseHead {
  const { text } = section
  const lineEnd = section.lineEnds[0] ?? 0
  const space = text.indexOf(' ')
  const versionEnd = space === -1 || space > lineEnd ? lineEnd : space
  const versionMinor = parseVersion(text, 0, versionEnd, 'response')
  const status = parseStatus(text, versionEnd + 1, lineEnd)
  const lines = parseHeaderLines(section, 1, 'response')
  return new ResponseHead(lines, { status, versionMinor }, request, isLast, repaired)
}

/** Reads three digits and an optional space. Many services leave out the space before an empty reason. */
function parseStatus(text: string, start: number, lineEnd: number): number {
  const end = start + 3
  const status = end <= lineEnd ? parseDecimal(text, start, end) : undefined
  const hasEnd = end === lineEnd || text.charCodeAt(end) === SPACE
  if (status === undefined || status < 100 || !hasEnd) {
    throw new HttpError('response', 'LINE_INVALID', 'no status after the version')
  }
  return status
}

function bodyFraming(
  status: number,
  method: string,
  declared: BodyFraming | undefined,
): BodyFraming {
  if (hasNoBody(method, status)) return NO_BODY
  return declared ?? UNTIL_CLOSE_BODY
}

/**
 * A service that declares a body where none is allowed (1xx, 204) may really send it: the head is
 * good, but the connection cannot be used again.
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
