import type { Socket } from 'node:net'

import type { Handshake, ListenRequest } from '@proj/portcheck'

import type { TlsFront } from './tls/tls-front.ts'

/** Addresses of one port, what happens when one is taken, and who may connect. */
export interface ServerListener extends Omit<
  ListenRequest,
  'onConnection' | 'server' | 'handshake' | 'scheme'
> {
  /** TLS on this port. Default: none. */
  readonly tls?: TlsFront
}

/** Counts a connection, after TLS where the port has it. @returns whether it may stay. */
export type Admit = (socket: Socket, remoteAddress: string) => boolean

/** The request to portcheck: plain TCP, or TLS after the access lists. */
export function listenRequest(
  listener: ServerListener | undefined,
  at: string,
  admit?: Admit,
): ListenRequest {
  const { tls, ...request } = listener ?? { at }
  const handshake = admit === undefined ? tls?.handshake : admitted(admit, tls?.handshake)
  return {
    ...request,
    ...(tls !== undefined && { scheme: 'https' }),
    ...(handshake !== undefined && { handshake }),
  }
}

function admitted(admit: Admit, before: Handshake | undefined): Handshake {
  return (socket, peer, done) => {
    const pass = (passed: Socket): void => {
      if (admit(passed, peer.address)) done(passed)
    }
    if (before === undefined) pass(socket)
    else before(socket, peer, pass)
  }
}
