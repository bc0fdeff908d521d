/**
 * Signs people in with an OpenID provider: authorization code with PKCE (RFC 7636), state and nonce. The steps and
 * their checks are those of oauth4webapi; the keys of the provider are read, and signatures verified, as those of
 * other JWTs.
 */
import type { Logger } from '@proj/tunnel'
import type * as OAuth from 'oauth4webapi'

import { isPersonName } from '../../auth/person-name.ts'
import { claimTexts, joinedClaims } from './claim-texts.ts'
import {
  OIDC_LIMITS,
  type OidcOptions,
  type OidcParts,
  OidcProvider,
  type ProviderHttp,
} from './oidc-provider.ts'
import type { OidcSettings } from './oidc-settings.ts'
import { SealedText } from './sealed-text.ts'
import { messageOf, SignInError, signInError, wordOf } from './sign-in-error.ts'

/** A sign-in that has begun. */
export interface BegunSignIn {
  /** Where the browser goes. */
  readonly url: string
  /** What the page keeps and sends with the answer. */
  readonly pending: string
}

/** What is kept, sealed, by the page that began. */
interface Pending {
  readonly state: string
  readonly nonce: string
  readonly verifier: string
  readonly redirect: string
  /** By the clock of {@link OidcParts}, ms. */
  readonly until: number
}

/** Signs people in with one provider. */
export class OidcSignIn {
  readonly #options: OidcOptions
  readonly #limits: typeof OIDC_LIMITS
  readonly #provider: OidcProvider
  readonly #now: () => number
  readonly #sealed = new SealedText()
  #atOnce = 0

  constructor(options: OidcOptions, parts: OidcParts) {
    this.#options = options
    this.#limits = { ...OIDC_LIMITS, ...parts.limits }
    this.#provider = new OidcProvider(options, parts)
    this.#now = parts.now ?? (() => performance.now())
  }

