import { createHash } from 'node:crypto'

import { type Endpoint, endpointKey } from '../protocol/endpoint.ts'
import { WEIGHTS } from '../protocol/weight.ts'

/** Characters of a key: 96 bits. */
export const AGENT_KEY_LENGTH = 16

/**
 * Agents of one endpoint that a node tells the others of. Where it has as many or more, it chooses for visitors of
 * other nodes whose cookie names none of these.
 */
export const MAX_ROUTE_AGENTS = 64

/** Digits of a weight. */
const WEIGHT_LENGTH = String(WEIGHTS.max).length

/** Characters of one agent in a list, with the space behind it. */
const STEP = AGENT_KEY_LENGTH + WEIGHT_LENGTH + 1

const LIST = new RegExp(
  `^[\\w-]{${AGENT_KEY_LENGTH}}\\d{${WEIGHT_LENGTH}}(?: [\\w-]{${AGENT_KEY_LENGTH}}\\d{${WEIGHT_LENGTH}}){0,${MAX_ROUTE_AGENTS - 1}}$`,
)

/** The part of the golden ratio behind the point: its multiples are spread evenly over 0 to 1. */
const SPREAD = (Math.sqrt(5) - 1) / 2

/** An agent in a list. */
export interface ListedAgent {
  readonly key: string
  readonly weight: number
}

/**
 * The name of an agent in the cookies of an endpoint's visitors: a digest of the endpoint and of the random id of the
 * agent's process. It says nothing about either, and all servers that the agent is connected to know it.
 */
export function agentKeyOf(endpoint: Endpoint, peer: string): string {
  const about = `adit_agent\n${endpointKey(endpoint)}\n${peer}`
  return createHash('sha256').update(about).digest('base64url').slice(0, AGENT_KEY_LENGTH)
}

/** Agents as text for other nodes, as many as there may be; undefined for none. */
export function formatAgents(agents: readonly ListedAgent[]): string | undefined {
  const listed = agents
    .slice(0, MAX_ROUTE_AGENTS)
    .map(({ key, weight }) => `${key}${String(weight).padStart(WEIGHT_LENGTH, '0')}`)
  return listed.length === 0 ? undefined : listed.join(' ')
}

/** Whether a text is one of {@link formatAgents}: another client of the database may have written it. */
export function isAgentList(text: string): boolean {
  return LIST.test(text)
}

/** Whether a list has an agent. */
export function listsAgent(list: string, key: string): boolean {
  const at = list.indexOf(key)
  return at >= 0 && at % STEP === 0
}

/** The keys of a list. */
export function* agentKeys(list: string): Generator<string> {
  for (let at = 0; at < list.length; at += STEP) yield list.slice(at, at + AGENT_KEY_LENGTH)
}

/** Whether a list may lack agents of its node. */
export function isFullList(list: string): boolean {
  return list.length + 1 >= MAX_ROUTE_AGENTS * STEP
}

/**
 * The agent of a list for one of many visitors, as often as the weights say.
 *
 * @param turn - counts the visitors.
 * @param isPassed - whether an agent is not to be chosen.
 */
export function agentInTurn(
  list: string,
  turn: number,
  isPassed: (key: string) => boolean,
): string | undefined {
  const agents = [...agentKeys(list)].flatMap((key, index) => {
    const at = index * STEP + AGENT_KEY_LENGTH
    return isPassed(key) ? [] : [{ key, weight: Number(list.slice(at, at + WEIGHT_LENGTH)) }]
  })
  const [first] = agents
  if (agents.every(({ weight }) => weight === first?.weight)) {
    return agents[turn % agents.length]?.key
  }
  const total = agents.reduce((sum, { weight }) => sum + weight, 0)
  let left = ((turn * SPREAD) % 1) * total
  for (const { key, weight } of agents) {
    left -= weight
    if (left < 0) return key
  }
  return agents.at(-1)?.key
}
