import { X509Certificate } from 'node:crypto'
import type { SecureVersion } from 'node:tls'

/**
 * TLS towards one peer: the server, or an https proxy. Who dials often passes the same object each
 * time: the list of authorities, some hundred of them, is then put together once.
 */
export interface TlsOptions {
  /**
   * Authorities to trust besides the built-in and the system's ones, PEM, several certificates in
   * one text allowed. Default: none. On Node 20 authorities of NODE_EXTRA_CA_CERTS stay trusted too.
   */
  readonly ca?: string | readonly string[] | undefined
  /**
   * Trust what the operating system trusts, where corporate authorities usually live. Default true.
   */
  readonly systemCa?: boolean | undefined
  /** Client certificate with its chain, PEM. Default: none. */
  readonly cert?: string | undefined
  /** Private key of the client certificate, PEM. Default: none. */
  readonly key?: string | undefined
  /** Passphrase of the key. Default: none. */
  readonly passphrase?: string | undefined
  /** Name to ask for and to verify instead of the host that is dialled. Default: the host. */
  readonly servername?: string | undefined
  /**
   * Protocols offered (ALPN). Default `['http/1.1']` for WebSockets and agents, since some edges
   * choose h2 otherwise; none for `dial()`.
   */
  readonly alpn?: readonly string[] | undefined
  /** Oldest version accepted. Default `'TLSv1.2'`. */
  readonly minVersion?: SecureVersion | undefined
  /**
   * Accept only these public keys: SHA-256 of the SubjectPublicKeyInfo in base64, with or without
   * `sha256/` in front. Checked besides the chain, see `verify`. Default: any.
   */
  readonly pin?: string | readonly string[] | undefined
  /**
   * `full` checks chain, dates and name, and the pin if there is one; `pin-only` checks the pin and
   * nothing else, for a self-signed server; `none` checks nothing and is for experiments.
   * Default `full`.
   */
  readonly verify?: 'full' | 'pin-only' | 'none' | undefined
}

/** TLS options with every gap filled. */
export interface ResolvedTls {
  /** The caller's object: what was derived from it once is found again by it. */
  readonly origin: TlsOptions
  readonly ca: readonly string[]
  readonly systemCa: boolean
  readonly cert: string | undefined
  readonly key: string | undefined
  readonly passphrase: string | undefined
  readonly servername: string | undefined
  readonly alpn: readonly string[] | undefined
  readonly minVersion: SecureVersion
  readonly pins: readonly string[]
  readonly verify: 'full' | 'pin-only' | 'none'
}

/** Protocols offered where HTTP/1.1 follows; some edges choose h2 unless told otherwise. */
export const HTTP_ALPN: readonly string[] = ['http/1.1']

/** Stands for "TLS, everything by default". */
export const DEFAULT_TLS: TlsOptions = Object.freeze({})

/**
 * Fills and checks TLS options; pure.
 * @param alpn - protocols offered unless the options name others
 * @throws {TypeError} naming the option
 */
export function resolveTls(options: TlsOptions, alpn?: readonly string[]): ResolvedTls {
  const ca = [options.ca ?? []].flat().flatMap(splitPem)
  const pins = [options.pin ?? []].flat().map(parsePin)
  const verify = options.verify ?? 'full'
  if (verify === 'pin-only' && pins.length === 0) {
    throw new TypeError('tls.verify "pin-only" needs tls.pin')
  }
  if ((options.cert === undefined) !== (options.key === undefined)) {
    throw new TypeError('tls.cert and tls.key belong together')
  }
  return {
    origin: options,
    ca,
    systemCa: options.systemCa ?? true,
    cert: options.cert,
    key: options.key,
    passphrase: options.passphrase,
    servername: options.servername,
    alpn: options.alpn ?? alpn,
    minVersion: options.minVersion ?? 'TLSv1.2',
    pins,
    verify,
  }
}

/** Takes a text of PEM certificates apart, and refuses one that holds none or a broken one. */
function splitPem(text: string): readonly string[] {
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []
  if (blocks.length === 0) throw new TypeError('tls.ca holds no PEM certificate')
  for (const block of blocks) {
    try {
      // Node ignores a certificate in "ca" that it cannot read, and fails later with "untrusted".
      void new X509Certificate(block)
    } catch {
      throw new TypeError('tls.ca holds a certificate that cannot be read')
    }
  }
  return blocks
}

function parsePin(text: string): string {
  const base64 = text.replace(/^sha256[/:]/i, '')
  if (Buffer.from(base64, 'base64').length !== 32) {
    throw new TypeError('tls.pin must be the base64 of a SHA-256, 32 bytes')
  }
  return Buffer.from(base64, 'base64').toString('base64')
}
