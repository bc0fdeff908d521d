/** TLS between the agent and a service whose `addr` begins with `https://`. */
import { boolean, path, type RuleProblem, setting, text } from '@proj/config'
import type { TlsOptions } from '@proj/dialer'
import { readCertificates, readPem } from '@proj/program-kit'

import type { ListenerAddr } from './listener-addr.ts'

/** The settings of a listener for TLS to its service. */
export const SERVICE_TLS_SETTINGS = {
  rootCas: setting(path(), {
    description: 'Certificate authorities to trust for the service besides the built-in ones.',
  }),
  cert: setting(path(), { description: 'Client certificate for the service, PEM.' }),
  key: setting(path(), { description: 'Private key of the client certificate, PEM.' }),
  serverName: setting(text(), {
    description: 'Name to verify in the certificate of the service, instead of the host.',
  }),
  insecureSkipVerify: setting(boolean(), {
    default: 'false',
    description: 'Do not verify the certificate of the service; only for tests.',
  }),
}

interface ServiceTlsSettings {
  readonly endpoint: string
  readonly addr: ListenerAddr
  readonly protocol: 'http' | 'tcp'
  readonly routes: readonly { readonly addr: ListenerAddr | undefined }[]
  readonly tls: {
    readonly rootCas: string | undefined
    readonly cert: string | undefined
    readonly key: string | undefined
    readonly serverName: string | undefined
    readonly insecureSkipVerify: boolean
  }
}

/** Finds settings for TLS that would have no effect, and half of a client certificate. */
export function* serviceTlsIsUsed(
  listeners: readonly ServiceTlsSettings[],
): Generator<RuleProblem> {
  for (const [index, listener] of listeners.entries()) {
    const { addr, protocol, tls } = listener
    const key = `listeners[${index}]`
    if (protocol === 'tcp' && addr.tls) {
      yield { key: `${key}.addr`, message: 'https:// needs protocol http' }
    }
    const { rootCas, cert, key: privateKey, serverName, insecureSkipVerify } = tls
    const given = [
      ['root_cas', rootCas],
      ['cert', cert],
      ['key', privateKey],
      ['server_name', serverName],
      ['insecure_skip_verify', insecureSkipVerify || undefined],
    ] as const
    const [first] = given.find(([, value]) => value !== undefined) ?? []
    if (first !== undefined && !hasTls(listener)) {
      yield {
        key: `${key}.tls.${first}`,
        message: 'it is for a service with TLS',
        hint: 'write https:// in front of the address in addr, or leave it out',
      }
    }
    if ((cert === undefined) !== (privateKey === undefined)) {
      yield {
        key: `${key}.tls.${cert === undefined ? 'key' : 'cert'}`,
        message: 'tls.cert and tls.key are needed together',
      }
    }
  }
}

/**
 * How TLS to the service of a listener is made; undefined for a service without TLS.
 *
 * @throws {UserError} for a file that cannot be read, or holds no certificate.
 */
export async function serviceTls(listener: ServiceTlsSettings): Promise<TlsOptions | undefined> {
  if (!hasTls(listener)) return undefined
  const { endpoint, tls } = listener
  const where = `listener ${endpoint}: tls`
  const [ca, cert, key] = await Promise.all([
    readCertificates(`${where}.root_cas`, tls.rootCas),
    readPem(`${where}.cert`, tls.cert),
    readPem(`${where}.key`, tls.key),
  ])
  return {
    ca,
    cert,
    key,
    servername: tls.serverName,
    // Without ALPN some servers choose HTTP/2.
    alpn: ['http/1.1'],
    verify: tls.insecureSkipVerify ? 'none' : 'full',
  }
}

function hasTls({ addr, routes }: ServiceTlsSettings): boolean {
  return addr.tls || routes.some((route) => route.addr?.tls === true)
}
