/** Limits on what a peer can make the readers hold or look at. They are checked once per reader. */

/** Limits of the readers. Defaults and ranges are in {@link HTTP_LIMITS}. */
export interface HttpLimits {
  /**
   * Longest head, bytes, with start line, header lines and final empty line. A longer head is
   * rejected with HEAD_TOO_LARGE (431 for a request). Limits what one connection can make us buffer.
   */
  readonly maxHeadBytes?: number
  /**
   * Most header lines in a head, and most trailer lines in a trailer section. More are rejected with
   * HEADERS_TOO_MANY (431 for a request). Limits the work per byte.
   */
  readonly maxHeaders?: number
  /**
   * Longest extension part of one chunk-size line, bytes; 0 rejects all extensions. A longer one is
   * rejected with CHUNK_EXTENSION_TOO_LARGE. Common clients send none; request smuggling uses them.
   */
  readonly maxChunkExtensionBytes?: number
  /**
   * Longest trailer section, bytes, with the final empty line; 2 rejects all trailers. A longer one
   * is rejected with TRAILERS_TOO_LARGE (431 for a request).
   */
  readonly maxTrailerBytes?: number
}

/** Limits with every field present, as the readers use them. */
export type ResolvedHttpLimits = Required<HttpLimits>

/** Default and range of one limit, both ends included. */
export interface HttpLimit {
  /** Value without the option. */
  readonly default: number
  /** Smallest value. */
  readonly min: number
  /** Largest value. */
  readonly max: number
}

/** Default and range of every limit. The README prints this table. */
export const HTTP_LIMITS: Readonly<Record<keyof HttpLimits, HttpLimit>> = Object.freeze({
  // The default holds the cookies that browsers really send.
  maxHeadBytes: { default: 32_768, min: 64, max: 16_777_216 },
  // Some services send more than 150 lines: hints, cookies, policies.
  maxHeaders: { default: 512, min: 1, max: 65_536 },
  maxChunkExtensionBytes: { default: 256, min: 0, max: 65_536 },
  maxTrailerBytes: { default: 8_192, min: 2, max: 16_777_216 },
})

const DEFAULTS: ResolvedHttpLimits = Object.freeze(resolved({}))

/**
 * Fills in the defaults and checks the ranges. The argument is not kept.
 * @throws {RangeError} when a limit is not an integer in its range; names the limit and the value
 */
export function resolveHttpLimits(limits?: HttpLimits): ResolvedHttpLimits {
  return limits === undefined ? DEFAULTS : resolved(limits)
}

function resolved(limits: HttpLimits): ResolvedHttpLimits {
  return {
    maxHeadBytes: limitOf(limits, 'maxHeadBytes'),
    maxHeaders: limitOf(limits, 'maxHeaders'),
    maxChunkExtensionBytes: limitOf(limits, 'maxChunkExtensionBytes'),
    maxTrailerBytes: limitOf(limits, 'maxTrailerBytes'),
  }
}

function limitOf(limits: HttpLimits, name: keyof HttpLimits): number {
  const { default: usual, min, max } = HTTP_LIMITS[name]
  const value = limits[name] ?? usual
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new RangeError(`${name} must be an integer from ${min} to ${max}, got ${String(value)}`)
  }
  return value
}
