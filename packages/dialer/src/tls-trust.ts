// Whom we trust. Node's option "ca" replaces every built-in authority, and those of
// NODE_EXTRA_CA_CERTS with them; people who add a corporate root want it added. From Node 22.15 the
// lists can be read and joined. Node 20 has no such call: there the certificates are added, one by
// one, to a context that was made with the default store.

import { readFileSync } from 'node:fs'
import * as tls from 'node:tls'

import type { ResolvedTls, TlsOptions } from './tls-options.ts'

// Reading some hundred authorities takes 4 ms on Node 20 and 20 to 40 ms where the whole list is
// passed, so a context is kept for as long as the caller keeps the options it was made from.
const contexts = new WeakMap<TlsOptions, tls.SecureContext>()

/**
 * Makes the context for handshakes: trust, client certificate, oldest version.
 * @throws {TypeError} for a key, a certificate or a passphrase that do not fit
 */
export function trustingContext(options: ResolvedTls): tls.SecureContext {
  const kept = contexts.get(options.origin)
  if (kept !== undefined) return kept
  let context: tls.SecureContext
  try {
    context = createContext(options)
  } catch (error) {
    // OpenSSL's text says what does not fit, and nothing of the key itself.
    const why = error instanceof Error ? error.message : String(error)
    throw new TypeError(`tls.cert, tls.key or tls.passphrase is no use: ${why}`, { cause: error })
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

// Typed here because the declarations follow the oldest Node we run on.
type TlsWithAuthorities = typeof tls & {
  getCACertificates?: (type: 'default' | 'system') => string[]
}

// Where distributions keep the system's authorities as one file (the list Go's crypto/x509 uses).
const SYSTEM_BUNDLES = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/pki/tls/cacert.pem',
  '/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem',
  '/etc/ssl/cert.pem',
]

let cachedAuthorities: readonly string[] | undefined

/** Reads the system's bundle once, without what Node has built in anyway. */
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
      // Not this distribution's place; the next one may be.
    }
  }
  cachedAuthorities = []
  return cachedAuthorities
}

function compact(pem: string): string {
  return pem.replaceAll(/\s/g, '')
}
