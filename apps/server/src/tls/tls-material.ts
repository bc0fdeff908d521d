import { constants, type X509Certificate } from 'node:crypto'
import { createSecureContext, type SecureContext, type SecureContextOptions } from 'node:tls'

import type { RuleProblem } from '@proj/config'

import { type KeyPair, readAuthorities, readKeyPair, readRevocations } from './key-pair.ts'
import { TlsFault } from './tls-faults.ts'
import { TLS_PORTS, type TlsPortSettings, type TlsSettings } from './tls-settings.ts'

/** Certificates and authorities of a port, read and checked. */
export interface TlsMaterial {
  /** Its certificates; the first is for clients that name no server, or one that is in none. */
  readonly certificates: readonly X509Certificate[]
  /** Options of Node's TLS server with the first certificate. */
  readonly options: SecureContextOptions
  /** Whether clients need a certificate. */
  readonly wantsCertificate: boolean
  /** Equal for equal materials. */
  readonly fingerprint: string
  /** Finds the certificate for a server name; undefined: the first one. */
  readonly select: (serverName: string) => SecureContext | undefined
}

/** The settings of certificates and authorities. */
export type TlsSources = Pick<TlsSettings, 'cert' | 'key' | 'clientCas' | 'minVersion'> &
  Partial<Pick<TlsSettings, 'clientCrl'>>

/**
 * Context that session tickets are bound to. Each material has its own ticket keys, so that no client
 * resumes a session that a former authority admitted.
 */
const SESSION_CONTEXT = 'adit'

/**
 * Cipher suites, the best first: those of Mozilla's "intermediate" list without finite-field DH. All are
 * AEAD with forward secrecy; those with CBC and SHA-1, which Node has too, are left out.
 */
const CIPHERS = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':')

/**
 * Reads all files and reports every fault.
 *
 * @returns the material, or the faults.
 */
export async function readTlsMaterial(sources: TlsSources): Promise<TlsMaterial | TlsFault[]> {
  const { cert, key, clientCas, clientCrl, minVersion } = sources
  const faults: TlsFault[] = []
  const attempt = async <T>(read: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await read()
    } catch (error) {
      if (!(error instanceof TlsFault)) throw error
      faults.push(error)
      return undefined
    }
  }
  const ca =
    clientCas === undefined
      ? undefined
      : await attempt(async () => [...(await readAuthorities(clientCas))])
  const crl =
    clientCrl === undefined
      ? undefined
      : await attempt(async () => [...(await readRevocations(clientCrl))])
  const common = {
    minVersion,
    ciphers: CIPHERS,
    // Each renegotiation costs the server a whole handshake, and no client of ours needs one.
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
    sessionIdContext: SESSION_CONTEXT,
    ...(ca && { ca }),
    ...(crl && { crl }),
  }
  const read = cert.map((file, index) =>
    attempt(async () => {
      const pair = await readKeyPair(file, key[index] ?? '')
      return { ...pair, context: contextOf(pair, common, file) }
    }),
  )
  const pairs = (await Promise.all(read)).filter((pair) => pair !== undefined)
  const [first] = pairs
  if (faults.length > 0 || first === undefined) return faults
  return {
    certificates: pairs.map(({ certificate }) => certificate),
    options: { cert: first.cert, key: first.key, ...common },
    wantsCertificate: ca !== undefined,
    fingerprint: JSON.stringify([minVersion, ca, crl, pairs.map(({ cert: pem }) => pem)]),
    // RFC 6066 section 3 has no final dot, and clients send one all the same.
    select: (serverName) => {
      const name = serverName.replace(/\.$/, '')
      return pairs.find(({ certificate }) => certificate.checkHost(name))?.context
    },
  }
}

/** Finds faults in the files that settings name, for `config check` and the start. */
export async function findTlsFaults(settings: TlsPortSettings): Promise<readonly RuleProblem[]> {
  const found: RuleProblem[] = []
  for (const name of TLS_PORTS) {
    const { tls } = settings[name]
    if (tls.cert.length === 0) continue
    const material = await readTlsMaterial(tls)
    if (!Array.isArray(material)) continue
    for (const { setting, code, message, hint } of material) {
      found.push({ key: `${name}.tls.${setting}`, code, message, hint })
    }
  }
  return found
}

function contextOf(
  { cert, key }: KeyPair,
  common: SecureContextOptions,
  file: string,
): SecureContext {
  try {
    return createSecureContext({ cert, key, ...common })
  } catch (error) {
    // Only the name of the reason, which is one of OpenSSL's constants: its text may hold a part of the key.
    const reason =
      error instanceof Error && 'reason' in error ? String(error.reason) : 'without a reason'
    throw new TlsFault('TLS_PAIR_REFUSED', 'cert', `OpenSSL refuses ${file}: ${reason}`)
  }
}
