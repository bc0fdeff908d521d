import type { ListenRequest } from '@proj/portcheck'

import type { TlsFront } from './tls/tls-front.ts'

/** Addresses of one port, what happens when one is taken, and who may connect. */
export interface ServerListener extends Omit<
  ListenRequest,
  'onConnection' | 'server' | 'handshake' | 'scheme'
> {
  /** TLS on this port. Default: none. */
  readonly tls?: TlsFront
}

/** The request to portcheck: plain TCP, or TLS after the access lists. */
export function listenRequest(listener: ServerListener | undefined, at: string): ListenRequest {
  const { tls, ...request } = listener ?? { at }
  return tls === undefined ? request : { ...request, scheme: 'https', handshake: tls.handshake }
}
