import { readRegularFile } from '@proj/program-kit'
import {
  isTunnelError,
  type Listener,
  type Logger,
  type ServerOptions,
  setOfflinePage,
} from '@proj/tunnel'

/** Largest page, bytes: what the server takes. */
const MAX_PAGE_BYTES = 65_536

/**
 * Sends the page of a listener each time that a session serves it: a server drops the page when an agent begins to
 * serve the endpoint, also while this agent has a session with another server, or one whose end it has not noticed.
 */
export function keepOfflinePage(
  listener: Listener,
  file: string,
  server: ServerOptions,
  logger: Logger,
): void {
  const ended = new AbortController()
  const { endpoint } = listener
  let isSending = false
  let isDue = false
  const sendAll = async (): Promise<void> => {
    isDue = true
    if (isSending) return
    isSending = true
    while (isDue && !ended.signal.aborted) {
      isDue = false
      await send()
    }
    isSending = false
  }
  const send = async (): Promise<void> => {
    try {
      const page = (await readRegularFile(file, MAX_PAGE_BYTES)).toString()
      await setOfflinePage(server, endpoint, page, { signal: ended.signal })
      logger.debug({ endpoint, file }, 'offline page sent')
    } catch (error) {
      if (ended.signal.aborted) return
      const status = isTunnelError(error, 'TUNNEL_RESERVATION_REFUSED') ? error.status : undefined
      // One of several servers has no session yet: it gets the page with its first.
      if (status === 409 && typeof server.url !== 'string' && server.url.length > 1) return
      const hint = status === 404 ? 'update the server, or remove offline_page' : undefined
      logger.warn({ endpoint, file, err: error, hint }, 'visitors do not get the offline page')
    }
  }
  listener.on('registered', () => void sendAll())
  void listener.closed.then(() => ended.abort())
}
