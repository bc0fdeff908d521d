/**
 * Authenticates peers by what they present: an opaque token of the store, a JWT by the keys of the port or
 * of the tenant it names, a client certificate, or nothing where no credentials are asked for.
 */
import type { IncomingHttpHeaders } from 'node:http'

import {
  AUTH_ERRORS,
  abortAt,
  type Admission,
  type Denial as VisitorDenial,
  bearerToken,
  AuthError,
  isAuthError,
  isOpaqueToken,
  RETRY_MS,
  describeScope,
  scopePermits,
} from '@proj/auth'
import type { Logger } from '@proj/tunnel'
import type {
  AuthorizationRequest,
  Authorize,
  ClientCertificate,
  Denial,
} from '@proj/tunnel/server'

import type { ShownKey } from '../admin/operator-key.ts'
import type { AuditLog } from '../store/audit-log.ts'
import type { TokenStore } from '../store/token-store.ts'
import { HandshakeLimits, type HandshakeRates } from './handshake-limits.ts'
import type { PortAuth } from './port-auth.ts'
import { ANONYMOUS, type Principal } from './principal.ts'
import { TokenVerifier } from './token-verifier.ts'

/** Name of a port. */
export type PortName = 'upstream' | 'proxy' | 'admin'

/** What one port demands. */
export interface PortDemands {
  /** Keys of its JWTs; then a token is required, whatever else the peer presents. */
  readonly auth?: PortAuth | undefined
  /** Whether its TLS requires a client certificate of an authority. */
  readonly hasClientAuthorities?: boolean
  /** Whether people sign in with a provider, so that who has not is asked for credentials. */
  readonly hasSignIn?: boolean
}

/** What an authenticator joins. */
export interface AuthenticatorOptions extends HandshakeRates {
  /** Demands by port. Default: none. */
  readonly ports?: Readonly<Partial<Record<PortName, PortDemands>>>
  /** Keys by tenant; where there are any, agents name theirs. Default: none. */
  readonly tenants?: ReadonlyMap<string, PortAuth>
  /** Whether the names of all tenants are one space of names, as in Piko. Default: each has its own. */
  readonly tenantsShareNames?: boolean
  /** Who shows it may use the admin port. Default: none. */
  readonly operatorKey?: ShownKey | undefined
  /** Tokens of this server. */
  readonly tokens: TokenStore
  /** Gets an event for each failure. */
  readonly audit: AuditLog
  /** Told why credentials are rejected; never the credentials. */
  readonly logger: Logger
}

/** The parts of a request that identify the peer. */
type Shown = Pick<AuthorizationRequest, 'headers' | 'remoteAddress' | 'certificate'> & {
  /** Whether nothing outlives the request, so that no signal for the end of the right is needed. */
  readonly isBrief?: boolean
  /** Whether it is of a session that was begun with good credentials: it guesses nothing. */
  readonly hasSession?: boolean
}

/** A visitor of an HTTP endpoint whose token the proxy port accepts. */
export interface AdmittedVisitor extends Admission {
  /** Tenant whose endpoints the visitor uses. */
  readonly tenant: string
}

/** Codes of `adit-error` by status, for visitors that the proxy port denies. */
const VISITOR_CODES: Readonly<Record<number, VisitorDenial['code']>> = {
  429: 'too_many_failures',
  503: 'token_keys_unavailable',
}

/** Who may read the data directory, and so could make a token with every right. */
const OPERATOR: Principal = {
  identity: 'operator',
  tenant: '',
  permits: (right) => right === 'admin',
}

/** Authenticates peers on every port of a server. */
export class Authenticator implements Disposable {
  readonly #options: AuthenticatorOptions
  readonly #tokens: TokenVerifier
  /** Limits per source, with counters for metrics. */
  readonly limits: HandshakeLimits

  constructor(options: AuthenticatorOptions) {
    this.#options = options
    this.#tokens = new TokenVerifier(options.tokens)
    this.limits = new HandshakeLimits(options)
  }

