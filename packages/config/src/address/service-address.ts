import { refuser } from './split-address.ts'
import { formatDialAddress, parseDialAddress, type DialAddress } from './dial-address.ts'

/** A service to connect to, and whether it speaks TLS. */
export interface ServiceAddress {
  /** Host and port, or path of a unix socket. */
  readonly address: DialAddress
  /** Whether the connection is wrapped in TLS, written `https://` in front. */
  readonly tls: boolean
}

/**
 * Reads the address of a service: one that {@link parseDialAddress} reads, or a URL with `http://` or
 * `https://` and nothing after the port, which is 80 or 443 unless it is given.
 *
 * @throws {ConfigError} CONFIG_ADDRESS_INVALID
 */
export function parseServiceAddress(text: string): ServiceAddress {
  const [, scheme, rest = ''] = /^(https?):\/\/(.*?)\/?$/i.exec(text) ?? []
  if (scheme === undefined) return { address: parseDialAddress(text), tls: false }
  const tls = scheme.toLowerCase() === 'https'
  if (rest === '') refuser(text)('the host is missing', 'write http://localhost:3000')
  return { address: parseDialAddress(rest, { defaultPort: tls ? 443 : 80 }), tls }
}

/** Writes the address of a service so that {@link parseServiceAddress} gives the same one back. */
export function formatServiceAddress({ address, tls }: ServiceAddress): string {
  const text = formatDialAddress(address)
  return tls ? `https://${text}` : text
}