  /** Host of the provider, for people. */
  get host(): string {
    return new URL(this.#options.issuer).host
  }

  /**
   * Begins a sign-in.
   *
   * @param redirect - address of the page, to which the provider sends the browser back.
   * @throws {SignInError}
   */
  async begin(redirect: string): Promise<BegunSignIn> {
    const oauth = await import('oauth4webapi')
    const { authorizationUrl } = await this.#provider.read(oauth)
    const pending: Pending = {
      state: oauth.generateRandomState(),
      nonce: oauth.generateRandomNonce(),
      verifier: oauth.generateRandomCodeVerifier(),
      redirect,
      until: this.#now() + this.#limits.pendingMs,
    }
    const url = new URL(authorizationUrl)
    const parameters = {
      client_id: this.#options.clientId,
      redirect_uri: redirect,
      response_type: 'code',
      scope: [...new Set(['openid', ...this.#options.scopes])].join(' '),
      state: pending.state,
      nonce: pending.nonce,
      code_challenge: await oauth.calculatePKCECodeChallenge(pending.verifier),
      code_challenge_method: 'S256',
    }
    for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value)
    return { url: url.href, pending: this.#sealed.seal(JSON.stringify(pending)) }
  }

  /**
   * Ends a sign-in with what the provider has added to the address of the page.
   *
   * @returns identity of the person, `oidc:` and a name.
   * @throws {SignInError}
   */
  async finish(pending: string, query: string): Promise<string> {
    const begun = this.#begun(pending)
    if (this.#atOnce >= this.#limits.maxAtOnce) {
      throw new SignInError('busy', `${this.#atOnce} sign-ins are under way`)
    }
    this.#atOnce += 1
    try {
      return await this.#redeem(begun, new URLSearchParams(query))
    } finally {
      this.#atOnce -= 1
    }
  }

  #begun(pending: string): Pending {
    const text = this.#sealed.open(pending)
    if (text === undefined) throw new SignInError('invalid', 'it was not begun at this server')
    const begun = JSON.parse(text) as Pending
    if (this.#now() >= begun.until) throw new SignInError('invalid', 'it was begun too long ago')
    return begun
  }

  async #redeem(begun: Pending, query: URLSearchParams): Promise<string> {
    const oauth = await import('oauth4webapi')
    const { server, tokens } = await this.#provider.read(oauth)
    const { clientId, clientSecret } = this.#options
    const client: OAuth.Client = {
      client_id: clientId,
      [oauth.clockTolerance]: this.#limits.toleranceMs / 1000,
    }
    const answer = validAnswer(oauth, { server, client, query, state: begun.state })
    const http = this.#provider.http(oauth)
    try {
      const response = await oauth.authorizationCodeGrantRequest(
        server,
        client,
        authentication(oauth, server, clientSecret?.reveal()),
        answer,
        begun.redirect,
        begun.verifier,
        http,
      )
      const granted = await oauth.processAuthorizationCodeResponse(server, client, response, {
        expectedNonce: begun.nonce,
        requireIdToken: true,
      })
      // What is there has been checked but for the signature.
      const claims = await tokens.claims(granted.id_token ?? '')
      const own = this.#judge(claims)
      if (own !== undefined) return own
      const more = await this.#userInfo(oauth, { server, client, granted, http, claims })
      return this.#judge(joinedClaims(claims, more)) ?? this.#unnamed()
    } catch (error) {
      throw signInError(oauth, error)
    }
  }

  /** Many providers tell groups and addresses here alone. */
  async #userInfo(
    oauth: typeof OAuth,
    {
      server,
      client,
      granted,
      http,
      claims,
    }: {
      readonly server: OAuth.AuthorizationServer
      readonly client: OAuth.Client
      readonly granted: OAuth.TokenEndpointResponse
      readonly http: ProviderHttp
      readonly claims: Readonly<Record<string, unknown>>
    },
  ): Promise<Readonly<Record<string, unknown>>> {
    if (server.userinfo_endpoint === undefined) return {}
    const asked = await oauth.userInfoRequest(server, client, granted.access_token, http)
    return await oauth.processUserInfoResponse(server, client, String(claims['sub']), asked)
  }

  /** The identity; undefined when a claim is missing that the provider may tell elsewhere. */
  #judge(claims: Readonly<Record<string, unknown>>): string | undefined {
    const { claim, allow, nameClaim } = this.#options
    const values = claimTexts(claims, claim)
    const [name] = claimTexts(claims, nameClaim)
    if (values.length === 0 || name === undefined) return undefined
    if (!values.some((value) => allow.includes(value))) {
      throw new SignInError('refused', `no value of the claim ${claim} is in admin.oidc.allow`)
    }
    if (!isPersonName(name)) {
      throw new SignInError('refused', `the claim ${nameClaim} is no name`)
    }
    return `oidc:${name}`
  }

  #unnamed(): never {
    const { claim, nameClaim } = this.#options
    const names = [...new Set([claim, nameClaim])].join(' or ')
    throw new SignInError(
      'refused',
      `the provider tells no claim ${names}, or an email that it has not verified`,
    )
  }
}

/** The sign-in that the settings describe; undefined: none. */
export function configuredOidc(
  { issuer, clientId, ...settings }: OidcSettings,
  logger: Logger,
): OidcSignIn | undefined {
  if (issuer === undefined || clientId === undefined) return undefined
  return new OidcSignIn({ issuer, clientId, ...settings }, { logger })
}

/** Checks state and issuer of what the browser brings back. */
function validAnswer(
  oauth: typeof OAuth,
  {
    server,
    client,
    query,
    state,
  }: {
    readonly server: OAuth.AuthorizationServer
    readonly client: OAuth.Client
    readonly query: URLSearchParams
    readonly state: string
  },
): URLSearchParams {
  try {
    return oauth.validateAuthResponse(server, client, query, state)
  } catch (error) {
    if (error instanceof oauth.AuthorizationResponseError) {
      throw new SignInError('refused', `the provider refused: ${wordOf(error.error)}`)
    }
    throw new SignInError('invalid', messageOf(error))
  }
}

function authentication(
  oauth: typeof OAuth,
  {
    token_endpoint_auth_methods_supported: methods = ['client_secret_basic'],
  }: OAuth.AuthorizationServer,
  secret: string | undefined,
): OAuth.ClientAuth {
  if (secret === undefined) return oauth.None()
  return methods.includes('client_secret_basic') || !methods.includes('client_secret_post')
    ? oauth.ClientSecretBasic(secret)
    : oauth.ClientSecretPost(secret)
}
