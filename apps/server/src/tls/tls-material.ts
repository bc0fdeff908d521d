import type { X509Certificate } from 'node:crypto'
import { createSecureContext, type SecureContext, type SecureContextOptions } from 'node:tls'

import type { RuleProblem } from '@proj/config'

import { type KeyPair, readAuthorities, readKeyPair } from './key-pair.ts'
import { TlsFault } from './tls-faults.ts'
import { TLS_PORTS, type TlsPortSettings, type TlsSettings } from './tls-settings.ts'

/** What a port shows and trusts, read and checked. */
export interface TlsMaterial {
  /** Its certificates; the first is for clients that name no server, or one that is in none. */
  readonly certificates: readonly X509Certificate[]
  /** The first certificate as Node's TLS server takes it. */
  readonly options: SecureContextOptions
  /** Whether everybody has to show a certificate. */
  readonly wantsCertificate: boolean
  /** Says whether another material would make a difference. */
  readonly fingerprint: string
  /** Finds the certificate for a server name; undefined: the first one. */
  readonly select: (serverName: string) => SecureContext | undefined
}

/** The settings that say what a port shows and trusts. */
export type TlsSources = Pick<TlsSettings, 'cert' | 'key' | 'clientCas' | 'minVersion'>

/**
 * Sessions may be resumed by tickets; they are bound to this. The keys of tickets are those of one
 * material, so that nobody resumes what a former authority has let in.
 */
const SESSION_CONTEXT = 'adit'

/**
 * Reads everything and looks for every mistake.
 *
 * @returns the material, or the mistakes.
 */
export async function readTlsMaterial(sources: TlsSources): Promise<TlsMaterial | TlsFault[]> {
  const { cert, key, clientCas, minVersion } = sources
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
  const common = { minVersion, sessionIdContext: SESSION_CONTEXT, ...(ca && { ca }) }
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
    fingerprint: JSON.stringify([minVersion, ca, pairs.map(({ cert: pem }) => pem)]),
    select: (name) => pairs.find(({ certificate }) => certificate.checkHost(name))?.context,
  }
}

/** Looks for mistakes in the files that settings name, for `config check` and the start. */
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
    // Of OpenSSL's text only the name of the reason, which is one of its constants.
    const reason =
      error instanceof Error && 'reason' in error ? String(error.reason) : 'it says not why'
    throw new TlsFault('TLS_PAIR_REFUSED', 'cert', `OpenSSL refuses ${file}: ${reason}`)
  }
}
