import { printable } from '@proj/config'
import { formatTable } from '@proj/program-kit'

import type { TokenRecord } from '../store/token-store.ts'

/** A token as `--json` shows it, without its hash. */
export function describeToken(token: TokenRecord): Record<string, unknown> {
  const { id, identity, name, tenant, rights, endpoints } = token
  const iso = (at: number | undefined): string | null =>
    at === undefined ? null : new Date(at).toISOString()
  return {
    id,
    identity,
    name,
    tenant,
    may: rights,
    endpoints,
    created: iso(token.createdAt),
    expires: iso(token.expiresAt),
    revoked: iso(token.revokedAt),
    lastUse: iso(token.lastUsedAt),
    state: stateOf(token),
  }
}

/** Formats tokens for a person, one per line. */
export function formatTokens(tokens: readonly TokenRecord[]): string {
  if (tokens.length === 0) return 'no tokens\n'
  const heads = ['ID', 'NAME', 'TENANT', 'MAY', 'ENDPOINTS', 'STATE', 'EXPIRES', 'LAST USE']
  const rows = tokens.map((token) => [
    token.id,
    token.name === '' ? '-' : printable(token.name),
    token.tenant === '' ? '-' : printable(token.tenant),
    token.rights.join(','),
    token.endpoints.map(printable).join(',') || '-',
    stateOf(token),
    minute(token.expiresAt) ?? 'never',
    minute(token.lastUsedAt) ?? 'never',
  ])
  const used = heads.map((_, column) => column !== 2 || rows.some((row) => row[column] !== '-'))
  return formatTable([heads, ...rows].map((row) => row.filter((_, column) => used[column])))
}

function stateOf({ revokedAt, expiresAt }: TokenRecord): 'good' | 'expired' | 'revoked' {
  if (revokedAt !== undefined) return 'revoked'
  return expiresAt !== undefined && expiresAt <= Date.now() ? 'expired' : 'good'
}

function minute(at: number | undefined): string | undefined {
  return at === undefined ? undefined : `${new Date(at).toISOString().slice(0, 16)}Z`
}
