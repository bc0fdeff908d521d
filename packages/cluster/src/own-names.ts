import { type Endpoint, endpointKey, EndpointMap } from '@proj/tunnel/server'

import type { RoutePut } from './engine/engine.ts'
import type { RouteFacts } from './model.ts'

/** What sessions of a node say of an endpoint that they serve; who serves it is known from the claim. */
export type AnnouncedFacts = Omit<RouteFacts, 'identity' | 'exclusive' | 'peer'>

/** A name that a node has. */
export interface HeldName {
  readonly endpoint: Endpoint
  readonly identity: string
  readonly epoch: number
}

/** A claim that waits for the database. */
export interface WaitingClaim {
  /** The name was granted. */
  grant(own: OwnName): void
  /** Another has it. */
  refuse(identity: string, since: number, isExclusive: boolean): void
}

/** A name that this node claims or has. */
export interface OwnName {
  readonly endpoint: Endpoint
  readonly identity: string
  /** The agent, where it wants to be the only one. */
  peer: string | undefined
  isReserved: boolean
  /** 0: it is claimed, and not granted yet. */
  epoch: number
  /** Version of the row that is stored; 0: none is known to be. */
  version: number
  /** Claims that were granted and not released. */
  leases: number
  /** When it was granted, ms since the epoch. */
  since: number
  facts: AnnouncedFacts | undefined
  waiting: Set<WaitingClaim>
  /** What another identity has of the endpoint until this claim, of a reserved name, is granted. */
  previous: OwnName | undefined
}

/** The names of a node, and what of them has to be stored. */
export class OwnNames {
  readonly #names = new EndpointMap<OwnName>()
  readonly #recent = new Map<string, HeldName>()
  readonly #maxRecent: number
  /** Names whose row has to be stored. */
  readonly dirty: Set<OwnName> = new Set()
  /** Endpoints whose row has to be removed. */
  readonly removed: EndpointMap<Endpoint> = new EndpointMap()
  /** Claims that wait. */
  waiting = 0

  constructor(maxRecent: number) {
    this.#maxRecent = maxRecent
  }

  get size(): number {
    return this.#names.size
  }

  get(endpoint: Endpoint): OwnName | undefined {
    return this.#names.get(endpoint)
  }

  values(): Iterable<OwnName> {
    return this.#names.values()
  }

  /** Whether a name is still the one of its endpoint. */
  has(own: OwnName): boolean {
    return this.#names.get(own.endpoint) === own
  }

  /** Begins a claim, in place of what the endpoint had. */
  add(endpoint: Endpoint, identity: string): OwnName {
    const known = this.#names.get(endpoint)
    const previous = known !== undefined && known.leases > 0 ? known : known?.previous
    if (known !== undefined) this.dirty.delete(known)
    const own: OwnName = {
      endpoint: { tenant: endpoint.tenant, name: endpoint.name },
      identity,
      peer: undefined,
      isReserved: false,
      epoch: 0,
      version: 0,
      leases: 0,
      since: 0,
      facts: undefined,
      waiting: new Set(),
      previous,
    }
    this.#names.set(own.endpoint, own)
    this.removed.delete(own.endpoint)
    this.dirty.add(own)
    return own
  }

  /** Gives a name up: its row is to be removed, whether or not one is known to be stored. */
  drop(own: OwnName): void {
    if (!this.has(own)) return
    this.dirty.delete(own)
    const { previous } = own
    if (own.epoch === 0 && previous !== undefined && previous.leases > 0) {
      this.#names.set(own.endpoint, previous)
      this.dirty.add(previous)
      return
    }
    this.#names.delete(own.endpoint)
    this.removed.set(own.endpoint, own.endpoint)
    if (own.epoch > 0) this.remember(own)
  }

  /** The identity and epoch that an endpoint had here last. */
  recent(endpoint: Endpoint): HeldName | undefined {
    return this.#recent.get(endpointKey(endpoint))
  }

  /** Names that are granted, and those of before, at most as many as are remembered. */
  held(): HeldName[] {
    const all = new Map(this.#recent)
    for (const { endpoint, identity, epoch } of this.#names.values()) {
      if (epoch > 0) all.set(endpointKey(endpoint), { endpoint, identity, epoch })
    }
    return [...all.values()].slice(-this.#maxRecent)
  }

  /** All rows have to be stored again. */
  dirtyAll(): void {
    for (const own of this.#names.values()) this.dirty.add(own)
  }

  /** How many rows are stored and the sum of their versions. */
  digest(): { count: number; versions: number } {
    const digest = { count: 0, versions: 0 }
    for (const { version } of this.#names.values()) {
      if (version === 0) continue
      digest.count += 1
      digest.versions += version
    }
    return digest
  }

  /** Remembers what an endpoint had; the oldest is forgotten when there are too many. */
  remember({ endpoint, identity, epoch }: HeldName): void {
    const key = endpointKey(endpoint)
    this.#recent.delete(key) // the order is that of the last time
    this.#recent.set(key, { endpoint, identity, epoch })
    if (this.#recent.size <= this.#maxRecent) return
    for (const oldest of this.#recent.keys()) {
      this.#recent.delete(oldest)
      return
    }
  }
}

/** The row of a name. */
export function putOf({ endpoint, identity, peer, isReserved, epoch, facts }: OwnName): RoutePut {
  return {
    endpoint,
    epoch,
    isReserved,
    facts: {
      identity,
      kind: facts?.kind,
      sessions: facts?.sessions ?? 0,
      exclusive: peer !== undefined,
      peer,
      reuse: facts?.reuse,
      strictness: facts?.strictness,
      rules: facts?.rules,
      limits: facts?.limits,
      agents: facts?.agents,
      isDown: facts?.isDown ?? false,
    },
  }
}
