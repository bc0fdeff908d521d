/** An OpenID provider: its description, its keys, and how it is asked. */
import { JwtVerifier, KeySet } from '@proj/auth'
import type { Logger } from '@proj/tunnel'
import type * as OAuth from 'oauth4webapi'

import type { OidcSettings } from './oidc-settings.ts'
import { SignInError, signInError } from './sign-in-error.ts'

/** Limits of signing in with a provider. */
export const OIDC_LIMITS: {
  readonly pendingMs: number
  readonly timeoutMs: number
  readonly maxAnswerBytes: number
  readonly maxIdTokenBytes: number
  readonly maxAtOnce: number
  readonly metadataMs: number
  readonly retryMs: number
  readonly toleranceMs: number
} = Object.freeze({
  /** Time from the press to the return from the provider, ms. */
  pendingMs: 10 * 60_000,
  /** Time for each answer of the provider, ms. */
  timeoutMs: 10_000,
  /** Longest answer of the provider, bytes. */
  maxAnswerBytes: 256 * 1024,
  /** Longest ID token, bytes: in it are the groups of a person, several hundred at some providers. */
  maxIdTokenBytes: 64 * 1024,
  /** Sign-ins whose code is being redeemed at once. */
  maxAtOnce: 16,
  /** How old the description of the provider may be, ms. */
  metadataMs: 3_600_000,
  /** Least time from a failed read of it to the next, ms. */
  retryMs: 2_000,
  /** Difference of the clocks of server and provider that is accepted, ms. */
  toleranceMs: 60_000,
})

/** The provider, as it describes itself. */
export interface Provider {
  readonly server: OAuth.AuthorizationServer
  /** Where people sign in. */
  readonly authorizationUrl: string
  /** Verifies its ID tokens. */
  readonly tokens: JwtVerifier
}

/** How the provider is asked. */
export type ProviderHttp = OAuth.HttpRequestOptions<'GET'> &
  OAuth.HttpRequestOptions<'POST', URLSearchParams>

/** A request as oauth4webapi makes it. */
type CustomRequest = OAuth.CustomFetchOptions<'GET' | 'POST', URLSearchParams | undefined>

/** What a provider is and whom it signs in. */
export interface OidcOptions extends Omit<OidcSettings, 'issuer' | 'clientId'> {
  /** As in the settings, where it is optional. */
  readonly issuer: string
  /** As in the settings, where it is optional. */
  readonly clientId: string
}

/** What a provider and its sign-ins work with. */
export interface OidcParts {
  readonly logger: Logger
  /** Default: {@link OIDC_LIMITS}. */
  readonly limits?: Partial<typeof OIDC_LIMITS>
  /** Milliseconds that only ever grow, for ages. Default: `performance.now`. */
  readonly now?: () => number
}

/** Asks one provider. */
export class OidcProvider {
  readonly #options: OidcOptions
  readonly #limits: typeof OIDC_LIMITS
  readonly #logger: Logger
  readonly #now: () => number
  #provider: { readonly of: Promise<Provider>; readonly readAt: number } | undefined
  #failedAt = -Infinity

  constructor(
    options: OidcOptions,
    { logger, limits = {}, now = () => performance.now() }: OidcParts,
  ) {
    this.#options = options
    this.#limits = { ...OIDC_LIMITS, ...limits }
    this.#logger = logger
    this.#now = now
  }

  /** What is known of it, read again when it is old. @throws {SignInError} */
  async read(oauth: typeof OAuth): Promise<Provider> {
    const now = this.#now()
    if (this.#provider !== undefined && now - this.#provider.readAt < this.#limits.metadataMs) {
      return await this.#provider.of
    }
    // Everybody can ask for a sign-in: not each of them may cause a request.
    if (now - this.#failedAt < this.#limits.retryMs) {
      throw new SignInError('unavailable', 'the provider was asked a moment ago, and failed')
    }
    const of = this.#discover(oauth)
    this.#provider = { of, readAt: now }
    try {
      return await of
    } catch (error) {
      this.#provider = undefined
      this.#failedAt = this.#now()
      throw error
    }
  }

  async #discover(oauth: typeof OAuth): Promise<Provider> {
    const { issuer, clientId } = this.#options
    try {
      const response = await oauth.discoveryRequest(new URL(issuer), this.http(oauth))
      const server = await oauth.processDiscoveryResponse(new URL(issuer), response)
      const keySet = new KeySet({
        endpoint: endpointOf(server, 'jwks_uri', issuer),
        timeoutMs: this.#limits.timeoutMs,
        onError: ({ message }) =>
          this.#logger.warn({ why: message }, 'keys of the provider not read'),
      })
      const { toleranceMs, maxIdTokenBytes } = this.#limits
      return {
        server,
        authorizationUrl: endpointOf(server, 'authorization_endpoint', issuer),
        tokens: new JwtVerifier({
          keySet,
          issuer: server.issuer,
          audience: clientId,
          acceptsSecrets: false,
          maxBytes: maxIdTokenBytes,
          toleranceMs,
        }),
      }
    } catch (error) {
      throw signInError(oauth, error)
    }
  }

  /** How the provider is asked: within a time, an answer of bounded size, and no redirects. */
  http(oauth: typeof OAuth): ProviderHttp {
    const { timeoutMs, maxAnswerBytes } = this.#limits
    return {
      signal: () => AbortSignal.timeout(timeoutMs),
      [oauth.allowInsecureRequests]: this.#options.issuer.startsWith('http:'),
      [oauth.customFetch]: async (url: string, { body, ...options }: CustomRequest) =>
        await boundedAnswer(await fetch(url, { ...options, body: body ?? null }), maxAnswerBytes),
    }
  }
}

/** The answer with the whole of its body, which no answer of a provider may make larger than that. */
async function boundedAnswer(response: Response, maxBytes: number): Promise<Response> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length
    if (bytes > maxBytes) throw new Error(`an answer is larger than ${maxBytes} bytes`)
    chunks.push(chunk)
  }
  const { status, headers } = response
  const body = bytes === 0 ? null : Buffer.concat(chunks)
  const copy = new Response(body, { status, headers })
  Object.defineProperty(copy, 'url', { value: response.url })
  return copy
}

/** An address that the provider names; over TLS where the issuer is. */
function endpointOf(
  server: OAuth.AuthorizationServer,
  name: 'authorization_endpoint' | 'jwks_uri',
  issuer: string,
): string {
  const text = server[name] ?? ''
  const protocol = URL.canParse(text) ? new URL(text).protocol : ''
  if (protocol !== 'https:' && (protocol !== 'http:' || !issuer.startsWith('http:'))) {
    throw new SignInError('unavailable', `its ${name} is no https URL`)
  }
  return text
}
