import { formatDialAddress, formatSourceAddress } from '@proj/config'
import { isDialError } from '@proj/dialer'
import { type Agent, forward, type Listener, type Logger } from '@proj/tunnel'
import { Traffic } from '@proj/tunnel/io'

import type { GateParts, VisitorPolicy } from '@proj/auth'

import { enforcement } from './enforcement.ts'
import type { AgentSettings } from '../settings.ts'

type ListenerSettings = AgentSettings['listeners'][number]

/** Why the service could not be reached the last time, and when. */
export interface ServiceFailure {
  /** Code of the dialer, where there is one. */
  readonly code: string | undefined
  /** One sentence. */
  readonly text: string
  /** Ms since the epoch. */
  readonly at: number
}

/** A service that is offered: its endpoint is spliced to the service's address. */
export class Offer {
  /** What the server routes here. */
  readonly listener: Listener
  /** Connections to the service and their bytes. */
  readonly traffic: Traffic = new Traffic()
  /** Why the service could not be reached the last time. */
  lastFailure: ServiceFailure | undefined

  /**
   * @param visitors - what the settings demand of visitors, with verifiers in place of passwords.
   * @param gateParts - what the gates of this agent share.
   */
  constructor(
    agent: Agent,
    settings: ListenerSettings,
    visitors: VisitorPolicy | undefined,
    gateParts: GateParts,
    logger: Logger,
  ) {
    const { endpoint, addr, protocol, bindAddr } = settings
    const service =
      addr.kind === 'unix' ? { path: addr.path } : { host: addr.host, port: addr.port }
    const family = addr.kind === 'unix' || addr.family === 'both' ? undefined : addr.family
    this.listener = forward(agent, endpoint, {
      kind: protocol,
      service,
      ...(settings.publicPort !== undefined && { publicPort: settings.publicPort }),
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
    this.listener.on('offline', () => logger.warn({ endpoint }, 'endpoint offline'))
  }
}
