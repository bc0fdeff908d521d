import { type LimitReached, limitReached, type ShareLimits } from './share-limits.ts'

/** How a domain can be proved: by a TXT record, or by a file that its web server has. */
export const CHALLENGES = ['txt', 'http'] as const

/** One of {@link CHALLENGES}. */
export type Challenge = (typeof CHALLENGES)[number]

/** An identity's request for a domain. It counts once the domain is proved; the value is what its owner publishes. */
export interface DomainClaim {
  /** The text that proves it, and the key of the claim: no two claims have the same. */
  readonly value: string
  /** In its canonical form, with `*.` in front for all names below it. */
  readonly domain: string
  /** Tenant of the endpoint; empty on servers without tenants. */
  readonly tenant: string
  /** The endpoint that the domain leads to. */
  readonly endpoint: string
  /** The identity that asks, as in `Grant.identity`. */
  readonly identity: string
  /** When it was asked for, or when a proved domain was taken away, ms since the epoch. */
  readonly askedAt: number
  /** When the proof was looked for last, ms since the epoch; undefined: never. */
  readonly checkedAt: number | undefined
  /** Since when the domain is proved and leads to the endpoint, ms since the epoch; undefined: it does not. */
  readonly provedAt: number | undefined
  /** Since when the proof of a proved domain is missing, ms since the epoch. */
  readonly lostAt: number | undefined
  /** How it is proved. */
  readonly challenge: Challenge
}

/** Identifies a claim by who asks for what. */
export type ClaimOwner = Pick<DomainClaim, 'tenant' | 'identity' | 'domain'>

/** What a check changes. */
export type ProofState = Pick<DomainClaim, 'askedAt' | 'checkedAt' | 'provedAt' | 'lostAt'>

/** Result of a request for a domain. */
export type AskOutcome =
  /** It is stored, and was before if it is not `isNew`. */
  | { readonly ok: true; readonly isNew: boolean; readonly claim: DomainClaim }
  /** Another identity has proved it. */
  | { readonly ok: false; readonly code: 'domain-taken'; readonly claim: DomainClaim }
  /** The caller has seen its claim otherwise. */
  | { readonly ok: false; readonly code: 'not-as-seen' }
  | LimitReached

/** Judges the claim of an identity as it is right before a change, with nothing in between; undefined: there is none. */
export type IsClaimAsSeen = (found: DomainClaim | undefined) => boolean

/** Which claims to list. */
export interface DomainFilter {
  /** Of this tenant only. */
  readonly tenant?: string
  /** Of this identity only. */
  readonly identity?: string
}

/** Domains that identities ask for. Reading is synchronous; when the promise of a write resolves, it is on the disk. */
export interface DomainStore {
  /** Called when claims may have changed, here or at another server of the cluster. */
  onChange: () => void
  /** Claims, ordered by domain, tenant and identity. */
  list(filter?: DomainFilter): readonly DomainClaim[]
  /** The claim of an identity. */
  find(owner: ClaimOwner): DomainClaim | undefined
  /** The claim that has proved a domain. */
  holder(domain: string): DomainClaim | undefined
  /**
   * Stores a claim. An identity that has asked before changes its endpoint only, and how it is proved while it is not.
   * Many identities may ask for one domain, until one of them has proved it.
   *
   * @param isAsSeen - Default: it may be any.
   */
  ask(wanted: DomainClaim, isAsSeen?: IsClaimAsSeen): Promise<AskOutcome>
  /**
   * Stores what a check has found.
   *
   * @param before - the claim that was checked; nothing is changed where its state is another one meanwhile.
   * @returns the claim as it is now; undefined when nothing was changed: it was removed, it was changed, or another
   *   identity has proved the domain.
   */
  note(before: DomainClaim, state: ProofState): Promise<DomainClaim | undefined>
  /**
   * Removes a claim.
   *
   * @param isAsSeen - Default: it may be any.
   * @returns the former one; undefined when there was none, or it stays.
   */
  remove(value: string, isAsSeen?: IsClaimAsSeen): Promise<DomainClaim | undefined>
}

