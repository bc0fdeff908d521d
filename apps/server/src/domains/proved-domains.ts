import { randomBytes } from 'node:crypto'

import type { Logger } from '@proj/tunnel'
import type { Endpoint } from '@proj/tunnel/server'

import { resolveLimit } from '../limits.ts'
import { canonicalDomain, type DomainRule, DomainTable } from '../proxy/domains.ts'
import type { AuditEvent } from '../store/audit-log.ts'
import {
  type AskOutcome,
  type Challenge,
  CHALLENGES,
  type ClaimOwner,
  type DomainClaim,
  type IsClaimAsSeen,
  isSameState,
  type ProofState,
} from '../store/domain-store.ts'
import { isStoreError } from '../store/store-error.ts'
import type { Store } from '../store/store.ts'
import { CheckBudget } from './check-budget.ts'
import { PROOF_LIMITS } from './domain-settings.ts'
import { httpProof, proofUrl } from './http-proof.ts'
import { MAX_PROVABLE_CHARS, type ProofCheck, recordName, txtProof } from './txt-proof.ts'

/** How often the claims are looked at, ms. */
const LOOK_MS = 15_000

/** A domain that is not proved is looked at again after a share of its age, within these bounds, ms. */
const PENDING_CHECK = { min: 30_000, max: 3_600_000, share: 4 }

/** How long a domain may wait to be proved, ms; then it is forgotten. */
const PENDING_MS = 7 * 86_400_000

/** Checks at once. */
const CHECKS_AT_ONCE = 4

/** Checks in one minute: those that requests cause, and those that are due. */
const BUDGETS = {
  asked: { perIdentity: 10, perTenant: 40, total: 60 },
  due: { perIdentity: 30, perTenant: 80, total: 120 },
}

/** How proofs are looked for. */
export interface DomainProofOptions {
  /** How often the proof of a proved domain is looked for, ms, 1 min to 7 days. Default 6 h. */
  readonly intervalMs?: number
  /** How long it may be missing, ms, 0 to 30 days. Default 3 days. */
  readonly graceMs?: number
  /** How domains may be proved. Default: all of CHALLENGES. */
  readonly challenges?: readonly Challenge[] | undefined
  /** Look for proofs. Default: with the DNS servers of the system. */
  readonly checks?: Readonly<Record<Challenge, ProofCheck>>
  /** Ms since the epoch. Default: the clock of the system. */
  readonly now?: () => number
}

/** What domains are proved with. */
export interface ProvedDomainsParts extends DomainProofOptions {
  readonly store: Store
  /** Domains below which the server has its own names; none of them can be asked for. */
  readonly ownDomains: readonly string[]
  /**
   * Gets the rules when they change: those of the operator, and behind them the proved ones. `files` has what the
   * server answers at PROOF_PATH of the domains that were proved by HTTP, by domain.
   */
  readonly onRules: (table: DomainTable, files: ReadonlyMap<string, string>) => void
  readonly logger: Logger
}

/** A domain that an identity asks for. */
export interface DomainWish {
  readonly domain: string
  readonly endpoint: Endpoint
  readonly identity: string
  /** Default: as the identity has asked for before, else `txt`. */
  readonly challenge?: Challenge | undefined
  /** Default: its claim may be any. */
  readonly isAsSeen?: IsClaimAsSeen | undefined
}

/** Domains that lead to endpoints: those of the operator, and those that identities have proved to be theirs. */
export class ProvedDomains implements Disposable {
  readonly #parts: ProvedDomainsParts
  readonly #intervalMs: number
  readonly #graceMs: number
  readonly #challenges: ReadonlySet<Challenge>
  readonly #checks: Readonly<Record<Challenge, ProofCheck>>
  readonly #now: () => number
  readonly #asked = new CheckBudget(BUDGETS.asked)
  readonly #due = new CheckBudget(BUDGETS.due)
  readonly #ended = new AbortController()
  #operator: DomainTable
  #rules: readonly DomainRule[]
  #timer: NodeJS.Timeout | undefined

  /**
   * @param rules - the operator's.
   * @throws {RangeError} naming an option out of range.
   */
  constructor(rules: readonly DomainRule[], parts: ProvedDomainsParts) {
    this.#parts = parts
    this.#intervalMs = resolveLimit('intervalMs', PROOF_LIMITS.intervalMs, parts.intervalMs)
    this.#graceMs = resolveLimit('graceMs', PROOF_LIMITS.graceMs, parts.graceMs)
    this.#challenges = new Set(parts.challenges ?? CHALLENGES)
    this.#checks = parts.checks ?? { txt: txtProof([]), http: httpProof() }
    this.#now = parts.now ?? Date.now
    this.#rules = rules
    this.#operator = new DomainTable(rules)
    parts.store.domains.onChange = () => this.#tell()
    this.#tell()
  }

