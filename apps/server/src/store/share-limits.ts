/** How many entries of one kind, names or domains, may be stored. */
export interface ShareLimits {
  /** Of one identity of one tenant. */
  readonly maxPerIdentity: number
  /** Of one tenant. Those of no tenant are held to `maxTotal` only. */
  readonly maxPerTenant: number
  /** On the whole server, or in the whole cluster. */
  readonly maxTotal: number
}

/** How many there are. */
export interface ShareCounts {
  readonly ofIdentity: number
  readonly ofTenant: number
  readonly all: number
}

/** There is no room for one more. */
export interface LimitReached {
  readonly ok: false
  readonly code: 'limit-reached'
  readonly limit: number
  /** Whose limit it is. */
  readonly of: 'identity' | 'tenant' | 'server'
}

/** Says which limit leaves no room for one more entry of a tenant. */
export function limitReached(
  tenant: string,
  { ofIdentity, ofTenant, all }: ShareCounts,
  { maxPerIdentity, maxPerTenant, maxTotal }: ShareLimits,
): LimitReached | undefined {
  const reached = (of: LimitReached['of'], limit: number): LimitReached => {
    return { ok: false, code: 'limit-reached', limit, of }
  }
  if (ofIdentity >= maxPerIdentity) return reached('identity', maxPerIdentity)
  if (tenant !== '' && ofTenant >= maxPerTenant) return reached('tenant', maxPerTenant)
  return all >= maxTotal ? reached('server', maxTotal) : undefined
}

/** The text of a refusal: `no more than 100 names can be reserved for this identity`. */
export function limitText({ limit, of }: LimitReached, what: string): string {
  const whom = of === 'server' ? 'at this server' : `for this ${of}`
  return `no more than ${limit} ${what} ${whom}`
}

/**
 * The statement that counts, one row with the columns of ShareCounts. Parameters: tenant, identity. Each count is read from
 * an index of its own.
 *
 * @param marks - of the two parameters.
 */
export function countShares(table: string, [tenant, identity]: readonly [string, string]): string {
  return `SELECT
    (SELECT count(*) FROM ${table} WHERE tenant = ${tenant} AND identity = ${identity}) AS "ofIdentity",
    (SELECT count(*) FROM ${table} WHERE tenant = ${tenant}) AS "ofTenant",
    (SELECT count(*) FROM ${table}) AS "all"`
}

/** The row of {@link countShares}. PostgreSQL gives counts as texts. */
export function shareCounts(row: Readonly<Record<string, unknown>> | undefined): ShareCounts {
  const count = (name: keyof ShareCounts): number => Number(row?.[name] ?? 0)
  return { ofIdentity: count('ofIdentity'), ofTenant: count('ofTenant'), all: count('all') }
}