/** How many domains may be asked for; none where an identity may have 0. Default: DOMAIN_LIMITS. */
export type DomainLimits = Partial<ShareLimits>

/** Defaults of the limits: each domain costs some DNS queries a day. */
export const DOMAIN_LIMITS: ShareLimits = Object.freeze({
  maxPerIdentity: 20,
  maxPerTenant: 200,
  maxTotal: 1_000,
})

/** Domains in memory, for servers without a data directory and for tests. */
export class MemoryDomainStore implements DomainStore {
  onChange: () => void = () => {}
  readonly #claims = new Map<string, DomainClaim>()
  readonly #limits: ShareLimits

  constructor(limits: DomainLimits = {}) {
    this.#limits = { ...DOMAIN_LIMITS, ...limits }
  }

  /** @inheritdoc */
  list({ tenant, identity }: DomainFilter = {}): readonly DomainClaim[] {
    return [...this.#claims.values()]
      .filter((one) => tenant === undefined || one.tenant === tenant)
      .filter((one) => identity === undefined || one.identity === identity)
      .toSorted(
        (a, b) =>
          compare(a.domain, b.domain) ||
          compare(a.tenant, b.tenant) ||
          compare(a.identity, b.identity),
      )
  }

  /** @inheritdoc */
  find({ tenant, identity, domain }: ClaimOwner): DomainClaim | undefined {
    return this.list({ tenant, identity }).find((one) => one.domain === domain)
  }

  /** @inheritdoc */
  holder(domain: string): DomainClaim | undefined {
    return this.list().find((one) => one.domain === domain && one.provedAt !== undefined)
  }

  /** @inheritdoc */
  async ask(wanted: DomainClaim, isAsSeen?: IsClaimAsSeen): Promise<AskOutcome> {
    const found = this.find(wanted)
    if (isAsSeen?.(found) === false) return { ok: false, code: 'not-as-seen' }
    const holder = this.holder(wanted.domain)
    if (holder !== undefined && holder.value !== found?.value) {
      return { ok: false, code: 'domain-taken', claim: holder }
    }
    if (found === undefined) {
      const { tenant, identity } = wanted
      const counts = {
        ofIdentity: this.list({ tenant, identity }).length,
        ofTenant: this.list({ tenant }).length,
        all: this.#claims.size,
      }
      const limit = limitReached(tenant, counts, this.#limits)
      if (limit !== undefined) return limit
    }
    const claim = found === undefined ? wanted : askedAgain(found, wanted)
    this.#claims.set(claim.value, claim)
    this.onChange()
    return { ok: true, isNew: found === undefined, claim }
  }

  /** @inheritdoc */
  async note(before: DomainClaim, state: ProofState): Promise<DomainClaim | undefined> {
    const found = this.#claims.get(before.value)
    if (found === undefined || !isSameState(found, before)) return undefined
    const holder = this.holder(found.domain)
    if (state.provedAt !== undefined && holder !== undefined && holder.value !== found.value) {
      return undefined
    }
    const claim = { ...found, ...proofState(state) }
    this.#claims.set(claim.value, claim)
    this.onChange()
    return claim
  }

  /** @inheritdoc */
  async remove(value: string, isAsSeen?: IsClaimAsSeen): Promise<DomainClaim | undefined> {
    const found = this.#claims.get(value)
    if (isAsSeen?.(found) === false || found === undefined) return undefined
    this.#claims.delete(value)
    this.onChange()
    return found
  }
}

/** Whether two claims are proved and lost since the same times, in the same way. */
export function isSameState(one: DomainClaim, other: DomainClaim): boolean {
  const { provedAt, lostAt, challenge } = one
  return provedAt === other.provedAt && lostAt === other.lostAt && challenge === other.challenge
}

/** A claim after its identity has asked again. */
export function askedAgain(found: DomainClaim, { endpoint, challenge }: DomainClaim): DomainClaim {
  return { ...found, endpoint, ...(found.provedAt === undefined && { challenge }) }
}

function proofState({ askedAt, checkedAt, provedAt, lostAt }: ProofState): ProofState {
  return { askedAt, checkedAt, provedAt, lostAt }
}

/** By code units, as SQLite compares what both can hold. */
function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
