import type { ConnectionOptions, TLSSocket } from 'node:tls'

import { fingerprintOf, type LinkCertificate } from './certificate.ts'

/** How links are secured. */
export interface LinkTls {
  /** What this node shows. */
  readonly certificate: LinkCertificate
  /** Own CA, PEM: the certificates of nodes have to be issued by it as well. Default: none. */
  readonly ca?: string | undefined
}

/**
 * Options of both sides. A chain is looked at only with an own CA: what is trusted is the fingerprint in the row of
 * the node, and a name would prove nothing more.
 */
export function tlsOptionsOf({
  certificate,
  ca,
}: LinkTls): Pick<
  ConnectionOptions,
  | 'cert'
  | 'key'
  | 'ca'
  | 'minVersion'
  | 'maxVersion'
  | 'requestCert'
  | 'rejectUnauthorized'
  | 'checkServerIdentity'
> {
  return {
    cert: certificate.cert,
    key: certificate.key,
    minVersion: 'TLSv1.3',
    maxVersion: 'TLSv1.3',
    requestCert: true,
    rejectUnauthorized: ca !== undefined,
    checkServerIdentity: () => undefined,
    ...(ca !== undefined && { ca }),
  }
}

/** Fingerprint of what the peer has shown; undefined: nothing. */
export function peerFingerprint(socket: TLSSocket): string | undefined {
  const peer = socket.getPeerX509Certificate()
  return peer === undefined ? undefined : fingerprintOf(peer)
}
