import { formatDialAddress, formatSourceAddress } from '@proj/config'
import { type Agent, forward, type Listener, type Logger } from '@proj/tunnel'

import type { VisitorPolicy } from '@proj/visitors'

import type { AgentSettings } from './settings.ts'

type ListenerSettings = AgentSettings['listeners'][number]

/**
 * Offers one service: its endpoint is spliced to the service's address.
 *
 * @param visitors - what the settings demand of visitors, with verifiers in place of passwords.
 */
export function offer(
  agent: Agent,
  settings: ListenerSettings,
  visitors: VisitorPolicy | undefined,
  logger: Logger,
): Listener {
  const { endpoint, addr, protocol, bindAddr } = settings
  const service = addr.kind === 'unix' ? { path: addr.path } : { host: addr.host, port: addr.port }
  const family = addr.kind === 'unix' || addr.family === 'both' ? undefined : addr.family
  const listener = forward(agent, endpoint, {
    kind: protocol,
    service,
    ...(settings.publicPort !== undefined && { publicPort: settings.publicPort }),
    ...(visitors !== undefined && { visitors }),
    ...(settings.proxyProtocol !== 'none' && { proxyProtocol: settings.proxyProtocol }),
    connect: {
      timeouts: { totalMs: settings.timeoutMs },
      ...(family !== undefined && { family: family === 'ipv4' ? 4 : 6 }),
      ...(bindAddr.length > 0 && { localAddress: bindAddr.map(formatSourceAddress) }),
    },
    onStreamClosed: (bytes, record) => {
      logger.debug({ endpoint, requestId: record?.requestId, ...bytes }, 'stream closed')
    },
    onServiceError: (error) => {
      logger.warn({ endpoint, service: formatDialAddress(addr), err: error }, 'service not reached')
    },
  })
  listener.on('online', (urls) =>
    logger.info({ endpoint, urls: urls.join(' ') }, 'endpoint online'),
  )
  listener.on('offline', () => logger.warn({ endpoint }, 'endpoint offline'))
  return listener
}
