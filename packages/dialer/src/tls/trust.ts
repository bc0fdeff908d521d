// The trusted authorities. Node's option "ca" replaces the built-in authorities and those in
// NODE_EXTRA_CA_CERTS, but a company's authority has to be added to them. From Node 22.15 on the lists
// can be read and joined. On Node 20 the certificates are added one by one to a context with the
// default store.

import { readFileSync } from 'node:fs'
import * as tls from 'node:tls'

import type { ResolvedTls, TlsOptions } from './options.ts'

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
    throw new TypeError(`tls.cert, tls.key or tls.passphrase is not valid: ${why}`, {
      cause: error,
    })
  }
  contexts.set(options.origin, context)
  return context
}

function createContext(options: ResolvedTls): tls.SecureContext {
  const base: tls.SecureContextOptions = { minVersion: options.minVersion }
  if (options.cert !== undefined) base.cert = options.cert
  if (options.key !== undefined) base.key = options.key
  if (options.passphrase !== undefined) base.passphrase = options.passphrase
  if (options.verify !== 'full') return tls.createSecureContext(base)
  if (options.ca.length === 0 && !options.systemCa) return tls.createSecureContext(base)
  const { getCACertificates } = tls as TlsWithAuthorities
  if (getCACertificates !== undefined) {
    const system = options.systemCa ? getCACertificates('system') : []
    const ca = [...new Set([...getCACertificates('default'), ...system, ...options.ca])]
    return tls.createSecureContext({ ...base, ca })
  }
  const context = tls.createSecureContext(base)
  const native = context.context as { addCACert(pem: string): void }
  for (const pem of [...(options.systemCa ? systemAuthorities() : []), ...options.ca]) {
    native.addCACert(pem)
  }
  return context
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

let cachedAuthorities: readonly string[] | undefined

/** Reads the authorities of the system once, without those that are built into Node. */
function systemAuthorities(): readonly string[] {
  if (cachedAuthorities !== undefined) return cachedAuthorities
  const builtIn = new Set(tls.rootCertificates.map(compact))
  for (const path of SYSTEM_BUNDLES) {
    try {
      const blocks =
        readFileSync(path, 'latin1').match(
          /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g,
        ) ?? []
      cachedAuthorities = blocks.filter((pem) => !builtIn.has(compact(pem)))
      return cachedAuthorities
    } catch {
      // Another distribution; try the next file.
    }
  }
  cachedAuthorities = []
  return cachedAuthorities
}

function compact(pem: string): string {
  return pem.replaceAll(/\s/g, '')
}
