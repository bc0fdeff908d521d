import type { Duplex } from 'node:stream'

import { formatHostPort } from '@proj/config/address'
import { isDialError } from '@proj/dialer'
import { type Agent, forward, type LimitName, type Listener, type Logger } from '@proj/tunnel'
import { Traffic } from '@proj/tunnel/io'
import type { GateParts, VisitorPolicy } from '@proj/auth'

import { formatOthers } from '../status/format-others.ts'
import { enforcement } from './enforcement.ts'
import { formatListenerAddr, isFolder } from './listener-addr.ts'
import type { ListenerRefusal } from './listener-refusal.ts'
import type { ServiceParts } from './service-parts.ts'
import { hasRules } from './rules/rule-settings.ts'
import { ruledServices } from './rules/ruled-services.ts'
import type { Capture } from '../inspect/capture.ts'
import type { AgentTracer } from '../tracing/agent-tracer.ts'
import { joinTaps } from '../tracing/join-taps.ts'
import { connectService, type ServiceDial, serviceDial } from './service-dial.ts'
import { HealthCheck } from './health-check.ts'
import {
  explainNoAnswer,
  explainServiceError,
  SERVICE_EXPECTS_TLS,
  speaksTls,
} from './service-errors.ts'
import type { AgentSettings } from '../settings.ts'

type ListenerSettings = AgentSettings['listeners'][number]

/** The shortest time between two questions whether the service expects TLS, ms. */
const ASK_AGAIN_MS = 60_000

const LIMITS_HINT =
  'the server is an earlier version or Piko: upgrade it, or set limits in the service itself'

/** Limits as the settings name them. */
const LIMIT_KEYS: Readonly<Record<LimitName, string>> = {
  rate: 'rate',
  ratePerVisitor: 'rate_per_visitor',
  concurrent: 'concurrent',
  maxBodyBytes: 'max_body',
  maxTimeMs: 'max_time',
  upload: 'upload',
  download: 'download',
}

/** The last failure to reach the service, and when. */
export interface ServiceFailure {
  /** Code of the dialer, where there is one. */
  readonly code: string | undefined
  /** What failed, and what to do about it. */
  readonly text: string
  /** Ms since the epoch. */
  readonly at: number
}

/** A listener of the configuration: carries the visitors of its endpoint to the service. */
export class ServiceListener {
  /** The listener at the server. */
  readonly listener: Listener
  /** Connections to the service and their bytes. */
  readonly traffic: Traffic = new Traffic()
  /** Connects to the service as a stream would, without its rules for visitors. */
  readonly connect: (signal: AbortSignal) => Promise<Duplex>
  /** The last failure to reach the service. */
  lastFailure: ServiceFailure | undefined
  /** What the server said last, if it does not give this agent the endpoint. */
  refusal: ListenerRefusal | undefined
  /** When the service was last asked whether it expects TLS, ms since the epoch. */
  #askedAt = -Infinity

