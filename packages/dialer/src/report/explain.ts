import { isLinkLocal, isUnspecified } from '@proj/config/address'

import { resolveStep } from '../connect/connect.ts'
import { currentSources } from '../connect/current-sources.ts'
import { DialContext } from '../dial-context.ts'
import { type DialError, type DialErrorCode, isDialError } from '../errors.ts'
import { type Egress, findEgress } from './egress.ts'
import type { ResolvedAddress } from '../connect/lookup.ts'
import type { ResolvedDialOptions } from '../options.ts'
import type { ProxySelection } from '../proxy/environment.ts'
import type { ProxyServer } from '../proxy/proxy-server.ts'
import { type ReportOptions, type ReportTarget, resolveReportTarget } from './report-target.ts'
import { chooseProxies } from '../proxy/choose-proxies.ts'
import type { SourceAddress } from '../connect/source-options.ts'
import type { ResolvedTls } from '../tls/options.ts'
import { type Endpoint, formatEndpoint } from '../endpoint.ts'

// Enough for two addresses of each family.
const MAX_EXPLAINED_ADDRESSES = 4

/** A problem that would make the dial fail now. */
export interface RouteProblem {
  /** Code of the error of the dial. */
  readonly code: DialErrorCode
  /** The problem in one sentence. */
  readonly message: string
  /** What to do about it. */
  readonly hint?: string
}

/** What a dial would do, in values for JSON. Contains no credentials. */
export interface RouteReport {
  /** Target: a URL, or host and port. */
  readonly target: string
  /** URL of the proxy with its password masked; null for a direct connection. */
  readonly proxy: string | null
  /** The reason for this proxy, or for none. */
  readonly proxyFrom: string
  /** The request to the proxy, and which side looks up the name; null for a direct connection. */
  readonly tunnel: string | null
  /** Host and port of the first connection, to the proxy or the server, or the path of a socket. */
  readonly firstHop: string
  /** Addresses of the first hop, in the order of the attempts. */
  readonly addresses: readonly string[]
  /** Source addresses of the options that the host has now; empty when the system chooses. */
  readonly sources: readonly string[]
  /** Device that the socket is bound to; null for none. */
  readonly device: string | null
  /** The route to each address. */
  readonly egress: readonly Egress[]
  /** How the certificate of the server is checked; null without TLS. */
  readonly tls: string | null
  /** Time limits, ms. */
  readonly limits: Readonly<Record<string, number>>
  /** Settings that may be a mistake. */
  readonly warnings: readonly string[]
  /** Facts that can be useful. */
  readonly notes: readonly string[]
  /** Problems that would make the dial fail. */
  readonly problems: readonly RouteProblem[]
}

/**
 * Finds out what a dial would do now. Opens no connection; it only looks up the name of the first hop,
 * as the dial would.
 * @throws {TypeError | RangeError} at once, for a wrong argument
 */
export function explainRoute(
  target: ReportTarget,
  options: ReportOptions = {},
): Promise<RouteReport> {
  const { text, endpoint, scheme, resolved } = resolveReportTarget(target, options)
  return DialContext.run(resolved, async (context) => {
    const problems: RouteProblem[] = []
    const choose = async (): Promise<ProxySelection | undefined> =>
      (await chooseProxies(context, scheme, endpoint))[0]
    const selection = (await collect(problems, choose)) ?? {
      proxy: undefined,
      from: '?',
      warnings: [],
    }
    const { proxy } = selection
    const firstHop: Endpoint = proxy ?? endpoint
    const leg = proxy === undefined ? 'server' : 'proxy'
    const addresses =
      'path' in firstHop || problems.length > 0
        ? []
        : ((await collect(problems, () => resolveStep(context, firstHop.host, leg))) ?? [])
    const sources = await collect(problems, () =>
      currentSources(
        resolved.sources,
        addresses.some(({ address }) => isLinkLocal(address)),
      ),
    )
    const egress = await explainEgress(addresses, sources, resolved, problems)
    return {
      target: text,
      proxy: proxy?.toString() ?? null,
      proxyFrom: selection.from,
      tunnel: proxy === undefined ? null : describeTunnel(proxy, endpoint),
      firstHop: formatEndpoint(firstHop),
      addresses: addresses.map(({ address }) => address),
      sources: (sources ?? []).map(describeSource),
      device: resolved.sources.device ?? null,
      egress,
      tls: resolved.tls === undefined ? null : describeTls(resolved.tls),
      limits: resolved.timeouts,
      warnings: [...selection.warnings, ...egress.flatMap(egressWarning)],
      notes: describeNotes(proxy, endpoint),
      problems,
    }
  })
}

