/** The rules of one listener, as they are applied to a request and to its answer. */
import { STATUS_CODES } from 'node:http'

import { formatHostPort } from '@proj/config/address'
import {
  formatRequestHead,
  formatResponseHead,
  type RequestHead,
  type ResponseHead,
} from '@proj/http1'

import { isFolder, type ListenerAddr } from '../listener-addr.ts'
import { changeHeaders, type HeaderVariables, withoutHeader } from './header-lines.ts'
import {
  canonical,
  cookieForVisitor,
  isBelow,
  locationForVisitor,
  originForService,
  type PublicOrigin,
  refreshForVisitor,
  type ServiceNames,
  targetForService,
} from './public-names.ts'
import type { RuleSettings } from './rule-settings.ts'

/** What a listener says of its rules and its service. */
export type RuledListener = RuleSettings & {
  readonly endpoint: string
  readonly addr: ListenerAddr
}

/** What becomes of a request. */
export type RuledRequest =
  | {
      /** The answer of a rule: no service is asked. */
      readonly answer: Buffer
    }
  | {
      /** Number of the service, 0 is that of the listener. */
      readonly service: number
      /** The head for the service. */
      readonly head: string
      /** Makes the head of an answer, final or not, that the visitor gets. */
      readonly answerHead: (head: ResponseHead) => string
    }

/** A path and what has its requests. */
interface Route {
  readonly path: string
  /** Undefined: the answer is made here. */
  readonly service: number | undefined
  readonly names: ServiceNames
  readonly redirect: string | undefined
  readonly status: number
  readonly body: string
}

/** Rules of a listener; one object for all of its streams. */
export class HttpRules {
  /** Addresses of the services, by their number. */
  readonly services: readonly ListenerAddr[]
  readonly #settings: RuledListener
  /** Those with the longest path first; the last one is that of the listener and fits every path. */
  readonly #routes: readonly Route[]

  constructor(settings: RuledListener) {
    this.#settings = settings
    const services = [settings.addr]
    const routes = settings.routes.map((route): Route => {
      const { path, addr, redirect, status, body = '' } = route
      if (addr !== undefined) services.push(addr)
      return {
        path,
        service: addr === undefined ? undefined : services.length - 1,
        names: namesOf(addr ?? settings.addr, route.hostHeader ?? settings.hostHeader, route),
        redirect,
        status: status ?? (redirect === undefined ? 200 : 302),
        body,
      }
    })
    this.services = services
    this.#routes = [
      ...routes.toSorted((one, other) => other.path.length - one.path.length),
      {
        path: '/',
        service: 0,
        names: namesOf(settings.addr, settings.hostHeader, settings),
        redirect: undefined,
        status: 200,
        body: '',
      },
    ]
  }

  /**
   * Applies the rules to a request.
   *
   * @param visitor - address of the visitor, where it is known.
   */
  apply(head: RequestHead, visitor: string | undefined): RuledRequest {
    const { endpoint, requestHeaders, responseHeaders } = this.#settings
    const scheme = head.header('x-forwarded-proto') === 'https' ? 'https' : 'http'
    const origin: PublicOrigin = { scheme, host: head.host }
    const variables: HeaderVariables = {
      visitor: visitor ?? '',
      request_id: head.header('x-request-id') ?? '',
      endpoint,
    }
    const shared = this.#sharedWith(head)
    const route = this.#routeOf(head.target)
    const finish = (headers: readonly string[]): string[] =>
      changeHeaders(
        this.#settings.cors.length === 0 ? headers : withCors(headers, shared),
        responseHeaders,
        variables,
      )
    const isPreflight =
      shared !== undefined &&
      head.method === 'OPTIONS' &&
      head.header('access-control-request-method') !== undefined
    if (isPreflight) return { answer: bytesOf(204, finish(preflight(head)), head, '') }
    const { service, names } = route
    if (service === undefined) return { answer: ownAnswer(route, head, finish) }
    const headers = requestForService(head, names, origin)
    return {
      service,
      head: formatRequestHead({
        method: head.method,
        target: targetForService(head.target, names),
        headers: changeHeaders(headers, requestHeaders, variables),
      }),
      answerHead: (answer) => {
        const mapped = answerForVisitor(answer.headers, names, origin)
        // What is said in 1xx is not the answer's.
        const isFinal = answer.status >= 200 || answer.status === 101
        return formatResponseHead({
          status: answer.status,
          reason: answer.reason,
          headers: isFinal ? finish(mapped) : mapped,
        })
      },
    }
  }

  #routeOf(target: string): Route {
    const found = this.#routes.find(({ path }) => isBelow(target, path))
    const own = this.#routes.at(-1)
    // The own one is always there; OPTIONS * is not below any path.
    return found ?? (own as Route)
  }

  /** The origin whose pages may read the answer; undefined: no rule says so. */
  #sharedWith(head: RequestHead): string | undefined {
    const { cors } = this.#settings
    if (cors.includes('*')) return '*'
    const sent = head.header('origin')
    if (sent === undefined) return undefined
    return cors.some((one) => one.toLowerCase() === sent.toLowerCase()) ? sent : undefined
  }
}

