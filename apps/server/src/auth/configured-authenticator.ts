import type { Rate } from '@proj/config'
import type { Logger } from '@proj/tunnel'

import type { OidcSettings } from '../admin/oidc/oidc-settings.ts'
import type { ShownKey } from '../admin/operator-key.ts'
import type { Store } from '../store/store.ts'
import type { TlsSettings } from '../tls/tls-settings.ts'
import type { AuthSettings, AuthTree } from './auth-settings.ts'
import { Authenticator, type PortDemands } from './authenticator.ts'
import { type PortAuth, portAuth } from './port-auth.ts'

/** The settings of one port that say who may use it. */
interface PortSettings {
  readonly auth: AuthSettings
  readonly tls: Pick<TlsSettings, 'clientCas'>
}

/** The settings an authenticator is made of. */
export interface AuthenticatorSettings extends AuthTree {
  readonly proxy: PortSettings
  readonly upstream: AuthTree['upstream'] & PortSettings & { readonly tenantsShareNames: boolean }
  readonly admin: PortSettings & { readonly oidc: Pick<OidcSettings, 'issuer'> }
  readonly handshakes: { readonly rate: Rate; readonly failureRate: Rate }
}

/** Makes the authenticator that a configuration describes; what is wrong with keys was said before. */
export function configuredAuthenticator(
  { proxy, upstream, admin, handshakes }: AuthenticatorSettings,
  {
    store,
    logger,
    operatorKey,
  }: {
    readonly store: Store
    readonly logger: Logger
    readonly operatorKey?: ShownKey | undefined
  },
): Authenticator {
  const tenants = new Map<string, PortAuth>()
  for (const { id, auth } of upstream.tenants) {
    const own = portAuth(auth, logger)
    if (own !== undefined) tenants.set(id, own)
  }
  const demands = ({ auth, tls }: PortSettings): PortDemands => ({
    auth: portAuth(auth, logger),
    hasClientAuthorities: tls.clientCas !== undefined,
  })
  return new Authenticator({
    ports: {
      proxy: demands(proxy),
      upstream: demands(upstream),
      admin: { ...demands(admin), hasSignIn: admin.oidc.issuer !== undefined },
    },
    tenants,
    tenantsShareNames: upstream.tenantsShareNames,
    handshakeRate: handshakes.rate,
    failureRate: handshakes.failureRate,
    operatorKey,
    tokens: store.tokens,
    audit: store.audit,
    logger,
  })
}
