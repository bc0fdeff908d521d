import { list, type Resolved, type RuleProblem, secret, setting, text, url } from '@proj/config'
import { isLoopback } from '@proj/config/address'

/** Whom an OpenID provider signs in to the console. */
export const OIDC_SETTINGS = {
  issuer: setting(url({ schemes: ['https', 'http'] }), {
    description:
      'OpenID provider that people sign in to the console with, as it names itself. http:// is for this machine alone.',
  }),
  clientId: setting(text(), { description: 'Name of the console at the provider.' }),
  clientSecret: setting(secret(), {
    description: 'Secret of that name. Default: none, as for a public client.',
  }),
  scopes: setting(
    list(text({ pattern: /[\x21\x23-\x5b\x5d-\x7e]+/, allowed: 'words without spaces' })),
    {
      default: ['openid'],
      description: 'Scopes to ask for besides openid: those that have the claims below.',
    },
  ),
  claim: setting(text(), {
    default: 'sub',
    description:
      'Claim that says who may use the console, such as email, groups, or realm_access.roles.',
  }),
  allow: setting(list(text()), {
    default: [],
    description: 'Values of that claim; who has one of them may do everything.',
  }),
  nameClaim: setting(text(), {
    default: 'sub',
    description: 'Claim that names people in the audit log, such as email.',
  }),
} as const

/** The values of {@link OIDC_SETTINGS}. */
export type OidcSettings = Resolved<typeof OIDC_SETTINGS>

/** A rule for `defineSettings`: a provider has a client, and somebody whom it lets in. */
export function* oidcRule({
  admin: { oidc },
}: {
  readonly admin: { readonly oidc: OidcSettings }
}): Generator<RuleProblem> {
  const { issuer, clientId, clientSecret, allow } = oidc
  if (issuer === undefined) {
    const lone =
      clientId !== undefined
        ? 'client_id'
        : clientSecret !== undefined
          ? 'client_secret'
          : allow.length > 0 && 'allow'
    if (lone !== false) {
      yield { key: `admin.oidc.${lone}`, message: 'nobody signs in with it: issuer is not set' }
    }
    return
  }
  const { protocol, hostname, search, hash } = new URL(issuer)
  if (protocol === 'http:' && !isOwnMachine(hostname)) {
    yield {
      key: 'admin.oidc.issuer',
      message:
        'the provider of another machine must have https://: who is on the way could sign in',
    }
  }
  if (search !== '' || hash !== '') {
    yield { key: 'admin.oidc.issuer', message: 'an issuer has no query and no fragment' }
  }
  if (clientId === undefined) {
    yield { key: 'admin.oidc.client_id', message: 'it is needed where issuer is set' }
  }
  if (allow.length === 0) {
    yield {
      key: 'admin.oidc.allow',
      message: 'it is empty, so that nobody may use the console: name values of the claim',
    }
  }
}

function isOwnMachine(hostname: string): boolean {
  // Names below localhost are asked of the name server on many systems, which may be that of somebody else.
  return hostname === 'localhost' || isLoopback(hostname.replace(/^\[(.*)\]$/, '$1'))
}
