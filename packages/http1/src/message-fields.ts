/**
 * The headers that decide how a message is read. One that must stand alone is refused when it is
 * repeated, even with equal values: the next hop may pick another one than we do.
 */

import { type BodyFraming, declaredFraming } from './body-framing.ts'
import { HttpError, type HttpSide } from './errors.ts'
import { KIND } from './header-kinds.ts'
import type { HeaderLines } from './header-lines.ts'

const FRAMING: number = KIND.contentLength | KIND.transferEncoding

/**
 * Refuses a message in which a header is repeated that must stand alone.
 * @throws {HttpError} HOST_REPEATED (requests), CONTENT_LENGTH_REPEATED, TRANSFER_ENCODING_UNSUPPORTED
 */
export function refuseRepetition(lines: HeaderLines, side: HttpSide): void {
  const alone = side === 'request' ? FRAMING | KIND.host : FRAMING
  if ((lines.repeated & alone) === 0) return
  let seen = 0
  for (const kind of lines.kinds) {
    switch (kind & alone & seen) {
      case 0:
        seen |= kind
        break
      case KIND.host:
        throw new HttpError(side, 'HOST_REPEATED', 'equal or not')
      case KIND.contentLength:
        throw new HttpError(side, 'CONTENT_LENGTH_REPEATED', 'equal or not')
      default:
        throw new HttpError(side, 'TRANSFER_ENCODING_UNSUPPORTED', 'more than one header')
    }
  }
}

/**
 * Returns the framing that the headers declare, undefined if they declare none.
 * @throws {HttpError} as {@link declaredFraming}
 */
export function framingOf(
  lines: HeaderLines,
  versionMinor: 0 | 1,
  side: HttpSide,
): BodyFraming | undefined {
  if ((lines.seen & FRAMING) === 0) return undefined
  const contentLength = lines.value(KIND.contentLength)
  const transferEncoding = lines.value(KIND.transferEncoding)
  return declaredFraming(contentLength, transferEncoding, versionMinor, side)
}
