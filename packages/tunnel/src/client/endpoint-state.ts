import type { ControlMessage } from '../protocol/control-message.ts'
import { RESET_REASONS } from '../protocol/reset-reason.ts'
import type { StreamOutcome } from '../protocol/stream-outcome.ts'

/** How an endpoint fares, as its server sees it. */
export interface EndpointState {
  /** Agent sessions that serve it. */
  readonly upstreams: number
  /** Agents that serve it; undefined from servers that do not tell. */
  readonly agents: number | undefined
  /** What became of the last stream to its service: `ok`, or why it failed; undefined: not known. */
  readonly outcome: StreamOutcome | undefined
  /** How long ago that was, ms; there is one with every outcome. */
  readonly ageMs: number | undefined
  /** Whether the token may connect to it; what else is said is then nothing. */
  readonly permitted: boolean
}

/** Reads the answer to a query; outcomes of a later version read as `unspecified`. */
export function endpointState(
  message: Extract<ControlMessage, { readonly type: 'endpoint' }>,
): EndpointState {
  const { upstreams, agents, outcome, ageMs, permitted = true } = message
  const known = outcome !== undefined && ageMs !== undefined
  return {
    upstreams,
    agents,
    outcome: known ? outcomeOf(outcome) : undefined,
    ageMs: known ? ageMs : undefined,
    permitted,
  }
}

function outcomeOf(text: string): StreamOutcome {
  if (text === 'ok') return text
  return Object.hasOwn(RESET_REASONS, text) ? (text as StreamOutcome) : 'unspecified'
}
