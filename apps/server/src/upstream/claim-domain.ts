import {
  type ClaimContext,
  claimName,
  conflictText,
  type Endpoint,
  type NameConflict,
} from '@proj/tunnel/server'

import { publicSuffixProblem } from '../domains/public-suffix.ts'
import type { ProvedDomains } from '../domains/proved-domains.ts'
import { canonicalDomain } from '../proxy/domains.ts'
import {
  type Challenge,
  CHALLENGES,
  type DomainClaim,
  type IsClaimAsSeen,
} from '../store/domain-store.ts'
import { limitText } from '../store/share-limits.ts'
import type { Store } from '../store/store.ts'
import { nameProblem } from './reserve-name.ts'

/** What a request for a domain needs. */
export interface ClaimDomainContext extends ClaimContext {
  /** Where domains are stored. */
  readonly store: Store
  readonly domains: ProvedDomains
}

/** A domain that an identity wants for an endpoint. */
export interface ClaimWish {
  /** As it was written. */
  readonly domain: string
  readonly endpoint: Endpoint
  readonly identity: string
  /** Default: as the identity has asked for before, else the first that the server takes. */
  readonly challenge?: Challenge | undefined
  /** Default: its claim may be any. */
  readonly isAsSeen?: IsClaimAsSeen | undefined
}

/** Why a domain is refused, and with which status of HTTP. */
export const DOMAIN_REFUSALS = {
  'endpoint-invalid': 400,
  'domain-invalid': 400,
  'domain-refused': 403,
  'challenge-refused': 403,
  'challenge-fixed': 409,
  'domain-taken': 409,
  'limit-reached': 409,
  'name-taken': 409,
  'not-as-seen': 412,
  'not-durable': 503,
} as const

/** One of {@link DOMAIN_REFUSALS}. */
export type DomainRefusal = keyof typeof DOMAIN_REFUSALS

/** What became of a request for a domain. */
export type ClaimOutcome =
  /** It is stored; `hasChanged`: it was not, or with another endpoint or challenge. */
  | {
      readonly code: 'asked'
      readonly isNew: boolean
      readonly hasChanged: boolean
      readonly claim: DomainClaim
    }
  | {
      readonly code: DomainRefusal
      /** The reason in one sentence. It does not name another identity. */
      readonly message: string
      /** Who has the endpoint, for `name-taken`. */
      readonly conflict?: NameConflict
      /** Who has proved the domain, for `domain-taken`. */
      readonly holder?: DomainClaim
    }

const NOT_DURABLE = 'domains would be lost when this server ends: it cannot write to its data_dir'

/** Stores that an identity asks for a domain, and looks for its proof. */
export async function claimDomain(
  { domain: text, endpoint, identity, challenge, isAsSeen }: ClaimWish,
  context: ClaimDomainContext,
): Promise<ClaimOutcome> {
  const { store, domains } = context
  const problem = nameProblem(endpoint.name)
  if (problem !== undefined) return { code: 'endpoint-invalid', message: problem }
  const domain = canonicalDomain(text)
  if (domain === undefined) return { code: 'domain-invalid', message: notADomain(text) }
  if (store.file === undefined) return { code: 'not-durable', message: NOT_DURABLE }
  const why = domains.problemOf(domain) ?? (await publicSuffixProblem(domain))
  if (why !== undefined) return { code: 'domain-refused', message: `${domain} is refused: ${why}` }
  const owner = { tenant: endpoint.tenant, identity, domain }
  const way = challenge ?? domains.challengeOf(owner)
  const unfit = domains.challengeProblemOf(domain, way)
  if (unfit !== undefined) return { code: 'challenge-refused', message: unfit }
  const before = store.domains.find(owner)
  if (before?.provedAt !== undefined && before.challenge !== way) {
    const message = `${domain} is proved by ${before.challenge}: remove it to prove it by ${way}`
    return { code: 'challenge-fixed', message }
  }
  const conflict = claimName({ endpoint, identity }, context)
  if (conflict !== undefined) {
    return { code: 'name-taken', message: conflictText(endpoint.name, conflict), conflict }
  }
  const outcome = await domains.ask({ domain, endpoint, identity, challenge: way, isAsSeen })
  if (outcome.ok) {
    const { isNew, claim } = outcome
    const hasChanged = before?.endpoint !== claim.endpoint || before.challenge !== claim.challenge
    return { code: 'asked', isNew, hasChanged: isNew || hasChanged, claim }
  }
  if (outcome.code === 'limit-reached') {
    const message =
      outcome.limit === 0
        ? 'agents cannot ask for domains at this server'
        : limitText(outcome, 'domains can be asked for')
    return { code: outcome.code, message }
  }
  if (outcome.code === 'not-as-seen') {
    return { code: outcome.code, message: 'the domain was changed meanwhile' }
  }
  // The other identity may be of another tenant, so it is not named.
  const message = `${domain} is proved by another identity`
  return { code: outcome.code, message, holder: outcome.claim }
}

/** Reads a challenge; undefined: it is none. */
export function challengeIn(value: unknown): Challenge | undefined {
  return CHALLENGES.find((one) => one === value)
}

/** Says that a text is no domain. */
export function notADomain(text: string): string {
  return `not a domain: ${JSON.stringify(text.slice(0, 253))}`
}
