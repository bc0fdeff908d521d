import { createHash, X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import type { Duplex } from 'node:stream'
import * as tls from 'node:tls'

import { certificateError, pinError } from './certificate-error.ts'
import { type DialContext, type DialStep, timedOut } from './dial-context.ts'
import type { DialLeg } from './dial-error.ts'
import { handshakeError } from './handshake-error.ts'
import { holding, socketEvent } from './socket-event.ts'
import type { ResolvedTls } from './tls-options.ts'
import { trustingContext } from './tls-trust.ts'

/** What a handshake is about. */
export interface TlsHop {
  /** Host that was dialled; verified unless the options name another. */
  readonly host: string
  /** Host and port, for messages. */
  readonly about: string
  readonly leg: DialLeg
  /** Whether the bytes pass a proxy, which makes an unknown issuer look like inspection. */
  readonly proxied: boolean
}

/**
 * Speaks TLS over a connected socket and checks who is on the other side.
 *
 * The check runs here, after the handshake and before anybody gets the socket, and not in Node's
 * `rejectUnauthorized`: Node does it at the very same moment, but throws the certificate away, and
 * the name of its issuer is what tells a person that a middlebox inspects the traffic.
 * @throws {DialError} DIAL_TLS_*; the socket is destroyed
 */
export async function secure(
  context: DialContext,
  socket: Duplex,
  options: ResolvedTls,
  hop: TlsHop,
): Promise<tls.TLSSocket> {
  const { about, leg } = hop
  const limitMs = context.options.timeouts.tlsMs
  const step: DialStep = {
    phase: 'tls',
    leg,
    about,
    limitMs,
    expired: () =>
      timedOut(
        'DIAL_TLS_TIMEOUT',
        'tls',
        leg,
        `no TLS handshake with the ${leg} ${about}`,
        limitMs,
      ),
  }
  return holding(socket, () =>
    context.step(
      step,
      async (signal) => {
        const secured = tls.connect(handshakeOptions(socket, options, hop))
        await handshake(secured, hop, signal)
        check(secured, options, hop)
        return secured
      },
      (secured) => `${secured.getProtocol() ?? 'TLS'}, certificate of ${subjectOf(secured)}`,
    ),
  )
}

function handshakeOptions(
  socket: Duplex,
  options: ResolvedTls,
  { host }: TlsHop,
): tls.ConnectionOptions {
  const name = options.servername ?? host
  return {
    socket,
    secureContext: trustingContext(options),
    // RFC 6066 section 3: no address may be sent as a server name.
    servername: isIP(name) === 0 ? name : '',
    rejectUnauthorized: false,
    // Names are checked by check(), so that `authorized` speaks of the chain alone.
    checkServerIdentity: () => undefined,
    ...(options.alpn === undefined ? {} : { ALPNProtocols: [...options.alpn] }),
  }
}

async function handshake(secured: tls.TLSSocket, hop: TlsHop, signal: AbortSignal): Promise<void> {
  try {
    await socketEvent(secured, 'secureConnect', signal)
  } catch (error) {
    if (signal.aborted) throw signal.reason
    throw handshakeError(error, hop)
  }
}

function check(secured: tls.TLSSocket, options: ResolvedTls, hop: TlsHop): void {
  const certificate = peerCertificate(secured)
  if (options.verify === 'full') {
    if (!secured.authorized) {
      throw certificateError(String(secured.authorizationError), certificate, hop)
    }
    const name = (options.servername ?? hop.host).split('%')[0] ?? ''
    const mismatch = tls.checkServerIdentity(name, secured.getPeerCertificate())
    if (mismatch !== undefined) {
      throw certificateError('ERR_TLS_CERT_ALTNAME_INVALID', certificate, hop)
    }
  }
  if (options.pins.length === 0 || options.verify === 'none') return
  const key = certificate?.publicKey.export({ type: 'spki', format: 'der' })
  const pin = key === undefined ? 'none' : createHash('sha256').update(key).digest('base64')
  if (!options.pins.includes(pin)) throw pinError(pin, certificate, hop)
}

function subjectOf(secured: tls.TLSSocket): string {
  const certificate = peerCertificate(secured)
  return certificate?.subjectAltName ?? certificate?.subject.replaceAll('\n', ', ') ?? 'nobody'
}

/**
 * Reads the peer's certificate. Not by getPeerX509Certificate(): on Node 20 that call takes the
 * certificate out of the session, and every later question finds none.
 */
function peerCertificate(secured: tls.TLSSocket): X509Certificate | undefined {
  // The declarations forget that the object is empty when the peer showed none.
  const { raw } = secured.getPeerCertificate() as Partial<tls.PeerCertificate>
  return raw === undefined ? undefined : new X509Certificate(raw)
}
