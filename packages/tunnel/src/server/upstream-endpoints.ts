import {
  type ClaimContext,
  claimName,
  conflictDetails,
  conflictText,
  type NameConflict,
  type RejectedName,
} from './claim-name.ts'
import type { Rejection } from '../protocol/control-message.ts'
import type { Endpoint } from '../protocol/endpoint.ts'
import { judgeRegistration, type Register, type RegistrationContext } from './judge-registration.ts'
import type { Logger } from '../logger.ts'
import { Leases } from './leases.ts'
import { type NameClaims, type NameLease, takeName } from './name-claims.ts'
import { type PortLease, type PublicPortSource, takePort } from './port-leases.ts'
import type { EndpointWishes } from './upstream-registry.ts'
import type { Upstream } from './upstream.ts'
import type { VisitorRules } from '../protocol/visitor-rules.ts'

/** What decides whether a session may serve an endpoint. */
export interface UpstreamEndpointsOptions
  extends
    ClaimContext,
    Pick<RegistrationContext, 'grant' | 'maxEndpoints' | 'drainRetryAfterMs' | 'readVisitorRules'> {
  /** Gives out public ports. */
  readonly publicPorts: PublicPortSource
  /** Decides about names beyond this process; undefined: nothing does. */
  readonly claims: NameClaims | undefined
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

/** What a registration got beyond this process and its sessions. */
type Granted = Pick<Registered, 'lease'>

/** The endpoints of one session: checks that it may serve them, and registers them. */
export class UpstreamEndpoints {
  readonly #upstream: Upstream
  readonly #options: UpstreamEndpointsOptions
  readonly #names = new Set<string>()
  /** Whether an endpoint has been registered since the session began. */
  hasServed = false
  readonly #ports = new Leases<PortLease>()
  readonly #claimed = new Leases<NameLease>()

  constructor(upstream: Upstream, options: UpstreamEndpointsOptions) {
    this.#upstream = upstream
    this.#options = options
  }

  get names(): ReadonlySet<string> {
    return this.#names
  }

  /**
   * Registers an endpoint that an agent asks for.
   *
   * @param isLeaving - whether the session or the server is ending.
   * @param answer - gets the rejection, or what the endpoint is registered with: at once, or when its name is
   *   claimed and its public port is open. Not called when the endpoint was released before that.
   */
  ask(
    message: Register,
    isLeaving: () => boolean,
    answer: (verdict: Rejection | Registered) => void,
  ): void {
    const verdict = this.#verdict(message, isLeaving())
    const isComplete = message.port === undefined && this.#options.claims === undefined
    if ('code' in verdict || isComplete) {
      answer(this.#settle(message, verdict))
      return
    }
    void this.#askOthers(message).then((granted) => {
      if (granted === undefined) return // released before the answer came
      // Since then another identity may have got the name, or the session may be leaving.
      const now = 'code' in granted ? granted : this.#verdict(message, isLeaving())
      answer(this.#settle(message, 'code' in now ? now : { ...now, ...granted }))
    })
  }

  /** Claims the name, then opens the public port, where there is one to be had. */
  #askOthers(message: Register): Promise<Rejection | Granted | undefined> {
    const { claims } = this.#options
    return claims === undefined ? this.#openPort(message) : this.#claim(message, claims)
  }

  async #claim(message: Register, claims: NameClaims): Promise<Rejection | Granted | undefined> {
    const { logger, grant } = this.#options
    const { endpoint: name } = message
    const endpoint = this.#endpoint(name)
    const { identity } = grant
    const isExclusive = message.exclusive === true
    const claim = { endpoint, identity, session: this.#upstream, isExclusive }
    const answer = await this.#claimed.take(name, (signal) =>
      takeName(claims, claim, signal, logger),
    )
    if (answer === undefined || 'code' in answer) return answer
    if ('holder' in answer) return this.#rejectFor(answer, endpoint)
    return await this.#openPort(message)
  }

  async #openPort(message: Register): Promise<Rejection | Granted | undefined> {
    const { publicPorts, logger, grant } = this.#options
    const { endpoint: name, port } = message
    if (port === undefined) return {}
    const { identity } = grant
    const wish = { endpoint: this.#endpoint(name), identity, port, session: this.#upstream }
    const lease = await this.#ports.take(name, () => takePort(publicPorts, wish, logger))
    return lease === undefined || 'code' in lease ? lease : { lease }
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
    const { id: sessionId, agentId: agent, remoteAddress } = this.#upstream
    this.#names.add(endpoint)
    this.hasServed = true
    const epoch = this.#claimed.of(endpoint)?.epoch
    const wanted = epoch === undefined ? wishes : { ...wishes, epoch }
    this.#options.registry.add(this.#endpoint(endpoint), this.#upstream, rules, kind, wanted)
    this.#options.logger.info({ sessionId, endpoint, agent, remoteAddress }, 'endpoint registered')
  }

  /** Registers the endpoint of a session that has no other, whose name may have been claimed. */
  addOnly(endpoint: string, lease: NameLease | undefined): void {
    if (lease !== undefined) this.#claimed.hold(endpoint, lease)
    this.add(endpoint, undefined)
  }

  /** The health checks of the agent tell how the service of an endpoint is. */
  setHealth(endpoint: string, isUp: boolean): void {
    if (!this.#names.has(endpoint)) return
    this.#options.registry.setHealth(this.#endpoint(endpoint), this.#upstream, isUp)
    const { id: sessionId, agentId: agent } = this.#upstream
    this.#options.logger.info({ sessionId, endpoint, agent, isUp }, 'health of the service changed')
  }

  /** Unregisters an endpoint, if it is registered. */
  remove(endpoint: string, isLost = false): void {
    this.#names.delete(endpoint)
    this.#options.registry.remove(this.#endpoint(endpoint), this.#upstream, isLost)
    this.#ports.release(endpoint)
    this.#claimed.release(endpoint)
  }

  /**
   * Unregisters every endpoint.
   *
   * @param isLost - whether the session ended without a word.
   */
  removeAll(isLost: boolean): void {
    for (const endpoint of this.#names) this.remove(endpoint, isLost)
    this.#ports.releaseAll()
    this.#claimed.releaseAll()
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
    if (isRejected && !this.#names.has(endpoint)) this.#claimed.release(endpoint)
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
    const { registry, grant } = this.#options
    const endpoint = this.#endpoint(message.endpoint)
    const verdict = judgeRegistration(message, {
      ...this.#options,
      isLeaving,
      endpoints: this.#names,
      waiting: this.#ports.pending + this.#claimed.pending,
      demanded: registry.rules(endpoint) ?? [],
    })
    if ('code' in verdict) return verdict
    const { identity } = grant
    const isExclusive = message.exclusive === true
    const claim = { endpoint, identity, session: this.#upstream, isExclusive }
    const conflict = claimName(claim, this.#options)
    return conflict === undefined ? verdict : this.#rejectFor(conflict, endpoint)
  }

  #rejectFor(conflict: NameConflict, endpoint: Endpoint): Rejection {
    const { grant, onNameRejected } = this.#options
    const { remoteAddress } = this.#upstream
    onNameRejected({ endpoint, identity: grant.identity, remoteAddress, conflict })
    return { message: conflictText(endpoint.name, conflict), ...conflictDetails(conflict) }
  }

  #endpoint(name: string): Endpoint {
    return { tenant: this.#options.grant.tenant, name }
  }
}
