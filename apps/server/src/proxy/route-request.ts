/** Where a request goes: the connect route, an endpoint, or an error response. */
import type { IncomingHttpHeaders } from 'node:http'
import type { Socket } from 'node:net'

import { clientAddress, type Decision, type Denial, type Gate, judgeAll } from '@proj/auth'
import { peerOf } from '@proj/portcheck'
import { endpointId, type ForwardRequestOptions, hopsOf, type RequestHead } from '@proj/http1'
import type { ConnectRequest, Endpoint } from '@proj/tunnel/server'

import type { AdmittedVisitor, Authenticator } from '../auth/authenticator.ts'
import { peerFacts } from '../tls/certificates.ts'
import { PROOF_PATH } from './domains.ts'
import type { ProxyContext } from './proxy-context.ts'
import { PROXY_ERRORS, type ProxyError } from './proxy-errors.ts'
import type { TenantDomain } from './proxy-options.ts'

/** What is known of the visitor's connection. */
export interface VisitorFacts extends Pick<ForwardRequestOptions, 'clientAddress' | 'scheme'> {
  /** Whether it is a proxy in front that is trusted. */
  readonly isTrusted: boolean
}

/** Where an admitted request goes. */
export interface Route {
  /** The endpoint it is for. */
  readonly endpoint: Endpoint
  /** The rules the visitor was checked by; undefined when there are none. */
  readonly rules: readonly Gate[] | undefined
  /** How its headers are rewritten. */
  readonly forward: ForwardRequestOptions & {
    readonly requestId: string
    readonly trustedHops: number
    /** Address of the visitor; undefined when a trusted proxy did not say. */
    readonly visitor: string | undefined
  }
}

/** A request that is answered here. */
export interface Refused {
  /** What the visitor gets. */
  readonly error: ProxyError
  /** The endpoint that it was for; undefined: none was found. */
  readonly endpoint?: Endpoint
}

const CREDENTIALS: ReadonlySet<string> = new Set(['authorization', 'x-piko-authorization'])

/**
 * A request for the connect route as the tunnel takes it: the first of each header, lower case.
 *
 * @param socket - it came by.
 * @returns undefined for every other request.
 */
export function connectRequest(
  proxy: ProxyContext,
  head: RequestHead,
  visitor: VisitorFacts,
  socket: Socket,
): ConnectRequest | undefined {
  const path = pathOf(head.target)
  if (!proxy.connect.matches(head.method, path)) return undefined
  const headers: IncomingHttpHeaders = {}
  for (let at = 0; at < head.headers.length; at += 2) {
    headers[(head.headers[at] ?? '').toLowerCase()] ??= head.headers[at + 1]
  }
  const peer = visitor.clientAddress
  const remoteAddress = addressOfVisitor(proxy, head, visitor)
  // The port is the peer's: of a client behind a trusted proxy only the address is known.
  const remotePort = remoteAddress === peer ? peerOf(socket)?.port : undefined
  const from = { remoteAddress, remotePort, ...peerFacts(socket) }
  return { method: head.method, path, headers, ...from }
}

/**
 * Finds the endpoint of a request and checks whether its visitor may use it: the token that the proxy port
 * demands, then the rules of the endpoint. Without a promise where nothing has to be waited for.
 *
 * @param whileChecking - makes the signal that ends a wait: the visitor is gone, or its time is over.
 */
export function routeRequest(
  proxy: ProxyContext,
  head: RequestHead,
  visitor: VisitorFacts,
  whileChecking: () => AbortSignal,
): Route | Refused | Promise<Route | Refused> {
  if (hopsOf(head) >= proxy.options.maxHops) return { error: PROXY_ERRORS.loopDetected }
  if (head.target === PROOF_PATH) return { error: proofFile(proxy, head) }
  const endpoint = endpointOf(head, proxy)
  if (endpoint === undefined) return { error: PROXY_ERRORS.endpointMissing }
  const { trustedHeader, sendForwarded: sendsForwarded } = proxy.options
  const trustedHops = visitor.isTrusted ? proxy.trusted.hopsOf(head) : 0
  proxy.forwardedNote.look(head, visitor.clientAddress)
  const requestId = proxy.requestIds.of(head, trustedHops)
  const { clientAddress: peer, scheme } = visitor
  const forward = {
    clientAddress: peer,
    scheme,
    trustedHops,
    trustedHeader,
    sendsForwarded,
    requestId,
    visitor: visitorAddress(proxy, head, peer, trustedHops),
  }
  const { authenticator } = proxy
  if (authenticator?.asksVisitors !== true) {
    return findRoute(proxy, head, endpoint, forward, whileChecking)
  }
  return checkToken(proxy, authenticator, head, endpoint, forward, whileChecking)
}

