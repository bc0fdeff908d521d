/** Bounds on what a peer may make us hold or look at. They are checked once, when a reader is made. */

/** Limits of the readers. Every field is optional and falls back to {@link HTTP_DEFAULTS}. */
export interface HttpLimits {
  /**
   * Longest head in bytes, start line, header lines and final empty line included; 64 to
   * 16 777 216. A longer one is refused with HEAD_TOO_LARGE (431 for a request). Bounds what one
   * connection can make us buffer. The default holds the cookies browsers really send.
   * @default 32768
   */
  readonly maxHeadBytes?: number
  /**
   * Most header lines in a head, and trailer lines in a trailer section; 1 to 65 536. More are
   * refused with HEADERS_TOO_MANY (431 for a request). Bounds the work per byte.
   * @default 128
   */
  readonly maxHeaders?: number
  /**
   * Longest extension part of one chunk-size line in bytes; 0 to 65 536, and 0 refuses all
   * extensions. More is refused with CHUNK_EXTENSION_TOO_LARGE. Nobody uses extensions; smugglers do.
   * @default 256
   */
  readonly maxChunkExtensionBytes?: number
  /**
   * Longest trailer section in bytes, final empty line included; 2 to 16 777 216, and 2 refuses all
   * trailers. More is refused with TRAILERS_TOO_LARGE (431 for a request).
   * @default 8192
   */
  readonly maxTrailerBytes?: number
}

/** Limits with every field present, as the readers use them. */
export type ResolvedHttpLimits = Required<HttpLimits>

/** The limits that hold unless told otherwise. */
export const HTTP_DEFAULTS: ResolvedHttpLimits = Object.freeze({
  maxHeadBytes: 32_768,
  maxHeaders: 128,
  maxChunkExtensionBytes: 256,
  maxTrailerBytes: 8_192,
})

/**
 * Fills in the defaults and checks the ranges. Returns a new object; the argument is not kept.
 * @throws {RangeError} when a limit is not an integer in its range; names the limit and the value
 */
export function resolveHttpLimits(limits: HttpLimits = {}): ResolvedHttpLimits {
  return {
    maxHeadBytes: inRange(limits, 'maxHeadBytes', 64, 16_777_216),
    maxHeaders: inRange(limits, 'maxHeaders', 1, 65_536),
    maxChunkExtensionBytes: inRange(limits, 'maxChunkExtensionBytes', 0, 65_536),
    maxTrailerBytes: inRange(limits, 'maxTrailerBytes', 2, 16_777_216),
  }
}

function inRange(limits: HttpLimits, name: keyof HttpLimits, min: number, max: number): number {
  const value = limits[name] ?? HTTP_DEFAULTS[name]
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new RangeError(`${name} must be an integer from ${min} to ${max}, got ${String(value)}`)
  }
  return value
}
