import { type Endpoint, formatEndpoint, resolveStep } from './connect.ts'
import { currentSources } from './current-sources.ts'
import { DialContext } from './dial-context.ts'
import type { DialError } from './dial-error.ts'
import { type Egress, findEgress } from './egress.ts'
import type { DialErrorCode } from './errors.ts'
import { isDialError } from './is-dial-error.ts'
import { isLinkLocal, isUnspecified } from './local-address.ts'
import type { ResolvedAddress } from './lookup.ts'
import type { ResolvedDialOptions } from './options.ts'
import type { ProxySelection } from './proxy-environment.ts'
import type { ProxyServer } from './proxy-server.ts'
import { type ReportOptions, type ReportTarget, resolveReportTarget } from './report-target.ts'
import { selectProxy } from './route.ts'
import type { SourceAddress } from './source-options.ts'
import type { ResolvedTls } from './tls-options.ts'

// Enough to show both families and an alternative of each.
const MAX_EXPLAINED_ADDRESSES = 4

/** Something that would make the dial fail as it stands. */
export interface RouteProblem {
  /** Code the dial would fail with. */
  readonly code: DialErrorCode
  /** What is wrong. */
  readonly message: string
  /** What to do about it. */
  readonly hint?: string
}

/** What a dial would do, in plain values fit for JSON. Holds no credentials. */
export interface RouteReport {
  /** Where to: a URL, or host and port. */
  readonly target: string
  /** Proxy used, password masked; null for a direct connection. */
  readonly proxy: string | null
  /** Why this proxy, or why none. */
  readonly proxyFrom: string
  /** What the proxy is asked for, and who looks the name up; null for a direct connection. */
  readonly tunnel: string | null
  /** Host and port that is connected to first, the proxy or the server, or a socket's path. */
  readonly firstHop: string
  /** Addresses of the first hop, in the order they are tried. */
  readonly addresses: readonly string[]
  /** Source addresses the options ask for, that exist right now; empty when the system chooses. */
  readonly sources: readonly string[]
  /** Device the socket is tied to; null for none. */
  readonly device: string | null
  /** How the packets to each address would leave. */
  readonly egress: readonly Egress[]
  /** How the certificate of the server is checked; null without TLS. */
  readonly tls: string | null
  /** Limits, ms. */
  readonly limits: Readonly<Record<string, number>>
  /** What may not be as intended. */
  readonly warnings: readonly string[]
  /** What is worth knowing. */
  readonly notes: readonly string[]
  /** What would make the dial fail. */
  readonly problems: readonly RouteProblem[]
}

/**
 * Finds out what a dial would do right now. Connects to nobody; only the name of the first hop is
 * looked up, as the dial would.
 * @throws {TypeError | RangeError} at once, for a mistake in the arguments
 */
export function explainRoute(
  target: ReportTarget,
  options: ReportOptions = {},
): Promise<RouteReport> {
  const { text, endpoint, scheme, resolved } = resolveReportTarget(target, options)
  return DialContext.run(resolved, async (context) => {
    const problems: RouteProblem[] = []
    const choose = (): ProxySelection =>
      selectProxy(resolved.proxy, resolved.noProxy, scheme, endpoint)
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
  // A device decides by itself, and the route table has no say.
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
      `${rest.interface ?? 'nothing'}: on Linux a source address does not choose the interface`,
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
  if (tls.verify === 'none') return 'nothing is verified'
  const trusted = [
    'built-in authorities',
    ...(tls.systemCa ? ["the system's"] : []),
    ...(tls.ca.length > 0 ? [`${tls.ca.length} of tls.ca`] : []),
  ].join(' + ')
  return [
    tls.verify === 'full' ? `verified against ${trusted}` : 'verified by the pin alone',
    ...(tls.pins.length > 0 ? [`${tls.pins.length} pinned keys`] : []),
    ...(tls.servername === undefined ? [] : [`as ${tls.servername}`]),
    ...(tls.cert === undefined ? [] : ['with a client certificate']),
    `${tls.minVersion} or newer`,
    ...(tls.alpn === undefined ? [] : [`ALPN ${tls.alpn.join(', ')}`]),
  ].join(', ')
}

function describeNotes(proxy: ProxyServer | undefined, endpoint: Endpoint): readonly string[] {
  const notes: string[] = []
  if (proxy?.protocol.startsWith('http') === true && 'port' in endpoint && endpoint.port !== 443) {
    notes.push(`port ${endpoint.port}: many proxies allow CONNECT to 443 only`)
  }
  if (proxy !== undefined && proxy.username !== undefined && proxy.protocol !== 'https') {
    notes.push(`the credentials go to the proxy in clear: ${proxy.protocol} does not encrypt`)
  }
  return notes
}