/**
 * Names the endpoint of a request and its tenant: the endpoint of `x-piko-endpoint`, else of the domain that is
 * its host, else below the longest domain that the host is below; the tenant of `x-piko-tenant-id`, else of that
 * domain, else none.
 */
function endpointOf(head: RequestHead, { options, domains }: ProxyContext): Endpoint | undefined {
  const { baseDomains, tenantDomains, tenantsShareNames } = options
  if (!domains.isEmpty && !head.header('x-piko-endpoint')) {
    const found = domains.find(head.hostParts.name)
    if (found !== undefined) {
      const tenant = tenantsShareNames ? '' : head.header('x-piko-tenant-id')
      return tenant ? { tenant, name: found.name } : found
    }
  }
  const host = head.hostParts.name
  const domain = tenantDomains.length === 0 ? undefined : domainOf(host, tenantDomains)
  const baseDomain = domain?.baseDomain ?? longestOf(baseDomains, host)
  const name = endpointId(head, { baseDomain })
  if (name === undefined) return undefined
  if (tenantsShareNames) return { tenant: '', name }
  const tenant = head.header('x-piko-tenant-id')
  return { tenant: tenant || (domain?.tenant ?? ''), name }
}

/** The longest domain that a host is below; any, when it is below none; undefined: there are none. */
function longestOf(domains: readonly string[], host: string): string | undefined {
  let [found] = domains
  if (domains.length < 2) return found
  let length = 0
  for (const one of domains) {
    if (one.length <= length || !host.endsWith(`.${one}`)) continue
    found = one
    length = one.length
  }
  return found
}

function domainOf(name: string, domains: readonly TenantDomain[]): TenantDomain | undefined {
  let found: TenantDomain | undefined
  for (const one of domains) {
    const isLonger = one.baseDomain.length > (found?.baseDomain.length ?? 0)
    if (isLonger && name.endsWith(`.${one.baseDomain}`)) found = one
  }
  return found
}

/** Checks the token that the proxy port demands of every visitor. */
async function checkToken(
  proxy: ProxyContext,
  authenticator: Authenticator,
  head: RequestHead,
  { tenant, name }: Endpoint,
  forward: Route['forward'],
  whileChecking: () => AbortSignal,
): Promise<Route | Refused> {
  const { logger } = proxy
  const headers = credentialsOf(head.headers, tenant)
  const request = { headers, remoteAddress: forward.visitor }
  let decision: AdmittedVisitor | Denial
  try {
    decision = await authenticator.admitVisitor(request, name)
  } catch (error) {
    logger.error({ err: error, endpoint: name }, 'visitor check failed')
    return { error: PROXY_ERRORS.visitorCheckFailed }
  }
  if (!decision.admitted) return { error: decision, endpoint: { tenant, name } }
  const { tenant: ofToken, consumed: authorizationConsumed } = decision
  const endpoint = { tenant: ofToken, name }
  return await findRoute(
    proxy,
    head,
    endpoint,
    { ...forward, authorizationConsumed },
    whileChecking,
  )
}

/** The address of a request's visitor; the same as `visitor` of its route, which may not be known yet. */
export function addressOfVisitor(
  proxy: ProxyContext,
  head: RequestHead,
  { clientAddress: peer, isTrusted }: VisitorFacts,
): string | undefined {
  return visitorAddress(proxy, head, peer, isTrusted ? proxy.trusted.hopsOf(head) : 0)
}

