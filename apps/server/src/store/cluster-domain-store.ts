import type { SqlRow } from './database.ts'
import {
  askedAgain,
  type AskOutcome,
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
import type { Query } from './postgres.ts'
import {
  countShares,
  type LimitReached,
  limitReached,
  shareCounts,
  type ShareLimits,
} from './share-limits.ts'
import type { Changed, SharedTables } from './shared-tables.ts'
import { domainClaimOf, type SqliteDomainStore, valuesOf } from './sqlite-domain-store.ts'

const COUNT = countShares('adit_domains', ['$1', '$2'])

/** What the domains of a cluster are made of. */
export interface ClusterDomainStoreOptions {
  /** Makes the changes, alone with the table. */
  readonly shared: SharedTables
  /** The copy in the file of this server. */
  readonly copy: SqliteDomainStore
  /** Default: DOMAIN_LIMITS. */
  readonly limits?: DomainLimits | undefined
}

/** Domains that are asked for in a cluster: changed in its database, read from the copy of this server. */
export class ClusterDomainStore implements DomainStore {
  /** Called by the store of the cluster, after changes were taken over. */
  onChange: () => void = () => {}
  readonly #shared: SharedTables
  readonly #copy: SqliteDomainStore
  readonly #limits: ShareLimits

  constructor({ shared, copy, limits }: ClusterDomainStoreOptions) {
    this.#shared = shared
    this.#copy = copy
    this.#limits = { ...DOMAIN_LIMITS, ...limits }
  }

  /** @inheritdoc */
  list(filter?: DomainFilter): readonly DomainClaim[] {
    return this.#copy.list(filter)
  }

  /** @inheritdoc */
  find(owner: ClaimOwner): DomainClaim | undefined {
    return this.#copy.find(owner)
  }

  /** @inheritdoc */
  holder(domain: string): DomainClaim | undefined {
    return this.#copy.holder(domain)
  }

  /** @inheritdoc */
  async ask(wanted: DomainClaim, isAsSeen?: IsClaimAsSeen): Promise<AskOutcome> {
    return await this.#shared.change(
      'domains',
      async (query) => await this.#ask(query, wanted, isAsSeen),
    )
  }

  /** @inheritdoc */
  async note(before: DomainClaim, state: ProofState): Promise<DomainClaim | undefined> {
    return await this.#shared.change('domains', async (query) => {
      const found = claimIn(
        await query('SELECT * FROM adit_domains WHERE value = $1', before.value),
      )
      if (found === undefined || !isSameState(found, before)) return UNCHANGED
      const holder = state.provedAt === undefined ? undefined : await holderIn(query, found.domain)
      if (holder !== undefined && holder.value !== found.value) return UNCHANGED
      const { askedAt, checkedAt, provedAt, lostAt } = state
      const rows = await query(
        `UPDATE adit_domains SET asked_at = $1, checked_at = $2, proved_at = $3, lost_at = $4
           WHERE value = $5 RETURNING *`,
        askedAt,
        checkedAt ?? null,
        provedAt ?? null,
        lostAt ?? null,
        found.value,
      )
      return { result: claimIn(rows), change: changeOf(found.value, rows[0]) }
    })
  }

  /** @inheritdoc */
  async remove(value: string, isAsSeen?: IsClaimAsSeen): Promise<DomainClaim | undefined> {
    return await this.#shared.change<DomainClaim | undefined>('domains', async (query) => {
      const found = claimIn(await query('SELECT * FROM adit_domains WHERE value = $1', value))
      if (isAsSeen?.(found) === false || found === undefined) return UNCHANGED
      await query('DELETE FROM adit_domains WHERE value = $1', value)
      return { result: found, change: changeOf(value, undefined) }
    })
  }

  /** Alone with the table: what is counted here is true when the row is written. */
  async #ask(
    query: Query,
    wanted: DomainClaim,
    isAsSeen: IsClaimAsSeen | undefined,
  ): Promise<Changed<AskOutcome>> {
    const { domain, tenant, identity } = wanted
    const found = claimIn(
      await query(
        'SELECT * FROM adit_domains WHERE domain = $1 AND tenant = $2 AND identity = $3',
        domain,
        tenant,
        identity,
      ),
    )
    if (isAsSeen?.(found) === false) {
      return { result: { ok: false, code: 'not-as-seen' }, change: undefined }
    }
    const holder = await holderIn(query, domain)
    if (holder !== undefined && holder.value !== found?.value) {
      const result = { ok: false, code: 'domain-taken', claim: holder } as const
      return { result, change: undefined }
    }
    const limit = found === undefined ? await this.#limitReached(query, wanted) : undefined
    if (limit !== undefined) return { result: limit, change: undefined }
    const again = found && askedAgain(found, wanted)
    const [row] =
      again === undefined
        ? await query(
            `INSERT INTO adit_domains
               (value, domain, tenant, endpoint, identity, asked_at, checked_at, proved_at, lost_at, challenge)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING *`,
            ...valuesOf(wanted),
          )
        : await query(
            'UPDATE adit_domains SET endpoint = $1, challenge = $2 WHERE value = $3 RETURNING *',
            again.endpoint,
            again.challenge,
            again.value,
          )
    const claim = domainClaimOf(row as SqlRow) // it was just written
    return {
      result: { ok: true, isNew: found === undefined, claim },
      change: changeOf(claim.value, row),
    }
  }

  async #limitReached(
    query: Query,
    { tenant, identity }: DomainClaim,
  ): Promise<LimitReached | undefined> {
    const [row] = await query(COUNT, tenant, identity)
    return limitReached(tenant, shareCounts(row), this.#limits)
  }
}

const UNCHANGED = { result: undefined, change: undefined }

function changeOf(value: string, row: SqlRow | undefined) {
  return { tenant: '', key: value, row }
}

function claimIn([row]: readonly SqlRow[]): DomainClaim | undefined {
  return row && domainClaimOf(row)
}

async function holderIn(query: Query, domain: string): Promise<DomainClaim | undefined> {
  const sql = 'SELECT * FROM adit_domains WHERE domain = $1 AND proved_at IS NOT NULL'
  return claimIn(await query(sql, domain))
}
