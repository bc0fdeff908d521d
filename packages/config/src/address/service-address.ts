import { refuser, withPrefix, withUsefulHint } from './split-address.ts'
import { formatDialAddress, readDialAddress, type DialAddress } from './dial-address.ts'

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
  return withUsefulHint(text, readServiceAddress)
}

function readServiceAddress(text: string): ServiceAddress {
  const [, scheme, rest = ''] = /^(https?):\/\/(.*?)\/?$/i.exec(text) ?? []
  if (scheme === undefined) return { address: readDialAddress(text, {}), tls: false }
  const tls = scheme.toLowerCase() === 'https'
  if (rest === '') refuser(text)('the host is missing', 'write http://localhost:3000')
  const defaultPort = tls ? 443 : 80
  const address = withPrefix(`${scheme}://`, () => readDialAddress(rest, { defaultPort }))
  return { address, tls }
}

/** Writes the address of a service so that {@link parseServiceAddress} gives the same one back. */
export function formatServiceAddress({ address, tls }: ServiceAddress): string {
  const text = formatDialAddress(address)
  return tls ? `https://${text}` : text
}
