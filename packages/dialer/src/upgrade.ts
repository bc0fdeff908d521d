import type { ClientRequest, IncomingHttpHeaders, IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'

import type { ClientOptions, WebSocket } from 'ws'

import { type DialContext, timedOut } from './dial-context.ts'
import { DialError } from './dial-error.ts'
import { clientCertificateError, isClientCertificateAlert } from './handshake-error.ts'
import { refusal } from './upgrade-refusal.ts'
import type { WebSocketTarget } from './websocket-target.ts'

/** A WebSocket class of ws, or one derived from it. */
export type WebSocketClass<T extends WebSocket> = new (
  url: URL,
  protocols: string[],
  options: ClientOptions,
) => T

/** What stands after the upgrade. */
export interface Upgraded<T, R> {
  readonly websocket: T
  readonly result: R
  /** Headers of the 101. */
  readonly headers: IncomingHttpHeaders
}

/**
 * Makes ws do the opening handshake over a socket that stands already. With such a socket the
 * `handshakeTimeout` of ws does nothing, so the limit is ours.
 * @param listen - arms the event that means "the handshake is done", and resolves with its result
 * @throws {DialError} DIAL_UPGRADE_*; the socket is destroyed
 */
export async function upgrade<T extends WebSocket, R>(
  context: DialContext,
  socket: Socket,
  target: WebSocketTarget,
  Class: WebSocketClass<T>,
  options: ClientOptions,
  listen: (websocket: T, done: (result: R) => void) => void,
): Promise<Upgraded<T, R>> {
  const { about } = target
  const limitMs = context.options.timeouts.upgradeMs
  return context.step(
    {
      phase: 'upgrade',
      leg: 'server',
      about,
      limitMs,
      expired: () =>
        timedOut(
          'DIAL_UPGRADE_TIMEOUT',
          'upgrade',
          'server',
          `no answer to the WebSocket upgrade of ${about}`,
          limitMs,
          'a proxy or firewall on the way may hold WebSocket traffic back; a client certificate may have been dropped by TLS inspection',
        ),
    },
    (signal) =>
      new Promise<Upgraded<T, R>>((resolve, reject) => {
        let headers: IncomingHttpHeaders = {}
        const websocket = new Class(target.url, target.protocols, {
          ...options,
          headers: target.headers,
          createConnection: () => socket,
          followRedirects: false,
          perMessageDeflate: false,
        })
        const finish = (settle: () => void): void => {
          signal.removeEventListener('abort', onAbort)
          websocket.off('upgrade', onUpgrade)
          websocket.off('unexpected-response', onRefused)
          websocket.off('error', onError)
          settle()
        }
        const fail = (error: unknown): void => {
          finish(() => reject(error))
          websocket.on('error', () => {})
          websocket.terminate()
          socket.destroy()
        }
        const onAbort = (): void => fail(signal.reason)
        const onUpgrade = (response: IncomingMessage): void => {
          headers = response.headers
        }
        const onRefused = (_request: ClientRequest, response: IncomingMessage): void => {
          void refusal(response, about).then(fail)
        }
        const onError = (error: Error): void => fail(upgradeError(error, target))
        websocket.on('upgrade', onUpgrade)
        websocket.on('unexpected-response', onRefused)
        websocket.on('error', onError)
        signal.addEventListener('abort', onAbort, { once: true })
        listen(websocket, (result) => finish(() => resolve({ websocket, result, headers })))
      }),
    () => '101 Switching Protocols',
  )
}

/** What dialRawWebSocket hands over. */
export interface RawWebSocket {
  /** The connection, unframed: WebSocket frames are the caller's business from here on. */
  readonly socket: Duplex
  /** Bytes that came in one piece with the answer, the first of the server's frames. */
  readonly head: Buffer
  /** Headers of the 101. */
  readonly headers: IncomingHttpHeaders
}

function upgradeError(error: Error, { about, endpoint, resolved }: WebSocketTarget): DialError {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  if (isClientCertificateAlert(error)) {
    return clientCertificateError(error, { about, leg: 'server', proxied: false })
  }
  const where = { phase: 'upgrade', leg: 'server' } as const
  if (code === 'ECONNRESET' || code === 'EPIPE') {
    return new DialError(
      'DIAL_UPGRADE_CLOSED',
      `the server closed the connection instead of answering the WebSocket upgrade of ${about}`,
      {
        ...where,
        hint:
          resolved.tls === undefined
            ? `the port may want TLS: try wss:// (${'port' in endpoint ? endpoint.port : 'socket'})`
            : 'a proxy or firewall on the way may forbid WebSockets',
        cause: error,
      },
    )
  }
  // Parse errors of Node carry the raw packet; only their text is taken over.
  return new DialError(
    'DIAL_UPGRADE_INVALID',
    `the answer to the WebSocket upgrade of ${about} is not valid: ${error.message}`,
    { ...where, hint: 'the port may serve something else than HTTP' },
  )
}