  /**
   * @param visitors - the rules for visitors, with password hashes in place of passwords.
   * @param parts - what its service needs of files.
   * @param gateParts - shared by all gates of this agent.
   * @param isEnding - whether this process leaves the server. Default: it does not.
   * @param capture - of the inspector. Default: nothing is captured.
   * @param tracer - makes spans of the requests. Default: there are none.
   */
  constructor(
    agent: Agent,
    settings: ListenerSettings,
    visitors: VisitorPolicy | undefined,
    parts: ServiceParts,
    gateParts: GateParts,
    logger: Logger,
    isEnding: () => boolean = () => false,
    capture?: Capture,
    tracer?: AgentTracer,
  ) {
    const { endpoint } = settings
    const addr = formatListenerAddr(settings.addr)
    const own = serviceDial(settings.addr, settings, parts.tls)
    const failed = (code: string | undefined, message: string, hint: string | undefined): void => {
      this.lastFailure = {
        code,
        text: hint === undefined ? message : `${message}: ${hint}`,
        at: Date.now(),
      }
    }
    const notReached = (error: unknown, service: string = addr): void => {
      const { message, hint } = explainServiceError(error)
      failed(isDialError(error) ? error.code : undefined, message, hint)
      logger.warn({ endpoint, service, err: error, hint }, 'service not reached')
    }
    const folder = isFolder(settings.addr) ? parts.folders.get(settings.addr.folder) : undefined
    const inside = hasRules(settings)
      ? ruledServices(settings, parts, notReached)
      : folder && (() => folder.connect())
    this.connect = async (signal) => inside?.(undefined) ?? (await connectService(own, signal))
    const tap = joinTaps(
      capture?.tapOf(endpoint, settings.protocol),
      settings.protocol === 'http' ? tracer?.tapOf(endpoint, addr) : undefined,
    )
    this.listener = forward(agent, endpoint, {
      kind: settings.protocol,
      ...own,
      ...(settings.publicPort !== undefined && { publicPort: settings.publicPort }),
      exclusive: settings.exclusive,
      ...(settings.reuse !== undefined && { reuse: settings.reuse }),
      ...(settings.strictness !== undefined && { strictness: settings.strictness }),
      ...(settings.weight !== undefined && { weight: settings.weight }),
      limits: settings.limits,
      ...enforcement(settings, visitors, gateParts, inside),
      ...(settings.proxyProtocol !== 'none' && { proxyProtocol: settings.proxyProtocol }),
      traffic: this.traffic,
      ...(tap !== undefined && { tap }),
      onStreamClosed: (bytes, record) => {
        logger.debug({ endpoint, requestId: record?.requestId, ...bytes }, 'stream closed')
      },
      onServiceError: notReached,
      onNoAnswer: (sent) => {
        const isKnown = settings.addr.tls || folder !== undefined
        if (isKnown || Date.now() - this.#askedAt < ASK_AGAIN_MS) return
        this.#askedAt = Date.now()
        const expected = sent === 'tls-alert' ? Promise.resolve(true) : speaksTls(own)
        void expected.then((isTls) => {
          if (!isTls) return
          const { message, hint } = explainNoAnswer(addr)
          failed(SERVICE_EXPECTS_TLS.code, message, hint)
          logger.warn({ endpoint, service: addr, hint }, message)
        })
      },
    })
    this.#checkHealth(settings, own, logger)
    this.listener.on('registered', () => (this.refusal = undefined))
    this.listener.on('online', (urls) =>
      logger.info({ endpoint, urls: urls.join(' ') }, 'endpoint online'),
    )
    this.listener.on('malformed', ({ requestId, code, message: reason }) =>
      logger.info({ endpoint, requestId, code, reason }, 'answer of the service rejected'),
    )
    this.listener.on('limitsIgnored', (names) => {
      const limits = names.map((name) => LIMIT_KEYS[name]).join(' ')
      logger.warn({ endpoint, limits, hint: LIMITS_HINT }, 'limits are not applied by the server')
    })
    this.listener.on('shared', (others) => {
      const { agents, hosts } = others
      if (agents === 0) logger.info({ endpoint }, 'no other agent serves the endpoint any more')
      else logger.warn({ endpoint, agents, hosts }, formatOthers(others))
    })
    this.listener.on('offline', () => {
      // While this process ends, that is what it wants; after an upgrade its successor serves the endpoint.
      logger[isEnding() ? 'info' : 'warn']({ endpoint }, 'endpoint offline')
    })
  }

  #checkHealth(settings: ListenerSettings, service: ServiceDial, logger: Logger): void {
    const { endpoint, health } = settings
    if (health === undefined) return
    const { listener } = this
    const check = new HealthCheck(
      { ...settings, health },
      service,
      hostFor(settings),
      (isUp, why) => {
        const fields = { endpoint, service: formatListenerAddr(settings.addr) }
        if (isUp) logger.info(fields, 'service is up again')
        else logger.warn({ ...fields, why }, 'service is down')
        listener.setHealth(isUp)
      },
    )
    void listener.closed.then(() => check.stop())
  }
}

/** Host of the health checks: what the service gets from a rule, else its own. */
function hostFor({ addr, hostHeader }: ListenerSettings): string {
  if (hostHeader !== 'keep' && hostHeader !== 'service') return hostHeader
  if (isFolder(addr) || addr.address.kind === 'unix') return 'localhost'
  return formatHostPort(addr.address.host, addr.address.port)
}