/** The visitor's address: that of the peer, or what the trusted proxies in front say. */
function visitorAddress(
  { options }: ProxyContext,
  { headers }: RequestHead,
  peer: string,
  trustedHops: number,
): string | undefined {
  return clientAddress(headers, peer, trustedHops, options.trustedHeader)
}

/** Two headers of one name are joined, which makes no valid credential: two parsers could take either. */
function credentialsOf(list: readonly string[], tenant: string): IncomingHttpHeaders {
  const headers: Record<string, string> = {}
  // Whether the visitor named it by a header or by a domain.
  if (tenant !== '') headers['x-piko-tenant-id'] = tenant
  for (let at = 0; at < list.length; at += 2) {
    const name = (list[at] ?? '').toLowerCase()
    const value = list[at + 1] ?? ''
    if (!CREDENTIALS.has(name)) continue
    headers[name] = name in headers ? `${headers[name]}, ${value}` : value
  }
  return headers
}

/**
 * Waits for an endpoint whose sessions were lost a moment ago, or perhaps before this process started, then
 * checks its rules, where there are any.
 */
function findRoute(
  proxy: ProxyContext,
  head: RequestHead,
  endpoint: Endpoint,
  forward: Route['forward'],
  whileChecking: () => AbortSignal,
): Route | Refused | Promise<Route | Refused> {
  const { registry } = proxy
  const { waits } = registry
  if (waits.isExpecting && registry.count(endpoint) === 0) {
    const served = waits.whenServed(endpoint, whileChecking(), waits.mayReturn(endpoint))
    // Only then it is known what rules its agents have.
    if (served !== undefined) {
      return served.then(() => findKnownRoute(proxy, head, endpoint, forward))
    }
  }
  return findKnownRoute(proxy, head, endpoint, forward)
}

/** The same for an endpoint that is not waited for any more. */
function findKnownRoute(
  proxy: ProxyContext,
  head: RequestHead,
  endpoint: Endpoint,
  forward: Route['forward'],
): Route | Refused | Promise<Route | Refused> {
  const { registry, authenticator } = proxy
  const { tenant } = endpoint
  const isUnknown = tenant !== '' && authenticator?.knowsTenant(tenant) !== true
  if (isUnknown && registry.count(endpoint) === 0) return { error: PROXY_ERRORS.tenantUnknown }
  const rules = registry.hasRules ? registry.rules(endpoint) : undefined
  if (rules === undefined) return { endpoint, rules, forward }
  return checkRules(proxy, head, { endpoint, rules, forward })
}

function checkRules(
  proxy: ProxyContext,
  head: RequestHead,
  route: Route & { readonly rules: readonly Gate[] },
): Route | Refused | Promise<Route | Refused> {
  const { headers } = head
  const { endpoint, rules, forward } = route
  const address = forward.visitor
  const decision = judgeAll(rules, { headers, address, endpoint: endpoint.name })
  if (!(decision instanceof Promise)) return applyDecision(route, decision)
  return decision.then(
    (late) => {
      const now = proxy.registry.rules(endpoint)
      // During the check an agent may have come with other rules.
      if (now !== undefined && now !== rules) {
        return checkRules(proxy, head, { ...route, rules: now })
      }
      return applyDecision(route, late)
    },
    (error: unknown) => {
      proxy.logger.error(
        { err: error, endpoint: endpoint.name, requestId: forward.requestId },
        'visitor check failed',
      )
      return { error: PROXY_ERRORS.visitorCheckFailed, endpoint }
    },
  )
}

function applyDecision(route: Route, decision: Decision): Route | Refused {
  if (!decision.admitted) return { error: decision, endpoint: route.endpoint }
  const { authorizationConsumed: before = false } = route.forward
  const forward = { ...route.forward, authorizationConsumed: before || decision.consumed }
  return { ...route, forward }
}

function proofFile({ proofFiles }: ProxyContext, head: RequestHead): ProxyError {
  const text = proofFiles.get(head.hostParts.name)
  return text === undefined
    ? PROXY_ERRORS.proofUnknown
    : { status: 200, error: '', code: 'ok', text }
}

/** The path of a request target, without its query. */
function pathOf(target: string): string {
  const query = target.indexOf('?')
  return query < 0 ? target : target.slice(0, query)
}