  /** Whether a port asks for credentials. A server that ever had a token always does. */
  isProtected(port: PortName): boolean {
    const { auth, hasClientAuthorities, hasSignIn } = this.#options.ports?.[port] ?? {}
    const tenants = port === 'upstream' && (this.#options.tenants?.size ?? 0) > 0
    const hasDemands = auth !== undefined || hasClientAuthorities === true || hasSignIn === true
    return hasDemands || tenants || this.#tokens.isOpen
  }

  /** Whether there is a key of the operator to show. */
  get hasOperatorKey(): boolean {
    return this.#options.operatorKey !== undefined
  }

  /** Reads key sets ahead of the first token. Never rejects. */
  async prepare(): Promise<void> {
    const { ports = {}, tenants } = this.#options
    const ofPorts = Object.values(ports).flatMap(({ auth }) => (auth === undefined ? [] : [auth]))
    await Promise.all(
      [...ofPorts, ...(tenants?.values() ?? [])].map(({ verifier }) => verifier.prepare()),
    )
  }

  /** Authorises agents and consumers. */
  readonly authorize: Authorize = async (request) =>
    await this.#judge(request.action === 'listen' ? 'upstream' : 'proxy', request)

  /** Authorises a request of an operator; never rejects. */
  async authorizeAdmin(
    request: Shown & { readonly isProbe: boolean },
  ): Promise<Principal | Denial> {
    // With keys Piko asks for a JWT on these pages too; for our own tokens probes are exempt.
    if (request.isProbe && this.#options.ports?.admin?.auth === undefined) return ANONYMOUS
    if (this.#options.operatorKey?.isShown(request.headers) === true) return OPERATOR
    try {
      const verdict = await this.#judge('admin', { ...request, isBrief: true })
      if ('status' in verdict || verdict.permits('admin')) return verdict
      return { status: 401, error: 'not permitted' }
    } catch (error) {
      this.#options.logger.error({ err: error }, 'authorisation failed to decide')
      return { status: 500, error: 'internal error' }
    }
  }

  /** Whether every visitor of an HTTP endpoint is asked for a token, as Piko does where it has keys. */
  get asksVisitors(): boolean {
    return this.#options.ports?.proxy?.auth !== undefined
  }

  /** Whether a tenant is configured; others may be known by their tokens. */
  knowsTenant(tenant: string): boolean {
    return this.#options.tenants?.has(tenant) === true
  }

  /** Authorises a visitor of an HTTP endpoint. A request is not a handshake: only failures are counted. */
  async admitVisitor(request: Shown, endpoint: string): Promise<AdmittedVisitor | VisitorDenial> {
    const heldOff = this.limits.heldOff(request.remoteAddress)
    const verdict = heldOff ?? (await this.#identify('proxy', { ...request, isBrief: true }))
    if ('status' in verdict) return visitorDenial(verdict)
    if (!verdict.permits('connect', endpoint)) {
      return visitorDenial({ status: 401, error: 'endpoint not permitted' })
    }
    // The other header is never forwarded.
    const consumed = (request.headers['x-piko-authorization'] ?? '') === ''
    return { admitted: true, tenant: verdict.tenant, consumed }
  }

  [Symbol.dispose](): void {
    this.#tokens[Symbol.dispose]()
  }

  async #judge(port: PortName, request: Shown): Promise<Principal | Denial> {
    const { remoteAddress, hasSession = false } = request
    const heldOff = hasSession
      ? this.limits.admitKnown(remoteAddress)
      : this.limits.admit(remoteAddress)
    return heldOff ?? (await this.#identify(port, request))
  }

  async #identify(port: PortName, request: Shown): Promise<Principal | Denial> {
    const { remoteAddress, isBrief = false } = request
    const { logger, audit } = this.#options
    try {
      return await this.#recognise(port, request)
    } catch (error) {
      if (!isAuthError(error)) throw error
      const { code, status, text, message, retryable } = error
      const fields = { port, remoteAddress, why: message }
      if (isBrief && isAuthError(error, 'IDENTITY_AUTHORIZATION_MISSING')) {
        // A browser without a token makes dozens of requests at once and guesses nothing.
        logger.debug(fields, 'credentials refused')
        return { status, error: text }
      }
      if (!retryable) {
        this.limits.failed(remoteAddress)
        audit.write('auth.failed', fields)
      }
      const more = retryable ? { code, hint: AUTH_ERRORS[code].hint } : {}
      logger.warn({ ...fields, ...more }, 'credentials refused')
      return { status, error: text, ...(retryable && { retryAfterMs: RETRY_MS }) }
    }
  }

  async #recognise(port: PortName, shown: Shown): Promise<Principal> {
    const principal = await this.#principal(port, shown)
    const sharesNames = this.#options.tenantsShareNames === true && principal.tenant !== ''
    return sharesNames ? { ...principal, tenant: '' } : principal
  }

  async #principal(port: PortName, shown: Shown): Promise<Principal> {
    const { headers, certificate } = shown
    const named = port === 'admin' ? undefined : tenantOf(headers)
    const isDemanded = this.#demandsJwt(port, named)
    if (!isDemanded && !this.isProtected(port)) return ANONYMOUS
    const principal =
      certificate !== undefined && !isDemanded && !showsToken(headers)
        ? certified(certificate, port)
        : await this.#bearer(bearerToken(headers), port, named, shown.isBrief)
    if (named !== undefined && principal.tenant !== named) {
      throw new AuthError('IDENTITY_TENANT_UNKNOWN', 'the credentials are of another one')
    }
    if (certificate?.notAfter === undefined || shown.isBrief === true) return principal
    // A token beside a certificate does not outlive it: the port asked for both.
    const expired = abortAt(certificate.notAfter, new Error('expired certificate'))
    const ended = principal.ended === undefined ? expired : firstOf(principal.ended, expired)
    return { ...principal, ended }
  }

  /** Whether JWTs are configured for a request: then a certificate alone is not enough. */
  #demandsJwt(port: PortName, named: string | undefined): boolean {
    const { ports, tenants } = this.#options
    const goesByTenant = port === 'upstream' || named !== undefined
    return ports?.[port]?.auth !== undefined || (goesByTenant && (tenants?.size ?? 0) > 0)
  }