  /** Looks for proofs from now on, until this is disposed of. */
  start(): void {
    if (this.#ended.signal.aborted) return
    const look = async (): Promise<void> => {
      await this.checkDue()
      this.start()
    }
    this.#timer = setTimeout(() => void look(), LOOK_MS)
    this.#timer.unref()
  }

  /** Replaces the operator's rules. */
  setRules(rules: readonly DomainRule[]): void {
    this.#operator = new DomainTable(rules)
    this.#rules = rules
    this.#tell()
  }

  /** Why a domain cannot be asked for at this server; undefined: it can. */
  problemOf(domain: string): string | undefined {
    const isWildcard = domain.startsWith('*.')
    const name = isWildcard ? domain.slice(2) : domain
    if (!name.includes('.')) return `${name} is a top-level domain`
    if (name.length > MAX_PROVABLE_CHARS) {
      return `it is longer than ${MAX_PROVABLE_CHARS} characters`
    }
    if (this.#isOwn(domain)) return 'the server has its own names there'
    // A name that no rule has for itself shows whether the operator has all of them.
    const probe = isWildcard ? `_.${name}` : name
    const isGiven = this.#operator.find(probe) !== undefined
    return isGiven ? 'the operator of the server has given it away' : undefined
  }

  /** Why a domain cannot be proved in a way; undefined: it can. */
  challengeProblemOf(domain: string, challenge: Challenge): string | undefined {
    if (!this.#challenges.has(challenge)) {
      return `this server takes no proof by ${challenge} (domain_proof.challenges)`
    }
    const isTooWide = challenge === 'http' && domain.startsWith('*.')
    return isTooWide ? 'a web server proves no wildcard: use a TXT record' : undefined
  }

  /** How an identity proves a domain, where it does not say: as before. */
  challengeOf(owner: ClaimOwner): Challenge {
    const [first = 'txt'] = this.#challenges
    return this.#parts.store.domains.find(owner)?.challenge ?? first
  }

  /**
   * Stores that an identity asks for a domain, and looks for its proof.
   *
   * @param wish - its domain is canonical and has no `problemOf`, and no `challengeProblemOf`.
   */
  async ask(wish: DomainWish): Promise<AskOutcome> {
    const { domain, endpoint, identity, challenge, isAsSeen } = wish
    const { store } = this.#parts
    const { tenant } = endpoint
    const wanted = {
      challenge: challenge ?? this.challengeOf({ tenant, identity, domain }),
      value: randomBytes(20).toString('hex'),
      domain,
      tenant,
      endpoint: endpoint.name,
      identity,
      askedAt: this.#now(),
      checkedAt: undefined,
      provedAt: undefined,
      lostAt: undefined,
    }
    const outcome = await store.domains.ask(wanted, isAsSeen)
    if (!outcome.ok || isServed(outcome.claim)) return outcome
    const claim = (await this.checkNow(outcome.claim)) ?? outcome.claim
    return { ...outcome, claim }
  }

  /**
   * Looks for the proof of a domain at once.
   *
   * @returns the claim as it is then; undefined when its identity has caused as many checks as it may.
   */
  async checkNow(claim: DomainClaim): Promise<DomainClaim | undefined> {
    if (!this.#asked.take(claim, this.#now())) return undefined
    await this.#checkOne(claim)
    return this.#parts.store.domains.find(claim) ?? claim
  }

  /** Looks for the proofs that are due, some of them at once. Never rejects. */
  async checkDue(): Promise<void> {
    // A command is another process, and may have removed some.
    this.#tell()
    try {
      const now = this.#now()
      const due = this.#parts.store.domains
        .list()
        .filter((claim) => now >= this.#dueAt(claim) || (claim.checkedAt ?? 0) > now)
        .toSorted((one, other) => (one.checkedAt ?? 0) - (other.checkedAt ?? 0))
        .filter((claim) => this.#due.take(claim, now))
      const waiting = due.values()
      const work = async (): Promise<void> => {
        for (const claim of waiting) await this.#checkOne(claim)
      }
      await Promise.all(Array.from({ length: CHECKS_AT_ONCE }, work))
    } catch (error) {
      // Another process has the data directory now, or this one ends.
      if (isStoreError(error, 'STORE_HANDED_OVER') || isStoreError(error, 'STORE_CLOSED')) return
      this.#parts.logger.error({ err: error }, 'the proofs of domains cannot be checked now')
    }
  }

  /** Stops looking. */
  [Symbol.dispose](): void {
    clearTimeout(this.#timer)
    this.#ended.abort()
    this.#parts.store.domains.onChange = () => {}
  }

  async #checkOne(claim: DomainClaim): Promise<void> {
    const { signal } = this.#ended
    const found = await this.#checks[claim.challenge](claim.domain, claim.value, signal)
    if (signal.aborted) return
    const now = this.#now()
    const { askedAt, provedAt } = claim
    const checked = { askedAt, checkedAt: now, provedAt, lostAt: claim.lostAt }
    if (found === 'proved') {
      const isNew = provedAt === undefined
      const state = { ...checked, provedAt: provedAt ?? now, lostAt: undefined }
      return await this.#note(claim, state, isNew ? 'domain.proved' : undefined)
    }
    if (provedAt === undefined) {
      if (now - askedAt < PENDING_MS) return await this.#note(claim, checked)
      // Another check may have found the proof meanwhile.
      const removed = await this.#parts.store.domains.remove(claim.value, (now) => {
        return now !== undefined && isSameState(now, claim)
      })
      if (removed !== undefined) this.#write('domain.removed', removed, { why: 'not proved' })
      return
    }
    // A server that does not answer says nothing about who owns the domain.
    if (found === 'unknown') return await this.#note(claim, checked)
    const lostAt = claim.lostAt ?? now
    if (now - lostAt >= this.#graceMs) {
      const off = { ...checked, askedAt: now, provedAt: undefined, lostAt: undefined }
      return await this.#note(claim, off, 'domain.lost')
    }
    const isNew = claim.lostAt === undefined
    await this.#note(claim, { ...checked, lostAt }, isNew ? 'domain.missing' : undefined)
  }

  async #note(before: DomainClaim, state: ProofState, event?: AuditEvent): Promise<void> {
    const claim = await this.#parts.store.domains.note(before, state)
    if (claim === undefined || event === undefined) return
    this.#write(event, claim)
    if (event === 'domain.proved') return
    const { domain, endpoint, value, challenge } = before
    const hint =
      challenge === 'txt'
        ? `the TXT record ${recordName(domain)} must be ${value}`
        : `${proofUrl(domain)} must have ${value}, or ${domain} must point to this server`
    const isOff = event === 'domain.lost'
    this.#parts.logger.warn(
      { domain, endpoint, hint, ...(!isOff && { graceMs: this.#graceMs }) },
      isOff ? 'domain switched off: its proof is missing' : 'the proof of a domain is missing',
    )
  }

  #write(event: AuditEvent, claim: DomainClaim, more: Readonly<Record<string, string>> = {}): void {
    const { domain, endpoint, tenant, identity } = claim
    this.#parts.store.audit.write(event, { domain, endpoint, tenant, identity, ...more })
  }

  #dueAt({ checkedAt, askedAt, provedAt, lostAt }: DomainClaim): number {
    if (checkedAt === undefined) return -Infinity
    if (provedAt !== undefined && lostAt === undefined) return checkedAt + this.#intervalMs
    const { min, max, share } = PENDING_CHECK
    const age = checkedAt - (lostAt ?? askedAt)
    return checkedAt + Math.min(this.#intervalMs, max, Math.max(min, age / share))
  }

  /** Tells which domains lead where. */
  #tell(): void {
    let proved: readonly DomainClaim[] = []
    try {
      proved = this.#parts.store.domains
        .list()
        .filter((claim) => claim.provedAt !== undefined && !this.#isOwn(claim.domain))
    } catch (error) {
      this.#parts.logger.error({ err: error }, 'proved domains cannot be read')
    }
    const rules = proved.map(({ domain, tenant, endpoint: name }) => ({
      domain,
      endpoint: { tenant, name },
    }))
    const files = proved.flatMap(({ domain, challenge, value }): [string, string][] =>
      challenge === 'http' ? [[domain, value]] : [],
    )
    this.#parts.onRules(new DomainTable(this.#rules, rules), new Map(files))
  }

  /** Whether a domain stands for a name that the server has itself. */
  #isOwn(domain: string): boolean {
    const name = domain.replace(/^\*\./, '')
    return this.#parts.ownDomains.some(
      (own) =>
        own === name || name.endsWith(`.${own}`) || (name !== domain && own.endsWith(`.${name}`)),
    )
  }
}

/** Whether a domain is proved and nothing is wrong with it. */
function isServed({ provedAt, lostAt }: DomainClaim): boolean {
  return provedAt !== undefined && lostAt === undefined
}

/** Domains of the server itself, in their canonical form. */
export function ownDomainsOf(options: {
  readonly baseDomains: readonly string[]
  readonly tenantDomains: readonly { readonly baseDomain: string }[]
  readonly publicUrl: string | undefined
}): string[] {
  const { baseDomains, tenantDomains, publicUrl } = options
  const outside = publicUrl === undefined ? [] : [new URL(publicUrl).hostname]
  const all = [...baseDomains, ...tenantDomains.map(({ baseDomain }) => baseDomain), ...outside]
  return all.flatMap((one) => canonicalDomain(one) ?? [])
}
