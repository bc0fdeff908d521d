import { X509Certificate } from 'node:crypto'
import type { checkServerIdentity, SecureContext, SecureVersion } from 'node:tls'

import { checkOptionNames, type OptionNames } from '../option-names.ts'

/**
 * TLS to one peer: the server, or an https proxy. Pass the same object to every dial: the list of some
 * hundred authorities is then made once.
 */
export interface TlsOptions {
  /**
   * Authorities to trust in addition to those of Node, of NODE_EXTRA_CA_CERTS and of the system, PEM,
   * one or more certificates per text or Buffer. Default: none.
   */
  readonly ca?: Pem | readonly Pem[] | undefined
  /**
   * Trust the authorities of the operating system, which usually include those of a company.
   * Default: true.
   */
  readonly systemCa?: boolean | undefined
  /** Client certificate with its chain, PEM. Default: none. */
  readonly cert?: Pem | undefined
  /** Private key of the client certificate, PEM. Default: none. */
  readonly key?: Pem | undefined
  /** Client certificate with its key and chain, PKCS #12, instead of `cert` and `key`. Default: none. */
  readonly pfx?: Uint8Array | undefined
  /** Passphrase of `key` or `pfx`. Default: none. */
  readonly passphrase?: string | undefined
  /** Name to send and to verify instead of the host. Default: the host. */
  readonly servername?: string | undefined
  /**
   * Protocols to offer (ALPN). Default: `['http/1.1']` for WebSockets and agents, because some servers
   * choose h2 without it; none for `dial()`.
   */
  readonly alpn?: readonly string[] | undefined
  /** Oldest version to accept. Default: `'TLSv1.2'`. */
  readonly minVersion?: SecureVersion | undefined
  /** Newest version to offer. Default: `'TLSv1.3'`. */
  readonly maxVersion?: SecureVersion | undefined
  /** Cipher suites to offer, in the form of OpenSSL. Default: those of Node. */
  readonly ciphers?: string | undefined
  /** Options of OpenSSL, the sum of `SSL_OP_*` in `crypto.constants`. Default: those of Node. */
  readonly secureOptions?: number | undefined
  /**
   * Accept only these public keys: SHA-256 of the SubjectPublicKeyInfo in base64, with or without the
   * prefix `sha256/`. Checked in addition to the chain, see `verify`. Default: any key.
   */
  readonly pin?: string | readonly string[] | undefined
  /**
   * `full` checks chain, dates and name, and the pin if there is one; `pin-only` checks only the pin,
   * for a server with a self-signed certificate; `none` checks nothing, for experiments only.
   * Default: `full`.
   */
  readonly verify?: 'full' | 'pin-only' | 'none' | undefined
}

/** The options `tls` and `proxyTls`. */
const TLS_OPTION_NAMES: OptionNames<TlsOptions> = {
  ca: true,
  systemCa: true,
  cert: true,
  key: true,
  pfx: true,
  passphrase: true,
  servername: true,
  alpn: true,
  minVersion: true,
  maxVersion: true,
  ciphers: true,
  secureOptions: true,
  pin: true,
  verify: true,
}

/** Text in the format PEM, or its bytes. */
export type Pem = string | Uint8Array

/** Matches each certificate of a text. */
export const PEM_CERTIFICATE: RegExp = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g

/** TLS options with all defaults filled in. */
export interface ResolvedTls {
  /** The object of the caller; the key of the cached context. */
  readonly origin: TlsOptions
  readonly ca: readonly string[]
  readonly systemCa: boolean
  readonly cert: Pem | undefined
  readonly key: Pem | undefined
  readonly pfx: Uint8Array | undefined
  readonly passphrase: string | undefined
  readonly servername: string | undefined
  readonly alpn: readonly string[] | undefined
  readonly minVersion: SecureVersion
  readonly maxVersion: SecureVersion
  readonly ciphers: string | undefined
  readonly secureOptions: number | undefined
  readonly pins: readonly string[]
  readonly verify: 'full' | 'pin-only' | 'none'
  /** A context instead of that of these options. */
  readonly context?: SecureContext
  /** A check of the name instead of that of Node; an error rejects the certificate. */
  readonly checkIdentity?: typeof checkServerIdentity
}

/** ALPN for connections that carry HTTP/1.1; without it some servers choose h2. */
export const HTTP_ALPN: readonly string[] = ['http/1.1']

