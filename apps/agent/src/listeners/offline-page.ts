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

/** Sends the page of a listener whenever it comes online: the server has forgotten the one before. */
export function keepOfflinePage(
  listener: Listener,
  file: string,
  server: ServerOptions,
  logger: Logger,
): void {
  const ended = new AbortController()
  const { endpoint } = listener
  const send = async (): Promise<void> => {
    try {
      const page = (await readRegularFile(file, MAX_PAGE_BYTES)).toString()
      await setOfflinePage(server, endpoint, page, { signal: ended.signal })
      logger.debug({ endpoint, file }, 'offline page sent')
    } catch (error) {
      if (ended.signal.aborted) return
      const isRefused = isTunnelError(error, 'TUNNEL_RESERVATION_REFUSED')
      const hint = isRefused ? 'update the server, or remove offline_page' : undefined
      logger.warn({ endpoint, file, err: error, hint }, 'visitors do not get the offline page')
    }
  }
  listener.on('online', () => void send())
  void listener.closed.then(() => ended.abort())
}
