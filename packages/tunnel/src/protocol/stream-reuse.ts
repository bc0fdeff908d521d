/** When a stream for requests, and with it the service's connection, carries another one; the strictest first. */
export const STREAM_REUSES = ['never', 'safe', 'always'] as const

/**
 * One of STREAM_REUSES. `safe`: where no answer of the service can reach another visitor than the one it is
 * for; `always`: also where a late second answer would.
 */
export type StreamReuse = (typeof STREAM_REUSES)[number]

/** Whether a value is one of STREAM_REUSES. */
export function isStreamReuse(value: unknown): value is StreamReuse {
  return value === 'never' || value === 'safe' || value === 'always'
}

/** The stricter one of two. */
export function stricterReuse(one: StreamReuse, other: StreamReuse): StreamReuse {
  return STREAM_REUSES.indexOf(one) <= STREAM_REUSES.indexOf(other) ? one : other
}
