// The trusted authorities. Node's option "ca" replaces the built-in authorities and those in
// NODE_EXTRA_CA_CERTS, but a company's authority has to be added to them. From Node 22.15 on the lists
// can be read and joined. On Node 20 the certificates are added one by one to a context with the
// default store. The first one that is added replaces this store by a new one, without those in
// NODE_EXTRA_CA_CERTS, so these are read from the file and added again. Node itself defines this
// variable and SSL_CERT_FILE, so this is the only file of the package that reads `process.env`.

import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import * as tls from 'node:tls'

import { PEM_CERTIFICATE, type ResolvedTls, type TlsOptions } from './options.ts'

// Reading some hundred authorities takes 4 ms on Node 20 and 20 to 40 ms where the whole list is
// passed, so a context is cached as long as the caller keeps the options.
const contexts = new WeakMap<TlsOptions, tls.SecureContext>()

/**
 * Makes the context for handshakes: authorities, client certificate, oldest version.
 * @throws {TypeError} for a key, a certificate or a passphrase that do not match
 */
export function trustingContext(options: ResolvedTls): tls.SecureContext {
  const kept = contexts.get(options.origin)
  if (kept !== undefined) return kept
  let context: tls.SecureContext
  try {
    context = createContext(options)
  } catch (error) {
    // The text of OpenSSL does not contain the key.
    const why = error instanceof Error ? error.message : String(error)
    throw new TypeError(`tls.${wrongOptions(options)} is not valid: ${why}`, { cause: error })
  }
  contexts.set(options.origin, context)
  return context
}

/** Names the options that OpenSSL reads, for the error: it does not say which one is wrong. */
function wrongOptions({ cert, pfx, ciphers, secureOptions }: ResolvedTls): string {
  const names = [
    ...(cert === undefined ? [] : ['cert', 'key', 'passphrase']),
    ...(pfx === undefined ? [] : ['pfx', 'passphrase']),
    ...(ciphers === undefined ? [] : ['ciphers']),
    ...(secureOptions === undefined ? [] : ['secureOptions']),
  ]
  return names.join(' or tls.')
}

/**
 * Makes the context of one request. Options of the agent count more than those of the request. As in
 * Node, `ca` of a request replaces the authorities of Node and of the system.
 * @throws what `createSecureContext` throws
 */
export function requestContext(
  options: ResolvedTls,
  request: tls.SecureContextOptions,
): tls.SecureContext {
  const { origin } = options
  const picked: tls.SecureContextOptions = {}
  for (const name of REQUEST_OPTIONS) {
    if (request[name] !== undefined) Object.assign(picked, { [name]: request[name] })
  }
  const versions = {
    minVersion: origin.minVersion ?? request.minVersion ?? options.minVersion,
    maxVersion: origin.maxVersion ?? request.maxVersion ?? options.maxVersion,
  }
  const merged = {
    ...picked,
    // Node refuses these together with a protocol.
    ...(request.secureProtocol === undefined && versions),
    ...clientOptions(options),
  }
  return request.ca === undefined
    ? withAuthorities(merged, options)
    : tls.createSecureContext({ ...merged, ca: request.ca })
}

/** Options of a request that a context takes as they are. */
const REQUEST_OPTIONS = [
  'cert',
  'key',
  'pfx',
  'passphrase',
  'ciphers',
  'crl',
  'ecdhCurve',
  'sigalgs',
  'secureProtocol',
  'secureOptions',
] as const satisfies readonly (keyof tls.SecureContextOptions)[]

/** Whether a request has an option that makes a context of its own; `createSecureContext` checks the values. */
export function needsOwnContext(request: tls.SecureContextOptions): boolean {
  const names = [...REQUEST_OPTIONS, 'ca', 'minVersion', 'maxVersion'] as const
  return names.some((name) => request[name] !== undefined)
}

function createContext(options: ResolvedTls): tls.SecureContext {
  const { minVersion, maxVersion } = options
  return withAuthorities({ minVersion, maxVersion, ...clientOptions(options) }, options)
}

