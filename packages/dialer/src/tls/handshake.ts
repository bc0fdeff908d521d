import { createHash, X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import type { Duplex } from 'node:stream'
import * as tls from 'node:tls'

import { certificateError, handshakeError, pinError } from './errors.ts'
import { type DialContext, type DialStep, timedOut } from '../dial-context.ts'
import type { DialLeg } from '../errors.ts'
import { withoutZone } from '../endpoint.ts'
import { holding, socketEvent } from '../socket-event.ts'
import type { ResolvedTls } from './options.ts'
import { trustingContext } from './trust.ts'

export interface TlsHop {
  /** Host to verify, unless the options set another name. */
  readonly host: string
  /** Host and port, for messages. */
  readonly about: string
  readonly leg: DialLeg
  /** Whether the bytes pass a proxy, which makes TLS inspection more likely. */
  readonly proxied: boolean
}

/**
 * Does the TLS handshake over a connected socket and checks the certificate.
 *
 * The check is made here, after the handshake and before the socket is used, and not by Node's
 * `rejectUnauthorized`: Node makes it at the same moment but drops the certificate, and only the name
 * of its issuer shows that TLS inspection is the reason.
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
        `the TLS handshake with the ${leg} ${about} did not finish`,
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
    secureContext: options.context ?? trustingContext(options),
    // RFC 6066 section 3: an address must not be sent as a server name.
    servername: isIP(name) === 0 ? name : '',
    rejectUnauthorized: false,
    // check() checks the name, so that `authorized` is about the chain only.
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
    const name = withoutZone(options.servername ?? hop.host)
    const checkIdentity = options.checkIdentity ?? tls.checkServerIdentity
    const mismatch = checkIdentity(name, secured.getPeerCertificate())
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
  return certificate?.subjectAltName ?? certificate?.subject.replaceAll('\n', ', ') ?? 'unknown'
}

/**
 * Returns the certificate of the peer. Does not use getPeerX509Certificate(): on Node 20 that call
 * removes the certificate from the session, and later calls find none.
 */
function peerCertificate(secured: tls.TLSSocket): X509Certificate | undefined {
  // Without a certificate the object is empty, which the declarations do not say.
  const { raw } = secured.getPeerCertificate() as Partial<tls.PeerCertificate>
  return raw === undefined ? undefined : new X509Certificate(raw)
}
