import type { X509Certificate } from 'node:crypto'
import type { Duplex } from 'node:stream'
import { type PeerCertificate, TLSSocket } from 'node:tls'

import type { ClientCertificate, ConnectRequest } from '@proj/tunnel/server'

import { isPersonName, isPrintable } from '../auth/person-name.ts'

/** Kinds of names that identify a peer; an IP address does not. */
const KINDS: ReadonlySet<string> = new Set(['DNS', 'URI', 'email'])

/** Longest server name that is passed on; longer than DNS allows. */
const MAX_NAME_CHARS = 255

/** The certificate of a peer, when its port asked for one and it is valid. */
export function clientCertificateOf(socket: Duplex): ClientCertificate | undefined {
  if (!(socket instanceof TLSSocket) || !socket.authorized) return undefined
  // The declarations do not say that the object is empty when the peer has gone.
  const shown: Partial<PeerCertificate> = socket.getPeerCertificate()
  if (shown.fingerprint256 === undefined) return undefined
  const notAfter = endOfCertificate(shown)
  // An array where there are several, whatever the declarations say.
  const commonName: unknown = shown.subject?.CN
  return {
    names: alternativeNames(shown.subjectaltname ?? ''),
    ...(isPersonName(commonName) && { commonName }),
    fingerprint256: shown.fingerprint256,
    ...(notAfter !== undefined && { notAfter }),
  }
}

/** When a certificate expires, ms since the epoch. */
export function endOfCertificate({ valid_to }: Partial<PeerCertificate>): number | undefined {
  const at = Date.parse(valid_to ?? '')
  return Number.isNaN(at) ? undefined : at
}

/** Version and server name of a TLS connection, as stream records have it; undefined when plain. */
function tlsFactsOf(socket: Duplex): string | undefined {
  if (!(socket instanceof TLSSocket)) return undefined
  const version = socket.getProtocol() ?? 'TLS'
  // `servername` is what the client sent, or false for none.
  const name: unknown = Reflect.get(socket, 'servername')
  const isHost = typeof name === 'string' && /^[\w.:-]+$/.test(name)
  return isHost && name.length <= MAX_NAME_CHARS ? `${version} ${name}` : version
}

/** What TLS tells about a peer, for a request on the connect route. */
export function peerFacts(socket: Duplex): Pick<ConnectRequest, 'certificate' | 'tls'> {
  const certificate = clientCertificateOf(socket)
  const tls = tlsFactsOf(socket)
  return { ...(certificate && { certificate }), ...(tls !== undefined && { tls }) }
}

/** A certificate as the log and the status page show it. */
export function describeCertificate(certificate: X509Certificate): {
  readonly names: readonly string[]
  readonly serial: string
  readonly expires: string
} {
  const names = alternativeNames(certificate.subjectAltName ?? '')
  return {
    names: names.length > 0 ? names : [certificate.subject.replaceAll('\n', ', ')],
    serial: certificate.serialNumber,
    expires: new Date(certificate.validTo).toISOString(),
  }
}

/**
 * Takes Node's text of alternative names apart: `DNS:a.example, URI:spiffe://b/c`. A name with a comma
 * or a quote in it is written as a JSON string, so that one name cannot be hidden in another.
 */
export function alternativeNames(text: string): string[] {
  const names: string[] = []
  const entry = /([^:,\s][^:,]*):("(?:[^"\\]|\\.)*"|[^,]*)(?:, |$)/y
  while (entry.lastIndex < text.length) {
    const found = entry.exec(text)
    if (found === null) return [] // not Node's form: then no name is trusted
    const [, kind = '', value = ''] = found
    if (!KINDS.has(kind)) continue
    const name = unquoted(value)
    if (name === undefined) return []
    // Names stand in the log and in lists; one that could not is no identity.
    if (isPrintable(name)) names.push(`${kind}:${name}`)
  }
  return names
}

function unquoted(value: string): string | undefined {
  if (!value.startsWith('"')) return value
  try {
    return String(JSON.parse(value))
  } catch {
    return undefined
  }
}