/** The options of a context that are set. */
function clientOptions(options: ResolvedTls): tls.SecureContextOptions {
  const { ciphers, secureOptions, cert, key, pfx, passphrase } = options
  return {
    ...(ciphers !== undefined && { ciphers }),
    ...(secureOptions !== undefined && { secureOptions }),
    ...(pfx !== undefined && { pfx: Buffer.from(pfx) }),
    ...(cert !== undefined && { cert: bytesOf(cert) }),
    ...(key !== undefined && { key: bytesOf(key) }),
    ...(passphrase !== undefined && { passphrase }),
  }
}

function withAuthorities(base: tls.SecureContextOptions, options: ResolvedTls): tls.SecureContext {
  if (options.verify !== 'full') return tls.createSecureContext(base)
  // A PKCS #12 file with authorities replaces the default store too.
  if (options.ca.length === 0 && !options.systemCa && base.pfx === undefined) {
    return tls.createSecureContext(base)
  }
  const { getCACertificates } = tls as TlsWithAuthorities
  if (getCACertificates !== undefined) {
    const system = options.systemCa ? getCACertificates('system') : []
    const ca = [...new Set([...getCACertificates('default'), ...system, ...options.ca])]
    return tls.createSecureContext({ ...base, ca })
  }
  const context = tls.createSecureContext(base)
  const native = context.context as { addCACert(pem: string): void }
  const system = options.systemCa ? systemAuthorities() : []
  for (const pem of [...extraAuthorities(), ...system, ...options.ca]) native.addCACert(pem)
  return context
}

// The options of Node accept a Buffer, but not every Uint8Array on Node 20.
function bytesOf(pem: string | Uint8Array): string | Buffer {
  return typeof pem === 'string' ? pem : Buffer.from(pem)
}

// Declared here because @types/node has the version of the oldest supported Node.
type TlsWithAuthorities = typeof tls & {
  getCACertificates?: (type: 'default' | 'system') => string[]
}

// Files with the authorities of the system, by distribution (the list of Go's crypto/x509).
const SYSTEM_BUNDLES = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/pki/tls/cacert.pem',
  '/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem',
  '/etc/ssl/cert.pem',
]

let cachedExtra: readonly string[] | undefined
let cachedSystem: readonly string[] | undefined

/**
 * Reads the authorities in NODE_EXTRA_CA_CERTS once, as Node does: it warns at its start about a file
 * that cannot be read, and continues without it.
 */
function extraAuthorities(): readonly string[] {
  const path = process.env['NODE_EXTRA_CA_CERTS']
  cachedExtra ??= path === undefined || path === '' ? [] : (readAuthorities(path) ?? [])
  return cachedExtra
}

/** Reads the authorities of the system once, without those that are built into Node. */
function systemAuthorities(): readonly string[] {
  if (cachedSystem !== undefined) return cachedSystem
  const builtIn = new Set(tls.rootCertificates.map(compact))
  // OpenSSL, and so Node 22 and newer, read the file in SSL_CERT_FILE instead of that of the system.
  const path = process.env['SSL_CERT_FILE']
  for (const file of path === undefined || path === '' ? SYSTEM_BUNDLES : [path]) {
    const found = readAuthorities(file)
    if (found === undefined) continue
    cachedSystem = found.filter((pem) => !builtIn.has(compact(pem)))
    return cachedSystem
  }
  cachedSystem = []
  return cachedSystem
}

/** Returns the certificates in a file; undefined when it cannot be read. */
function readAuthorities(path: string): readonly string[] | undefined {
  try {
    return readFileSync(path, 'latin1').match(PEM_CERTIFICATE)?.filter(isReadable) ?? []
  } catch {
    return undefined
  }
}

/** Tells whether OpenSSL can read a certificate: `addCACert` throws for one that it cannot. */
function isReadable(pem: string): boolean {
  try {
    return new X509Certificate(pem).raw.length > 0
  } catch {
    return false
  }
}

function compact(pem: string): string {
  return pem.replaceAll(/\s/g, '')
}
