/**
 * The yamux frame header, version 0: 12 bytes, big endian.
 *
 *     | version 1 | type 1 | flags 2 | stream id 4 | length 4 |
 *
 * Source: https://github.com/hashicorp/yamux/blob/master/spec.md
 *
 * `length` is the payload's bytes on Data, credit on WindowUpdate, an opaque value on Ping and a code on
 * GoAway. Stream id 0 is the session itself. Only Data has a payload.
 */

/** Bytes of every frame header. */
export const HEADER_BYTES = 12

/** Frame types, as on the wire. */
export const FrameType = { data: 0, windowUpdate: 1, ping: 2, goAway: 3 } as const

/** Flag bits. On Ping, `syn` marks the request and `ack` the response. */
export const Flag = { syn: 1, ack: 2, fin: 4, rst: 8, all: 15 } as const

/** Receive window of every new stream, in bytes; fixed by the protocol. */
export const BASE_WINDOW_BYTES = 262_144

/** Writes a header to `target` at `offset`, which must have room for it. */
export function writeHeader(
  target: Buffer,
  offset: number,
  type: number,
  flags: number,
  streamId: number,
  length: number,
): void {
  target[offset] = 0
  target[offset + 1] = type
  target[offset + 2] = 0 // no flag uses the high byte
  target[offset + 3] = flags
  target[offset + 4] = streamId >>> 24
  target[offset + 5] = streamId >>> 16
  target[offset + 6] = streamId >>> 8
  target[offset + 7] = streamId
  target[offset + 8] = length >>> 24
  target[offset + 9] = length >>> 16
  target[offset + 10] = length >>> 8
  target[offset + 11] = length
}
