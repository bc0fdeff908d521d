import { hasJwtKeys, jwtProblems, PIKO_JWT_SETTINGS } from '@proj/auth'
import { boolean, type Resolved, type RuleProblem, setting } from '@proj/config'

/** Which JWTs one port, or one tenant, accepts. The names are Piko's. */
export const AUTH_SETTINGS = {
  ...PIKO_JWT_SETTINGS,
  disableDisconnectOnExpiry: setting(boolean(), {
    default: 'false',
    description: 'Whether a session outlives the token it was opened with.',
    hidden: true,
  }),
} as const

/** The values of `AUTH_SETTINGS`. */
export type AuthSettings = Resolved<typeof AUTH_SETTINGS>

/** The settings that say who may do what. */
export interface AuthTree {
  readonly proxy: { readonly auth: AuthSettings }
  readonly upstream: {
    readonly auth: AuthSettings
    readonly tenants: readonly { readonly id: string; readonly auth: AuthSettings }[]
  }
  readonly admin: { readonly auth: AuthSettings }
}

/** A rule for `defineSettings`: every key can be used, and no key is set where it has no effect. */
export function* authRule({ proxy, upstream, admin }: AuthTree): Generator<RuleProblem> {
  const groups = [
    { key: 'proxy.auth', auth: proxy.auth },
    { key: 'upstream.auth', auth: upstream.auth },
    { key: 'admin.auth', auth: admin.auth },
    ...upstream.tenants.map(({ auth }, at) => ({ key: `upstream.tenants[${at}].auth`, auth })),
  ]
  for (const { key, auth } of groups) yield* jwtProblems(key, auth)
  for (const [at, { id, auth }] of upstream.tenants.entries()) {
    const key = `upstream.tenants[${at}]`
    if (!hasJwtKeys(auth)) yield { key: `${key}.id`, message: `the tenant ${id} has no key` }
    if (upstream.tenants.findIndex((other) => other.id === id) < at) {
      yield { key: `${key}.id`, message: `there are two tenants ${id}` }
    }
  }
  if (upstream.tenants.length > 0 && hasJwtKeys(upstream.auth)) {
    yield {
      key: 'upstream.tenants',
      message: 'agents name their tenant then, so the keys of upstream.auth are never used',
      severity: 'warning',
    }
  }
}
