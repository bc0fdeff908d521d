import type { Database, SqlRow, SqlValue } from './database.ts'
import {
  askedAgain,
  type AskOutcome,
  type Challenge,
  type ClaimOwner,
  DOMAIN_LIMITS,
  type DomainClaim,
  type DomainFilter,
  type DomainLimits,
  type DomainStore,
  type IsClaimAsSeen,
  isSameState,
  type ProofState,
} from './domain-store.ts'
import {
  countShares,
  type LimitReached,
  limitReached,
  shareCounts,
  type ShareLimits,
} from './share-limits.ts'

const COUNT = countShares('domains', ['?1', '?2'])

/** Domains in a database. */
export class SqliteDomainStore implements DomainStore {
  onChange: () => void = () => {}
  readonly #database: Database
  readonly #limits: ShareLimits

  constructor(database: Database, limits: DomainLimits = {}) {
    this.#database = database
    this.#limits = { ...DOMAIN_LIMITS, ...limits }
  }

  /** @inheritdoc */
  list({ tenant, identity }: DomainFilter = {}): readonly DomainClaim[] {
    const sql = `SELECT * FROM domains
      WHERE (?1 IS NULL OR tenant = ?1) AND (?2 IS NULL OR identity = ?2)
      ORDER BY domain, tenant, identity`
    return this.#database.all(sql, tenant ?? null, identity ?? null).map(domainClaimOf)
  }

  /** @inheritdoc */
  find({ tenant, identity, domain }: ClaimOwner): DomainClaim | undefined {
    const sql = 'SELECT * FROM domains WHERE domain = ? AND tenant = ? AND identity = ?'
    return this.#one(sql, domain, tenant, identity)
  }

  /** @inheritdoc */
  holder(domain: string): DomainClaim | undefined {
    return this.#one('SELECT * FROM domains WHERE domain = ? AND proved_at IS NOT NULL', domain)
  }

  /** @inheritdoc */
  async ask(wanted: DomainClaim, isAsSeen?: IsClaimAsSeen): Promise<AskOutcome> {
    const outcome = this.#database.transaction(() => this.#ask(wanted, isAsSeen))
    if (outcome.ok) this.onChange()
    return outcome
  }

  /** @inheritdoc */
  async note(before: DomainClaim, state: ProofState): Promise<DomainClaim | undefined> {
    const claim = this.#database.transaction(() => {
      const found = this.#one('SELECT * FROM domains WHERE value = ?', before.value)
      if (found === undefined || !isSameState(found, before)) return undefined
      const holder = state.provedAt === undefined ? undefined : this.holder(found.domain)
      if (holder !== undefined && holder.value !== found.value) return undefined
      const { askedAt, checkedAt, provedAt, lostAt } = state
      this.#database.run(
        `UPDATE domains SET asked_at = ?, checked_at = ?, proved_at = ?, lost_at = ? WHERE value = ?`,
        askedAt,
        checkedAt ?? null,
        provedAt ?? null,
        lostAt ?? null,
        found.value,
      )
      return { ...found, askedAt, checkedAt, provedAt, lostAt }
    })
    if (claim !== undefined) this.onChange()
    return claim
  }

  /** @inheritdoc */
  async remove(value: string, isAsSeen?: IsClaimAsSeen): Promise<DomainClaim | undefined> {
    const found = this.#database.transaction(() => {
      const claim = this.#one('SELECT * FROM domains WHERE value = ?', value)
      if (isAsSeen?.(claim) === false || claim === undefined) return undefined
      this.#database.run('DELETE FROM domains WHERE value = ?', value)
      return claim
    })
    if (found !== undefined) this.onChange()
    return found
  }

  #ask(wanted: DomainClaim, isAsSeen: IsClaimAsSeen | undefined): AskOutcome {
    const found = this.find(wanted)
    if (isAsSeen?.(found) === false) return { ok: false, code: 'not-as-seen' }
    const holder = this.holder(wanted.domain)
    if (holder !== undefined && holder.value !== found?.value) {
      return { ok: false, code: 'domain-taken', claim: holder }
    }
    if (found !== undefined) {
      const claim = askedAgain(found, wanted)
      const sql = 'UPDATE domains SET endpoint = ?, challenge = ? WHERE value = ?'
      this.#database.run(sql, claim.endpoint, claim.challenge, claim.value)
      return { ok: true, isNew: false, claim }
    }
    const limit = this.#limitReached(wanted)
    if (limit !== undefined) return limit
    this.#database.run(
      `INSERT INTO domains
         (value, domain, tenant, endpoint, identity, asked_at, checked_at, proved_at, lost_at, challenge)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      ...valuesOf(wanted),
    )
    return { ok: true, isNew: true, claim: wanted }
  }

  #limitReached({ tenant, identity }: DomainClaim): LimitReached | undefined {
    const row = this.#database.one(COUNT, tenant, identity)
    return limitReached(tenant, shareCounts(row), this.#limits)
  }

  #one(sql: string, ...values: readonly SqlValue[]): DomainClaim | undefined {
    const row = this.#database.one(sql, ...values)
    return row && domainClaimOf(row)
  }
}

/** The values of a row of the table `domains`, in the order of its columns. */
export function valuesOf(claim: DomainClaim): SqlValue[] {
  const { value, domain, tenant, endpoint, identity, challenge } = claim
  const { askedAt, checkedAt = null, provedAt = null, lostAt = null } = claim
  const times = [askedAt, checkedAt, provedAt, lostAt]
  return [value, domain, tenant, endpoint, identity, ...times, challenge]
}

/** A row of the table `domains`. */
export function domainClaimOf(row: SqlRow): DomainClaim {
  const text = (name: string): string => String(row[name])
  // PostgreSQL gives numbers of 64 bits as texts.
  const time = (name: string): number | undefined =>
    row[name] === null ? undefined : Number(row[name])
  return {
    value: text('value'),
    domain: text('domain'),
    tenant: text('tenant'),
    endpoint: text('endpoint'),
    identity: text('identity'),
    askedAt: Number(row['asked_at']),
    checkedAt: time('checked_at'),
    provedAt: time('proved_at'),
    lostAt: time('lost_at'),
    challenge: text('challenge') as Challenge, // nothing else is written
  }
}
