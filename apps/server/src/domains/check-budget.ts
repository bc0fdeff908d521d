import type { DomainClaim } from '../store/domain-store.ts'

const MINUTE_MS = 60_000

/** How many checks may begin in one minute. */
export interface CheckLimits {
  readonly perIdentity: number
  /** Of all identities of one tenant: what remains of `total` is for the other tenants. */
  readonly perTenant: number
  readonly total: number
}

/** Counts the checks that begin in one minute, for an identity, for its tenant and in total. */
export class CheckBudget {
  readonly #limits: CheckLimits
  /** By tenant, and by tenant and identity: twice `total` at most. */
  readonly #taken = new Map<string, number>()
  #count = 0
  #beganAt = -Infinity

  constructor(limits: CheckLimits) {
    this.#limits = limits
  }

  /** @param now - ms; a clock that is set back begins a new minute. @returns whether it may begin. */
  take({ tenant, identity }: Pick<DomainClaim, 'tenant' | 'identity'>, now: number): boolean {
    if (now - this.#beganAt >= MINUTE_MS || now < this.#beganAt) {
      this.#beganAt = now
      this.#count = 0
      this.#taken.clear()
    }
    const { perIdentity, perTenant, total } = this.#limits
    const ofTenant = JSON.stringify([tenant])
    const ofIdentity = JSON.stringify([tenant, identity])
    const own = this.#taken.get(ofIdentity) ?? 0
    const all = this.#taken.get(ofTenant) ?? 0
    if (own >= perIdentity || all >= perTenant || this.#count >= total) return false
    this.#taken.set(ofIdentity, own + 1)
    this.#taken.set(ofTenant, all + 1)
    this.#count += 1
    return true
  }
}
