import { formatSourceAddress } from '@proj/config/address'
import { proxyFromEnvironment, type ProxyOption, systemProxy, type TlsOptions } from '@proj/dialer'
import { readCertificates, readPem } from '@proj/program-kit'
import type { ServerOptions } from '@proj/tunnel'

import { currentToken } from './current-token.ts'
import type { AgentSettings } from '../settings.ts'

/**
 * Options for connections to the server, from the settings and the environment.
 *
 * @param env - read for HTTPS_PROXY and similar variables, unless a proxy or `direct` is configured.
 * @throws {UserError} for a file that cannot be read, or holds no certificate.
 */
export async function serverOptions(
  connect: AgentSettings['connect'],
  env: Readonly<Record<string, string | undefined>>,
): Promise<ServerOptions & { readonly url: readonly string[] }> {
  const { token, tenantId, bindAddr, bindInterface, bindDevice, proxyUrl, noProxy } = connect
  const proxyCa = await readCertificates('connect.proxy_ca', connect.proxyCa)
  const secure = connect.url.some((url) => /^(https|wss):/.test(url))
  return {
    url: connect.url,
    pingIntervalMs: connect.pingIntervalMs,
    spreadIntervalMs: connect.spreadIntervalMs,
    ...(token !== undefined && { token: currentToken(token) }),
    ...(tenantId !== undefined && { tenantId }),
    connect: {
      ...(bindAddr.length > 0 && { localAddress: bindAddr.map(formatSourceAddress) }),
      ...(bindInterface !== undefined && { interface: bindInterface }),
      ...(bindDevice !== undefined && { device: bindDevice }),
      ...(connect.ipFamily !== 'any' && { family: connect.ipFamily === '4' ? 4 : 6 }),
      proxy: proxyOption(proxyUrl?.reveal(), env),
      ...(noProxy !== undefined && { noProxy }),
      ...(proxyCa !== undefined && { proxyTls: { ca: proxyCa } }),
      timeouts: { totalMs: connect.timeoutMs },
      ...(secure && { tls: await tlsOptions(connect.tls) }),
    },
  }
}

function proxyOption(
  url: string | undefined,
  env: Readonly<Record<string, string | undefined>>,
): ProxyOption {
  if (url !== 'system') return url ?? proxyFromEnvironment(env)
  // Read for each connection: a desktop changes them with the network.
  return async (target, host, signal) => {
    const { findProxy } = await systemProxy({ env, signal })
    return findProxy(target, host, signal)
  }
}

async function tlsOptions(tls: AgentSettings['connect']['tls']): Promise<TlsOptions> {
  const [ca, cert, key] = await Promise.all([
    readCertificates('connect.tls.root_cas', tls.rootCas),
    readPem('connect.tls.cert', tls.cert),
    readPem('connect.tls.key', tls.key),
  ])
  return {
    ca,
    cert,
    key,
    servername: tls.serverName,
    minVersion: tls.minVersion,
    systemCa: tls.systemCas,
    ...(tls.pin.length > 0 && { pin: tls.pin }),
    verify: tls.insecureSkipVerify ? 'none' : 'full',
  }
}
