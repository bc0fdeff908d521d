import { createHash } from 'node:crypto'

/** Length of an id: 80 bits, in hex. An agent that wants the id of another one would have to find a preimage. */
const ID_LENGTH = 20

/**
 * The id that operators see of an agent and act on. The agent announces a name of its own, which joins its sessions;
 * another identity can announce the same, so identity and tenant are part of the id. Every node computes the same one.
 *
 * @param announced - what the agent has announced.
 */
export function agentIdOf(
  { tenant, identity }: { readonly tenant: string; readonly identity: string },
  announced: string,
): string {
  const about = JSON.stringify([tenant, identity, announced])
  return createHash('sha256').update(about).digest('hex').slice(0, ID_LENGTH)
}
