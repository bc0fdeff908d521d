import { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'

/**
 * The TCP socket below a TLS socket, where there is one.
 *
 * Node keeps it in a private property, the same from 20 to 26; without it TLS still works, but
 * a connection can only be closed, not reset. A test looks at the running Node.
 */
export function tcpSocketOf(socket: TLSSocket): Socket | undefined {
  const tcpSocket: unknown = Reflect.get(socket, '_parent')
  return tcpSocket instanceof Socket ? tcpSocket : undefined
}
