import type { MuxError } from '@proj/mux'

/**
 * Why a stream was reset, sent to the far end.
 *
 * yamux's RST says only "gone". Between our own peers the reason travels as a number in the length
 * field of the RST frame, which Piko's Go peers ignore, so that `adit access` can say "the service
 * refused the connection" instead of just closing. The numbers are part of the wire: never reuse one.
 *
 * Table: the reasons; docs/protocol.md prints it, a test compares them.
 */
export const RESET_REASONS = {
  unspecified: 0,
  serviceRefused: 1,
  serviceTimeout: 2,
  serviceUnreachable: 3,
  serviceReset: 4,
  consumerGone: 5,
  endpointUnknown: 6,
  notPermitted: 7,
  noUpstream: 8,
  upstreamLost: 9,
  draining: 10,
  protocolError: 11,
  limitReached: 12,
  idleTimeout: 13,
  kindMismatch: 14,
  serviceClosed: 15,
  notHere: 16,
  serviceDown: 17,
} as const

/** Name of a reason. */
export type ResetReason = keyof typeof RESET_REASONS

const TEXTS: Record<ResetReason, string> = {
  unspecified: 'the far side reset the stream without a reason',
  serviceRefused: 'the service refused the connection',
  serviceTimeout: 'the service did not accept the connection in time',
  serviceUnreachable: 'the service could not be reached',
  serviceReset: 'the service reset the connection',
  consumerGone: 'the visitor or consumer went away',
  endpointUnknown: 'the agent does not serve this endpoint',
  notPermitted: 'the endpoint is not permitted for this token',
  noUpstream: 'no agent serves the endpoint now',
  upstreamLost: 'the session that carried the stream ended',
  draining: 'the far side is shutting down and takes no new streams',
  protocolError: 'the stream broke the protocol',
  limitReached: 'a limit of the far side is reached',
  idleTimeout: 'nothing moved on the stream for too long',
  kindMismatch: 'the endpoint is for TCP, and the stream carries HTTP',
  serviceClosed: 'the service had closed the connection before the request came',
  notHere: 'the node does not serve the endpoint, or serves it in another way than was known',
  serviceDown: 'the service fails the health checks of its agent',
}

const NAMES = new Map<number, ResetReason>()
for (const [name, value] of Object.entries(RESET_REASONS)) {
  NAMES.set(value, name as ResetReason) // keys of the const table above
}

/** Name of a reason read from the wire; numbers of a later version read as `unspecified`. */
export function resetReasonName(value: number): ResetReason {
  return NAMES.get(value) ?? 'unspecified'
}

/** A reason as the code of answers, logs and traces: `service_refused`. */
export function resetReasonCode(reason: ResetReason): string {
  return reason.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}

/**
 * The reason in what closed a channel: that of a reset, of either side.
 *
 * @param lost - the answer where it was not a reset: the session ended, or something broke here.
 */
export function resetReasonOf(error: MuxError, lost: number = RESET_REASONS.upstreamLost): number {
  const reset = error.code === 'MUX_STREAM_RESET' || error.code === 'MUX_STREAM_ABORTED'
  return reset ? error.reason : lost
}

/** One sentence for people. */
export function resetReasonText(reason: ResetReason): string {
  return TEXTS[reason]
}

/**
 * Whether a reset for this reason proves that no byte of the stream reached the service, so that the
 * same request may be offered to another upstream.
 */
export function neverReachedService(reason: ResetReason): boolean {
  return (
    reason === 'serviceRefused' ||
    reason === 'serviceTimeout' ||
    reason === 'serviceUnreachable' ||
    reason === 'endpointUnknown' ||
    reason === 'kindMismatch' ||
    reason === 'serviceClosed' ||
    reason === 'notHere' ||
    reason === 'serviceDown' ||
    reason === 'draining'
  )
}
