import { formatDialAddress, formatSourceAddress } from '@proj/config/address'
import { isDialError } from '@proj/dialer'
import { type Agent, forward, type Listener, type Logger } from '@proj/tunnel'
import { Traffic } from '@proj/tunnel/io'
import type { GateParts, VisitorPolicy } from '@proj/auth'

import { formatOthers } from '../status/format-others.ts'
import { enforcement } from './enforcement.ts'
import type { AgentSettings } from '../settings.ts'

type ListenerSettings = AgentSettings['listeners'][number]

/** The last failure to reach the service, and when. */
export interface ServiceFailure {
  /** Code of the dialer, where there is one. */
  readonly code: string | undefined
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
  /** The last failure to reach the service. */
  lastFailure: ServiceFailure | undefined

  /**
   * @param visitors - the rules for visitors, with password hashes in place of passwords.
   * @param gateParts - shared by all gates of this agent.
   * @param isEnding - whether this process leaves the server. Default: it does not.
   */
  constructor(
    agent: Agent,
    settings: ListenerSettings,
    visitors: VisitorPolicy | undefined,
    gateParts: GateParts,
    logger: Logger,
    isEnding: () => boolean = () => false,
  ) {
    const { endpoint, addr, protocol, bindAddr } = settings
    const service =
      addr.kind === 'unix' ? { path: addr.path } : { host: addr.host, port: addr.port }
    const family = addr.kind === 'unix' || addr.family === 'both' ? undefined : addr.family
    this.listener = forward(agent, endpoint, {
      kind: protocol,
      service,
      ...(settings.publicPort !== undefined && { publicPort: settings.publicPort }),
      exclusive: settings.exclusive,
      ...(settings.reuse !== undefined && { reuse: settings.reuse }),
      ...(settings.strictness !== undefined && { strictness: settings.strictness }),
      ...enforcement(settings, visitors, gateParts),
      ...(settings.proxyProtocol !== 'none' && { proxyProtocol: settings.proxyProtocol }),
      connect: {
        timeouts: { totalMs: settings.timeoutMs },
        ...(family !== undefined && { family: family === 'ipv4' ? 4 : 6 }),
        ...(bindAddr.length > 0 && { localAddress: bindAddr.map(formatSourceAddress) }),
      },
      traffic: this.traffic,
      onStreamClosed: (bytes, record) => {
        logger.debug({ endpoint, requestId: record?.requestId, ...bytes }, 'stream closed')
      },
      onServiceError: (error) => {
        const text = error instanceof Error ? error.message : String(error)
        const code = isDialError(error) ? error.code : undefined
        this.lastFailure = { code, text, at: Date.now() }
        logger.warn(
          { endpoint, service: formatDialAddress(addr), err: error },
          'service not reached',
        )
      },
    })
    this.listener.on('online', (urls) =>
      logger.info({ endpoint, urls: urls.join(' ') }, 'endpoint online'),
    )
    this.listener.on('malformed', ({ requestId, code, message: reason }) =>
      logger.info({ endpoint, requestId, code, reason }, 'answer of the service rejected'),
    )
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
}
