import { sourceOf } from '@proj/config/address'

/** Ways to choose among the agents of an endpoint. */
export const BALANCES = ['round-robin', 'least-busy', 'visitor', 'cookie'] as const

/**
 * One of BALANCES. `round-robin`: in turn, as often as their weights say. `least-busy`: the one with the fewest open
 * streams for its weight. `visitor`: requests and connections of one address, or /64 of IPv6, go to one agent; when agents come or
 * leave, only the visitors move that have to. `cookie`: the agent whose key the caller gives, else in turn.
 */
export type Balance = (typeof BALANCES)[number]

/** An agent, as far as a choice is concerned. */
export interface Candidate {
  /** Names it across its sessions and reconnects. */
  readonly peer: string
  /** Names it in cookies; only of interest with `cookie`. */
  readonly key?: string | undefined
  /** How often it is chosen, compared to the others. */
  readonly weight: number
  /** What it is owed of its turns. */
  credit: number
  /** Streams of its sessions that are open now. */
  readonly openStreams: number
}

/**
 * Chooses one of several agents.
 *
 * @param candidates - not empty.
 * @param visitor - address of the visitor, or with `cookie` the key of the agent that it is bound to; undefined: it is not known,
 *   and agents take turns.
 */
export function choose<One extends Candidate>(
  candidates: readonly One[],
  balance: Balance,
  visitor: string | undefined,
): One | undefined {
  if (balance === 'visitor' && visitor !== undefined) {
    const source = sourceOf(visitor)
    return best(candidates, (one) => share(one, source))
  }
  if (balance === 'cookie' && visitor !== undefined) {
    const bound = candidates.find(({ key }) => key === visitor)
    if (bound !== undefined) return bound
  }
  if (balance === 'least-busy') {
    const least = Math.min(...candidates.map(load))
    return inTurn(candidates.filter((one) => load(one) === least))
  }
  return inTurn(candidates)
}

function load({ openStreams, weight }: Candidate): number {
  return openStreams / weight
}

/** Smooth weighted turns: of 5 and 95, one of twenty goes to the first one, and never two in a row. */
function inTurn<One extends Candidate>(candidates: readonly One[]): One | undefined {
  let total = 0
  for (const one of candidates) {
    one.credit += one.weight
    total += one.weight
  }
  const chosen = best(candidates, ({ credit }) => credit)
  if (chosen !== undefined) chosen.credit -= total
  return chosen
}

/** Rendezvous hashing with weights: the agent with the highest share has the visitor. */
function share({ peer, weight }: Candidate, visitor: string): number {
  return -weight / Math.log((hash(`${visitor}\n${peer}`) + 1) / 2 ** 32 / (1 + 2 ** -31))
}

function best<One>(candidates: readonly One[], valueOf: (one: One) => number): One | undefined {
  let found: One | undefined
  let highest = -Infinity
  for (const one of candidates) {
    const value = valueOf(one)
    if (value <= highest) continue
    found = one
    highest = value
  }
  return found
}

/** FNV-1a with the last mix of MurmurHash3: addresses that differ in one digit must not follow one another. */
function hash(text: string): number {
  let value = 0x811c9dc5
  for (let at = 0; at < text.length; at += 1) {
    value = Math.imul(value ^ text.charCodeAt(at), 0x01000193)
  }
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b)
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35)
  return (value ^ (value >>> 16)) >>> 0
}
