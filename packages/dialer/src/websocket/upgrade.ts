import type { ClientRequest, IncomingHttpHeaders, IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'

import type { ClientOptions, WebSocket } from 'ws'

import { type DialContext, timedOut } from '../dial-context.ts'
import { DialError } from '../errors.ts'
import { clientCertificateError, isClientCertificateAlert } from '../tls/errors.ts'
import { rejectedUpgradeError } from './rejected-upgrade.ts'
import type { WebSocketTarget } from './websocket-target.ts'

/** A WebSocket class of ws, or one derived from it. */
export type WebSocketClass<T extends WebSocket> = new (
  url: URL,
  protocols: string[],
  options: ClientOptions,
) => T

/** Result of an upgrade. */
export interface Upgraded<T, R> {
  readonly websocket: T
  readonly result: R
  /** Headers of the 101. */
  readonly headers: IncomingHttpHeaders
}

/**
 * Lets ws do the opening handshake over a connected socket. With such a socket the `handshakeTimeout`
 * of ws has no effect, so the time limit is ours.
 * @param listen - waits for the event that ends the handshake, and calls `done` with the result
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
          `no response to the WebSocket upgrade of ${about}`,
          limitMs,
          'a proxy or firewall may block WebSockets, or TLS inspection may have removed a client certificate',
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
          websocket.off('unexpected-response', onRejected)
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
        const onRejected = (_request: ClientRequest, response: IncomingMessage): void => {
          void rejectedUpgradeError(response, about).then(fail)
        }
        const onError = (error: Error): void => fail(upgradeError(error, target))
        websocket.on('upgrade', onUpgrade)
        websocket.on('unexpected-response', onRejected)
        websocket.on('error', onError)
        signal.addEventListener('abort', onAbort, { once: true })
        listen(websocket, (result) => finish(() => resolve({ websocket, result, headers })))
      }),
    () => '101 Switching Protocols',
  )
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
      `the server closed the connection without a response to the WebSocket upgrade of ${about}`,
      {
        ...where,
        hint:
          resolved.tls === undefined
            ? `the port may require TLS: try wss:// (${'port' in endpoint ? endpoint.port : 'socket'})`
            : 'a proxy or firewall may block WebSockets',
        cause: error,
      },
    )
  }
  // Parse errors of Node contain the raw bytes; only their text is used.
  return new DialError(
    'DIAL_UPGRADE_INVALID',
    `the response to the WebSocket upgrade of ${about} is not valid: ${error.message}`,
    { ...where, hint: 'the port may use another protocol than HTTP' },
  )
}
