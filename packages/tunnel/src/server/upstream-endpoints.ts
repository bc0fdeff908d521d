import {
  type ClaimContext,
  claimName,
  conflictDetails,
  conflictText,
  type RejectedName,
} from './claim-name.ts'
import type { Rejection } from '../protocol/control-message.ts'
import type { Endpoint } from '../protocol/endpoint.ts'
import { judgeRegistration, type Register, type RegistrationContext } from './judge-registration.ts'
import type { Logger } from '../logger.ts'
import { type PortLease, PortLeases, type PublicPortSource } from './port-leases.ts'
import type { EndpointWishes, Upstream } from './upstream-registry.ts'
import type { VisitorRules } from '../protocol/visitor-rules.ts'

/** What decides whether a session may serve an endpoint. */
export interface UpstreamEndpointsOptions
  extends
    ClaimContext,
    Pick<RegistrationContext, 'grant' | 'maxEndpoints' | 'drainRetryAfterMs' | 'readVisitorRules'> {
  /** Gives out public ports. */
  readonly publicPorts: PublicPortSource
  /** Called for every name that another identity has. */
  readonly onNameRejected: (rejected: RejectedName) => void
  /** Info for every endpoint, warn for one that is rejected. */
  readonly logger: Logger
}

/** What an endpoint is registered with. */
export interface Registered {
  /** Rules for its visitors. */
  readonly rules?: VisitorRules
  readonly lease?: PortLease
}

/** The endpoints of one session: checks that it may serve them, and registers them. */
export class UpstreamEndpoints {
  readonly #upstream: Upstream
  readonly #options: UpstreamEndpointsOptions
  readonly #names = new Set<string>()
  /** Whether an endpoint has been registered since the session began. */
  hasServed = false
  readonly #ports: PortLeases

  constructor(upstream: Upstream, options: UpstreamEndpointsOptions) {
    this.#upstream = upstream
    this.#options = options
    this.#ports = new PortLeases(options.publicPorts, options.logger)
  }

  get names(): ReadonlySet<string> {
    return this.#names
  }

  /**
   * Registers an endpoint that an agent asks for.
   *
   * @param isLeaving - whether the session or the server is ending.
   * @param answer - gets the rejection, or what the endpoint is registered with: at once, or when a public
   *   port is open. Not called when the endpoint was released before that.
   */
  ask(
    message: Register,
    isLeaving: () => boolean,
    answer: (verdict: Rejection | Registered) => void,
  ): void {
    const verdict = this.#verdict(message, isLeaving())
    if ('code' in verdict || message.port === undefined) {
      answer(this.#settle(message, verdict))
      return
    }
    const { endpoint, port } = message
    const { identity } = this.#options.grant
    const wish = { endpoint: this.#endpoint(endpoint), identity, port, session: this.#upstream }
    void this.#ports.take(wish).then((lease) => {
      if (lease === undefined) return // released before the port was open
      // Since then another identity may have got the name, or the session may be leaving.
      const now = 'code' in lease ? lease : this.#verdict(message, isLeaving())
      answer(this.#settle(message, 'code' in now || 'code' in lease ? now : { ...now, lease }))
    })
  }

  /**
   * Registers an endpoint that was judged before.
   *
   * @param kind - undefined for a Piko agent, which does not say.
   * @param wishes - what the agent asked for besides.
   */
  add(
    endpoint: string,
    kind: 'http' | 'tcp' | undefined,
    rules?: VisitorRules,
    wishes?: EndpointWishes,
  ): void {
    const { id: sessionId, peer, remoteAddress } = this.#upstream
    this.#names.add(endpoint)
    this.hasServed = true
    this.#options.registry.add(this.#endpoint(endpoint), this.#upstream, rules, kind, wishes)
    this.#options.logger.info({ sessionId, endpoint, peer, remoteAddress }, 'endpoint registered')
  }

  /** Unregisters an endpoint, if it is registered. */
  remove(endpoint: string, isLost = false): void {
    this.#names.delete(endpoint)
    this.#options.registry.remove(this.#endpoint(endpoint), this.#upstream, isLost)
    this.#ports.release(endpoint)
  }

  /**
   * Unregisters every endpoint.
   *
   * @param isLost - whether the session ended without a word.
   */
  removeAll(isLost: boolean): void {
    for (const endpoint of this.#names) this.remove(endpoint, isLost)
    this.#ports.releaseAll()
  }

  #settle<Verdict extends Rejection | Registered>(message: Register, verdict: Verdict): Verdict {
    const { endpoint, kind } = message
    const isRejected = 'code' in verdict
    if (isRejected) {
      const { id: sessionId } = this.#upstream
      this.#options.logger.warn({ sessionId, endpoint, code: verdict.code }, 'endpoint refused')
    } else this.add(endpoint, kind === 'tcp' ? kind : 'http', verdict.rules, message)
    // A port of an earlier registration, or one for an endpoint that was then rejected.
    if (isRejected ? !this.#names.has(endpoint) : verdict.lease === undefined) {
      this.#ports.release(endpoint)
    }
    return verdict
  }

  #verdict(message: Register, isLeaving: boolean): Rejection | Registered {
    const { endpoint } = message
    const { logger, nameRetryAfterMs: retryAfterMs } = this.#options
    try {
      return this.#judge(message, isLeaving)
    } catch (error) {
      // The reservations cannot be read now: no agent gets the name until they can.
      logger.error({ err: error, endpoint }, 'the holder of a name cannot be read')
      const why = 'this server cannot read its reserved names now'
      return { code: 'unavailable', message: why, retryAfterMs }
    }
  }

  #judge(message: Register, isLeaving: boolean): ReturnType<typeof judgeRegistration> {
    const { registry, grant, onNameRejected } = this.#options
    const endpoint = this.#endpoint(message.endpoint)
    const verdict = judgeRegistration(message, {
      ...this.#options,
      isLeaving,
      endpoints: this.#names,
      waiting: this.#ports.pending,
      demanded: registry.rules(endpoint) ?? [],
    })
    if ('code' in verdict) return verdict
    const { identity } = grant
    const isExclusive = message.exclusive === true
    const claim = { endpoint, identity, session: this.#upstream, isExclusive }
    const conflict = claimName(claim, this.#options)
    if (conflict === undefined) return verdict
    const { remoteAddress } = this.#upstream
    onNameRejected({ endpoint, identity, remoteAddress, conflict })
    return { message: conflictText(endpoint.name, conflict), ...conflictDetails(conflict) }
  }

  #endpoint(name: string): Endpoint {
    return { tenant: this.#options.grant.tenant, name }
  }
}