function namesOf(
  addr: ListenerAddr,
  hostHeader: string,
  prefixes: Pick<RuleSettings, 'stripPrefix' | 'addPrefix'>,
): ServiceNames {
  const scheme = addr.tls ? 'https' : 'http'
  const address = isFolder(addr) ? undefined : addr.address
  const own =
    address?.kind !== 'tcp'
      ? 'localhost'
      : canonical(formatHostPort(address.host, address.port), scheme)
  const host = hostHeader === 'keep' ? undefined : hostHeader === 'service' ? own : hostHeader
  const authorities = host === undefined ? [] : [canonical(host, scheme), own]
  const isLocal =
    host !== undefined &&
    address?.kind === 'tcp' &&
    /^(?:localhost|127\.0\.0\.1|::1)$/.test(address.host)
  if (isLocal && address?.kind === 'tcp') {
    for (const name of ['localhost', '127.0.0.1', '::1']) {
      authorities.push(canonical(formatHostPort(name, address.port), scheme))
    }
  }
  return {
    scheme,
    host,
    authorities: new Set(authorities),
    stripPrefix: (prefixes.stripPrefix ?? '').replace(/\/$/, ''),
    addPrefix: (prefixes.addPrefix ?? '').replace(/\/$/, ''),
  }
}

function requestForService(
  head: RequestHead,
  names: ServiceNames,
  visitor: PublicOrigin,
): readonly string[] {
  const { headers } = head
  if (names.host === undefined && names.stripPrefix === '' && names.addPrefix === '') return headers
  return headers.map((value, at) => {
    if (at % 2 === 0) return value
    switch (headers[at - 1]?.toLowerCase()) {
      case 'host':
        return names.host ?? value
      case 'origin':
      case 'referer':
        return originForService(value, names, visitor)
      default:
        return value
    }
  })
}

function answerForVisitor(
  headers: readonly string[],
  names: ServiceNames,
  visitor: PublicOrigin,
): readonly string[] {
  if (names.host === undefined && names.stripPrefix === '' && names.addPrefix === '') return headers
  return headers.map((value, at) => {
    if (at % 2 === 0) return value
    switch (headers[at - 1]?.toLowerCase()) {
      case 'location':
        return locationForVisitor(value, names, visitor)
      case 'refresh':
        return refreshForVisitor(value, names, visitor)
      case 'set-cookie':
        return cookieForVisitor(value, names, visitor)
      default:
        return value
    }
  })
}

/** The answer that a route gives itself. */
function ownAnswer(
  { redirect, status, body }: Route,
  head: RequestHead,
  finish: (headers: readonly string[]) => string[],
): Buffer {
  if (redirect !== undefined) {
    // A function, because $ in a text that is put in has a meaning.
    const location = redirect.replaceAll('{path}', () => head.target)
    return bytesOf(status, finish(['location', location]), head, '')
  }
  const type = ['content-type', 'text/plain; charset=utf-8', 'x-content-type-options', 'nosniff']
  return bytesOf(status, finish(type), head, body)
}

function preflight(head: RequestHead): string[] {
  const asked = head.header('access-control-request-headers')
  return [
    'access-control-allow-methods',
    head.header('access-control-request-method') ?? '*',
    ...(asked === undefined ? [] : ['access-control-allow-headers', asked]),
    'access-control-max-age',
    '600',
  ]
}

/**
 * Sets the headers of CORS (fetch.spec.whatwg.org, 3.3.3), in place of those of the service, which would admit origins
 * that the rule does not name.
 */
function withCors(headers: readonly string[], origin: string | undefined): string[] {
  let own = withoutHeader(headers, 'access-control-allow-origin')
  own = withoutHeader(own, 'access-control-allow-credentials')
  // Caches must not give the answer to pages of another origin, nor one without the headers to this one.
  if (origin !== '*') own.push('vary', 'Origin')
  if (origin === undefined) return own
  own.push('access-control-allow-origin', origin)
  if (origin !== '*') own.push('access-control-allow-credentials', 'true')
  return own
}

function bytesOf(
  status: number,
  headers: readonly string[],
  head: RequestHead,
  text: string,
): Buffer {
  const body = Buffer.from(text)
  // RFC 9110 section 8.6: no length in a 204, and none of what a 304 does not have.
  const length = status === 204 || status === 304 ? [] : ['content-length', String(body.length)]
  const written = formatResponseHead({
    status,
    reason: STATUS_CODES[status] ?? '',
    headers: [...headers, ...length],
  })
  const bytes = Buffer.from(written, 'latin1')
  const hasBody = head.method !== 'HEAD' && length.length > 0
  return hasBody ? Buffer.concat([bytes, body]) : bytes
}
