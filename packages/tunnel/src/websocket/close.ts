import { isUtf8 } from 'node:buffer'
import { WebSocketPipeError } from './errors.ts'
import { MAX_CONTROL_BYTES } from './frame.ts'

/**
 * The payload of a Close frame (RFC 6455 section 5.5.1): nothing, or a 16-bit code and a reason in
 * UTF-8.
 */

/** How the peer's side of a pipe ended. */
export interface WebSocketCloseInfo {
  /** `close`: a Close frame; `eof`: the connection ended between messages; `error`: anything else. */
  readonly kind: 'close' | 'eof' | 'error'
  /** The peer's code, 1005 for an empty Close frame, 1006 where none came. */
  readonly code: number
  /** The peer's reason: its words, to be shown only. */
  readonly reason: string
  /** Whether the peer sent a Close frame. Piko closes TCP without one. */
  readonly clean: boolean
}

/** Code and reason of a Close frame. */
export interface ClosePayload {
  /** The code, or undefined where the frame was empty. */
  readonly code: number | undefined
  readonly reason: string
}

/** Codes that stand for "there was none" in an API and never travel (RFC 6455 section 7.4.1). */
export const CLOSE_CODES = { normal: 1000, absent: 1005, abnormal: 1006 } as const

/**
 * Parses the payload of a Close frame.
 * @throws {WebSocketPipeError} WEBSOCKET_FRAME_INVALID for one byte or a code that must not travel.
 * @throws {WebSocketPipeError} WEBSOCKET_REASON_INVALID when the reason is not UTF-8.
 */
export function parseClosePayload(payload: Buffer): ClosePayload {
  if (payload.length === 0) return { code: undefined, reason: '' }
  if (payload.length === 1) {
    throw new WebSocketPipeError('WEBSOCKET_FRAME_INVALID', 'a Close frame has half a code')
  }
  const code = payload.readUInt16BE(0)
  if (!mayTravel(code)) {
    throw new WebSocketPipeError('WEBSOCKET_FRAME_INVALID', `invalid close code ${code}`)
  }
  const reason = payload.subarray(2)
  if (!isUtf8(reason)) {
    throw new WebSocketPipeError('WEBSOCKET_REASON_INVALID', 'a close reason is not UTF-8')
  }
  return { code, reason: reason.toString() }
}

/**
 * Formats the payload of a Close frame.
 * @param reason - ASCII; cut to what a control frame holds.
 */
export function formatClosePayload(code: number | undefined, reason: string): Buffer {
  if (code === undefined) return Buffer.alloc(0)
  const payload = Buffer.from(`\0\0${reason}`, 'latin1').subarray(0, MAX_CONTROL_BYTES)
  payload.writeUInt16BE(code, 0)
  return payload
}

/** 1000 to 1014 but the three that never travel, and what is registered or private. */
function mayTravel(code: number): boolean {
  return (
    (code >= 1000 && code <= 1014 && (code < 1004 || code > 1006)) || (code >= 3000 && code <= 4999)
  )
}