async function collect<T>(
  problems: RouteProblem[],
  find: () => T | Promise<T>,
): Promise<T | undefined> {
  try {
    return await find()
  } catch (error) {
    if (!isDialError(error)) throw error
    problems.push(problemOf(error))
    return undefined
  }
}

function problemOf({ code, message, hint }: DialError): RouteProblem {
  return { code, message, ...(hint === undefined ? {} : { hint }) }
}

async function explainEgress(
  addresses: readonly ResolvedAddress[],
  sources: readonly SourceAddress[] | undefined,
  resolved: ResolvedDialOptions,
  problems: RouteProblem[],
): Promise<readonly Egress[]> {
  // With a device the route table is not used.
  if (resolved.sources.device !== undefined) return []
  const wanted = addresses.filter(
    ({ family }) => resolved.family === undefined || family === resolved.family,
  )
  const pairs = wanted.flatMap((address) => {
    if (sources === undefined) return [{ address, source: undefined }]
    const source = sources.find(({ family }) => family === address.family)
    if (source === undefined) return []
    return [{ address, source: isUnspecified(source.address) ? undefined : source.address }]
  })
  if (addresses.length > 0 && pairs.length === 0 && problems.length === 0) {
    const names = addresses.map(({ address }) => address).join(', ')
    problems.push({
      code: 'DIAL_BIND_FAMILY',
      message: `no source address has the family of ${names}`,
      hint: 'set a source address of the same family as the target',
    })
  }
  return Promise.all(
    pairs
      .slice(0, MAX_EXPLAINED_ADDRESSES)
      .map(({ address, source }) => findEgress(address, source)),
  )
}

function egressWarning({
  destination,
  source,
  sourceInterface,
  ...rest
}: Egress): readonly string[] {
  if (source === undefined) return [`there is no route to ${destination}`]
  if (rest.remedy === undefined) return []
  return [
    `packets from ${source} (${sourceInterface ?? '?'}) to ${destination} would leave by ` +
      `${rest.interface ?? 'no interface'}: on Linux a source address does not choose the interface`,
  ]
}

function describeTunnel(proxy: ProxyServer, endpoint: Endpoint): string {
  const verb = proxy.protocol.startsWith('http') ? 'CONNECT' : proxy.protocol.toUpperCase()
  const by = proxy.resolvesNames ? 'the proxy' : 'this host'
  return `${verb} ${formatEndpoint(endpoint)}, name looked up by ${by}`
}

function describeSource({ address, port }: SourceAddress): string {
  return port === undefined ? address : formatEndpoint({ host: address, port })
}

function describeTls(tls: ResolvedTls): string {
  if (tls.verify === 'none') return 'the certificate is not verified'
  const trusted = [
    'built-in authorities',
    ...(tls.systemCa ? ["the system's"] : []),
    ...(tls.ca.length > 0 ? [`${tls.ca.length} of tls.ca`] : []),
  ].join(' + ')
  return [
    tls.verify === 'full' ? `verified against ${trusted}` : 'only the pin is verified',
    ...(tls.pins.length > 0 ? [`${tls.pins.length} pinned keys`] : []),
    ...(tls.servername === undefined ? [] : [`as ${tls.servername}`]),
    ...(tls.cert === undefined && tls.pfx === undefined ? [] : ['with a client certificate']),
    tls.maxVersion === 'TLSv1.3'
      ? `${tls.minVersion} or newer`
      : `${tls.minVersion} to ${tls.maxVersion}`,
    ...(tls.alpn === undefined ? [] : [`ALPN ${tls.alpn.join(', ')}`]),
  ].join(', ')
}

function describeNotes(proxy: ProxyServer | undefined, endpoint: Endpoint): readonly string[] {
  const notes: string[] = []
  if (proxy?.protocol.startsWith('http') === true && 'port' in endpoint && endpoint.port !== 443) {
    notes.push(`port ${endpoint.port}: many proxies allow CONNECT to 443 only`)
  }
  if (proxy !== undefined && proxy.username !== undefined && proxy.protocol !== 'https') {
    notes.push(
      `the credentials are sent to the proxy without encryption: ${proxy.protocol} has none`,
    )
  }
  return notes
}