/** TLS with all defaults. */
export const DEFAULT_TLS: TlsOptions = Object.freeze({})

/**
 * Fills in defaults and checks TLS options.
 * @param alpn - protocols to offer when the options do not set any
 * @param prefix - name of the option that contains them
 * @throws {TypeError} naming the option
 */
export function resolveTls(
  options: TlsOptions,
  alpn?: readonly string[],
  prefix: 'tls' | 'proxyTls' = 'tls',
): ResolvedTls {
  checkOptionNames(`${prefix}.`, options, TLS_OPTION_NAMES)
  const ca = [options.ca ?? []].flat().flatMap(splitPem)
  for (const name of ['cert', 'key'] as const) checkPem(name, options[name])
  const pins = [options.pin ?? []].flat().map(parsePin)
  const verify = options.verify ?? 'full'
  if (verify === 'pin-only' && pins.length === 0) {
    throw new TypeError('tls.verify "pin-only" needs tls.pin')
  }
  if ((options.cert === undefined) !== (options.key === undefined)) {
    throw new TypeError('set both tls.cert and tls.key, or none of them')
  }
  if (options.pfx !== undefined) {
    if (options.cert !== undefined) throw new TypeError('set tls.pfx, or tls.cert and tls.key')
    if (!(options.pfx instanceof Uint8Array)) throw new TypeError('tls.pfx must be a Buffer')
  }
  return {
    origin: options,
    ca,
    systemCa: options.systemCa ?? true,
    cert: options.cert,
    key: options.key,
    pfx: options.pfx,
    passphrase: options.passphrase,
    servername: options.servername,
    alpn: options.alpn ?? alpn,
    ...resolveVersions(options),
    ciphers: options.ciphers,
    secureOptions: options.secureOptions,
    pins,
    verify,
  }
}

const VERSIONS: readonly SecureVersion[] = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3']

function resolveVersions(options: TlsOptions): Pick<ResolvedTls, 'minVersion' | 'maxVersion'> {
  const { maxVersion = 'TLSv1.3' } = options
  // An older maximum is a decision for an old peer, so it needs no second option.
  const usual = VERSIONS.indexOf(maxVersion) < VERSIONS.indexOf('TLSv1.2') ? maxVersion : 'TLSv1.2'
  const { minVersion = usual } = options
  for (const [name, version] of Object.entries({ maxVersion, minVersion })) {
    if (!VERSIONS.includes(version)) {
      throw new TypeError(`tls.${name} must be one of ${VERSIONS.join(', ')}, got ${version}`)
    }
  }
  if (VERSIONS.indexOf(minVersion) > VERSIONS.indexOf(maxVersion)) {
    throw new TypeError(`tls.maxVersion ${maxVersion} is older than tls.minVersion ${minVersion}`)
  }
  return { minVersion, maxVersion }
}

/** Splits a text into its PEM certificates; rejects a text without one, or with one that cannot be read. */
function splitPem(pem: Pem): readonly string[] {
  checkPem('ca', pem)
  const text = typeof pem === 'string' ? pem : Buffer.from(pem).toString('latin1')
  const blocks = text.match(PEM_CERTIFICATE) ?? []
  if (blocks.length === 0) throw new TypeError('tls.ca contains no PEM certificate')
  for (const block of blocks) {
    try {
      // Node ignores a certificate in "ca" that it cannot read, and later rejects the peer as not trusted.
      void new X509Certificate(block)
    } catch {
      throw new TypeError('tls.ca contains a certificate that cannot be read')
    }
  }
  return blocks
}

/** @throws {TypeError} for a value that is neither text nor bytes, without the value */
function checkPem(name: 'ca' | 'cert' | 'key', pem: unknown): void {
  if (pem === undefined || typeof pem === 'string' || pem instanceof Uint8Array) return
  throw new TypeError(`tls.${name} must be PEM, as text or as a Buffer, got ${typeof pem}`)
}

function parsePin(text: string): string {
  const base64 = text.replace(/^sha256[/:]/i, '')
  if (Buffer.from(base64, 'base64').length !== 32) {
    throw new TypeError('tls.pin must be the base64 of a SHA-256, 32 bytes')
  }
  return Buffer.from(base64, 'base64').toString('base64')
}
