// What the suite of multiplexers compares and counts.
import type { Duplex } from 'node:stream'
import type { MuxSession, MuxSink } from './mux-shape.ts'

/** Reads one number of a session's statistics. */
export function stat(session: MuxSession, name: string): number {
  return Number(Object.entries(session.stats()).find(([key]) => key === name)?.[1])
}

/** Statistics of a session that is over. */
export const NOTHING_LEFT = {
  state: 'closed',
  inboundStreams: 0,
  outboundStreams: 0,
  unackedStreams: 0,
  queuedBytes: 0,
  heldBytes: 0,
  grownBytes: 0,
  pendingPings: 0,
}

/** Tells how many listeners a transport has of the kinds a session adds. */
export function countListeners(transport: Duplex): string {
  const count = (event: string): number => transport.listenerCount(event)
  return `data ${count('data')} drain ${count('drain')} error ${count('error')}`
}

/** Makes bytes without a short period, so that a shifted chunk is noticed. */
export function pattern(bytes: number): Buffer {
  const result = Buffer.allocUnsafe(bytes)
  for (let i = 0; i < bytes; i++) result[i] = (i * 7 + (i >> 8) * 13) & 255
  return result
}

/** Completes a sink. */
export function sink(methods: Partial<MuxSink>): MuxSink {
  return { onData: () => {}, onEnd: () => {}, onDrain: () => {}, onClose: () => {}, ...methods }
}
