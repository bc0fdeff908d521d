import type { ClusterRoute, Membership } from '@proj/cluster'
import type { Logger } from '@proj/tunnel'
import type { Endpoint } from '@proj/tunnel/server'

import {
  ownerKey,
  type PortClaim,
  type PortClaims,
  type PortOwner,
} from '../public-ports/port-claims.ts'
import type { PublicPorts } from '../public-ports/public-ports.ts'

/**
 * Public ports are claimed like names, under this tenant, which no tenant can be called: names of tenants have no
 * space.
 */
export const PORTS_TENANT = 'public port'

/** What the others learn of a port: its number and, as the identity, its owner. */
const FACTS = Object.freeze({
  kind: 'tcp',
  sessions: 1,
  reuse: undefined,
  strictness: undefined,
  limits: undefined,
  agents: undefined,
  rules: undefined,
  isDown: false,
} as const)

/** The public ports of all nodes: each has one owner, and is open on every node that may open it. */
export class ClusterPorts implements PortClaims {
  readonly #membership: Membership
  readonly #logger: Logger
  readonly #closing: AbortSignal
  /** Numbers that other nodes have. */
  readonly #elsewhere = new Set<string>()

  /** @param closing - ends claims that wait for the database. */
  constructor(membership: Membership, logger: Logger, closing: AbortSignal) {
    this.#membership = membership
    this.#logger = logger
    this.#closing = closing
  }

  /** How many ports other nodes have. */
  get countElsewhere(): number {
    return this.#elsewhere.size
  }

  /** @inheritdoc */
  async take(number: number, owner: PortOwner): Promise<PortClaim | 'taken' | 'unavailable'> {
    const endpoint = endpointOf(number)
    const claim = { endpoint, identity: ownerKey(owner) }
    try {
      const answer = await this.#membership.take(claim, this.#closing)
      if ('code' in answer) return 'unavailable'
      if ('holder' in answer) return 'taken'
      this.#membership.announce(endpoint, FACTS)
      return {
        release: () => {
          this.#membership.announce(endpoint, undefined)
          answer.release()
        },
      }
    } catch (error) {
      if (!this.#closing.aborted) {
        this.#logger.error({ err: error, port: number }, 'a public port cannot be claimed')
      }
      return 'unavailable'
    }
  }

  /** Opens the ports of other nodes here as well, from now on. */
  follow(ports: PublicPorts): void {
    const { table } = this.#membership
    table.on('route', ({ tenant, name }, route, isPresent) => {
      if (tenant !== PORTS_TENANT) return
      if (isPresent) this.#open(ports, name, route)
      else if (table.routes({ tenant, name }).length === 0) {
        this.#elsewhere.delete(name)
        ports.closeElsewhere(Number(name))
      }
    })
    this.#membership.on('lost', ({ tenant, name }) => {
      if (tenant !== PORTS_TENANT) return
      ports.loseNumber(Number(name))
      const [route] = table.routes({ tenant, name })
      if (route !== undefined) this.#open(ports, name, route)
    })
  }

  #open(ports: PublicPorts, name: string, { identity }: ClusterRoute): void {
    this.#elsewhere.add(name)
    const owner = readOwner(identity)
    const number = Number(name)
    if (owner !== undefined && Number.isInteger(number)) void ports.openElsewhere(number, owner)
  }
}

function endpointOf(number: number): Endpoint {
  return { tenant: PORTS_TENANT, name: String(number) }
}

/** Reads what `ownerKey` wrote on another node. */
function readOwner(key: string): PortOwner | undefined {
  let value: unknown
  try {
    value = JSON.parse(key)
  } catch {
    return undefined
  }
  if (!Array.isArray(value)) return undefined
  const [tenant, identity, name] = value as unknown[]
  if (typeof tenant !== 'string' || typeof identity !== 'string' || typeof name !== 'string') {
    return undefined
  }
  return { endpoint: { tenant, name }, identity }
}
