import { type ClaimContext, claimName } from './claim-name.ts'
import { endpointKey } from './endpoint-key.ts'
import {
  judgeRegistration,
  type Register,
  type RegistrationContext,
  type RegistrationRefusal,
} from './judge-registration.ts'
import type { Logger } from './logger.ts'
import { conflictDetails, conflictText, type RefusedName } from './name-conflict.ts'
import type { Upstream } from './upstream-registry.ts'
import type { VisitorRules } from './visitor-rules.ts'

/** What decides whether a session may serve an endpoint. */
export interface UpstreamEndpointsOptions
  extends
    ClaimContext,
    Pick<RegistrationContext, 'grant' | 'maxEndpoints' | 'drainRetryAfterMs' | 'readVisitorRules'> {
  /** Told of every name that somebody else has. */
  readonly onNameRefused: (refused: RefusedName) => void
  /** Info for every endpoint, warn for one that is refused. */
  readonly logger: Logger
}

/** Which endpoints one session serves: whether it may, whether the name is free, and who hears of it. */
export class UpstreamEndpoints {
  readonly #upstream: Upstream
  readonly #options: UpstreamEndpointsOptions
  readonly #names = new Set<string>()

  constructor(upstream: Upstream, options: UpstreamEndpointsOptions) {
    this.#upstream = upstream
    this.#options = options
  }

  /** Endpoints registered now. */
  get names(): ReadonlySet<string> {
    return this.#names
  }

  /**
   * Registers an endpoint that an agent asks for.
   *
   * @param isLeaving - whether the session or the server is ending.
   * @returns why not, or with which rules for its visitors it is.
   */
  ask(
    message: Register,
    isLeaving: boolean,
  ): RegistrationRefusal | { readonly rules?: VisitorRules } {
    const { endpoint } = message
    const { logger, nameRetryAfterMs: retryAfterMs } = this.#options
    let verdict: ReturnType<typeof judgeRegistration>
    try {
      verdict = this.#judge(message, isLeaving)
    } catch (error) {
      // Whose the name is stands where it cannot be read now: nobody gets it until it can.
      logger.error({ err: error, endpoint }, 'no telling whose a name is')
      const why = 'this server cannot tell now whose the name is'
      verdict = { code: 'unavailable', message: why, retryAfterMs }
    }
    if ('code' in verdict) {
      const { id: sessionId } = this.#upstream
      logger.warn({ sessionId, endpoint, code: verdict.code }, 'endpoint refused')
    } else this.add(endpoint, verdict.rules)
    return verdict
  }

  /** Registers an endpoint that was judged before. */
  add(endpoint: string, rules?: VisitorRules): void {
    const { id: sessionId, peer, remoteAddress } = this.#upstream
    this.#names.add(endpoint)
    this.#options.registry.add(this.#key(endpoint), this.#upstream, rules)
    this.#options.logger.info({ sessionId, endpoint, peer, remoteAddress }, 'endpoint registered')
  }

  /** Unregisters an endpoint, if it is registered. */
  remove(endpoint: string): void {
    this.#names.delete(endpoint)
    this.#options.registry.remove(this.#key(endpoint), this.#upstream)
  }

  /** Unregisters every endpoint. */
  removeAll(): void {
    for (const endpoint of this.#names) this.remove(endpoint)
  }

  #judge(message: Register, isLeaving: boolean): ReturnType<typeof judgeRegistration> {
    const { registry, grant, onNameRefused } = this.#options
    const { endpoint } = message
    const verdict = judgeRegistration(message, {
      ...this.#options,
      isLeaving,
      endpoints: this.#names,
      demanded: registry.rules(this.#key(endpoint)) ?? [],
    })
    if ('code' in verdict) return verdict
    const { identity, tenant } = grant
    const claim = { tenant, endpoint, identity, session: this.#upstream }
    const conflict = claimName(claim, this.#options)
    if (conflict === undefined) return verdict
    const { remoteAddress } = this.#upstream
    onNameRefused({ tenant, endpoint, identity, remoteAddress, conflict })
    return { message: conflictText(endpoint, conflict), ...conflictDetails(conflict) }
  }

  #key(endpoint: string): string {
    return endpointKey(this.#options.grant.tenant, endpoint)
  }
}