  async #bearer(
    token: string,
    port: PortName,
    named: string | undefined,
    isBrief = false,
  ): Promise<Principal> {
    if (isOpaqueToken(token)) return await this.#tokens.judge(token)
    const { verifier, endsAtExpiry } = this.#keys(port, named)
    const { identity, scope, tenant, expiresAt } = await verifier.verify(token)
    // Keys of a tenant prove the tenant; with other keys the token has to name it.
    const proven = named !== undefined && this.#options.tenants?.has(named) === true ? named : ''
    return {
      identity,
      tenant: tenant ?? proven,
      ...(endsAtExpiry &&
        !isBrief &&
        expiresAt !== undefined && { ended: abortAt(expiresAt, new Error('expired token')) }),
      permits: (right, endpoint) => scopePermits(scope, right, endpoint),
      describe: (right) => describeScope(scope, right),
    }
  }

  /** The keys that a JWT is verified with. */
  #keys(port: PortName, named: string | undefined): PortAuth {
    const { ports, tenants } = this.#options
    const hasTenants = port !== 'admin' && (tenants?.size ?? 0) > 0
    if (hasTenants && (named !== undefined || port === 'upstream')) {
      const own = named === undefined ? undefined : tenants?.get(named)
      if (own !== undefined) return own
      const detail = named === undefined ? 'none was named' : 'it is not configured'
      throw new AuthError('IDENTITY_TENANT_UNKNOWN', detail)
    }
    const auth = ports?.[port]?.auth
    if (auth !== undefined) return auth
    throw new AuthError('IDENTITY_TOKEN_INVALID', 'no keys of JWTs are configured here')
  }
}

/** The answer to a visitor of an HTTP endpoint that is denied. */
function visitorDenial(denial: Denial): VisitorDenial {
  // RFC 9110 section 15.5.2: a 401 says what it wants.
  const challenges = denial.status === 401 ? ['Bearer'] : []
  const code = VISITOR_CODES[denial.status] ?? 'unauthorized'
  return { admitted: false, ...denial, code, challenges }
}

/** The tenant a peer names; an empty name is none. */
function tenantOf(headers: IncomingHttpHeaders): string | undefined {
  const value = headers['x-piko-tenant-id']
  return typeof value === 'string' && value !== '' ? value : undefined
}

/** Whether a request carries a token. A browser adds none by itself. */
export function showsToken(headers: IncomingHttpHeaders): boolean {
  return headers['x-piko-authorization'] !== undefined || headers.authorization !== undefined
}

/** A peer with a certificate of the port's authorities. */
function certified(
  { names, commonName, fingerprint256 }: ClientCertificate,
  port: PortName,
): Principal {
  // People have no host names. Agents without one keep the identity that their names are reserved for.
  // With its kind, as other names: a subject may be called like the name of somebody else.
  const subject = port === 'admin' && commonName !== undefined ? `CN:${commonName}` : undefined
  const identity = `cert:${names[0] ?? subject ?? fingerprint256}`
  return { identity, tenant: '', permits: () => true }
}

/** What a joined signal goes by: it refers to them weakly itself. */
const sources = new WeakMap<AbortSignal, readonly AbortSignal[]>()

function firstOf(...signals: readonly AbortSignal[]): AbortSignal {
  const first = AbortSignal.any([...signals])
  sources.set(first, signals)
  return first
}
