/** The settings of a listener for which the agent reads requests and answers; without one of them it does not. */
import {
  duration,
  integer,
  list,
  objects,
  type Resolved,
  type RuleProblem,
  setting,
  text,
} from '@proj/config'

import { listenerAddr } from '../listener-addr.ts'
import { headerLine } from './header-lines.ts'

/** Most routes of a listener. */
const MAX_ROUTES = 100

const pathPrefix = () =>
  text({ pattern: /^\/[^\s?#]*$/, allowed: 'a path that begins with a slash, such as /api' })

const PREFIXES = {
  stripPrefix: setting(pathPrefix(), {
    description: 'Removed from the front of paths towards the service.',
  }),
  addPrefix: setting(pathPrefix(), {
    description: 'Put in front of paths towards the service, after strip_prefix.',
  }),
}

/** The type of `host_header`. */
export const hostHeader = () =>
  text({
    pattern: /^[\w.:[\]-]+$/,
    allowed: 'keep, service, or a host name with an optional port',
  })

/** Settings of a listener. */
export const RULE_SETTINGS = {
  hostHeader: setting(hostHeader(), {
    default: 'keep',
    description:
      'Host that the HTTP service gets: keep, that of the visitor; service, that of addr; or this name. Where it differs, Origin, Referer, Location, Refresh and the Domain of cookies are put right.',
  }),
  requestHeaders: setting(list(headerLine), {
    default: [],
    description: 'Headers of requests that are set, added (+Name: value) and removed (-Name).',
  }),
  responseHeaders: setting(list(headerLine), {
    default: [],
    description: 'The same for answers.',
  }),
  ...PREFIXES,
  requestTimeoutMs: setting(duration({ min: '1ms' }), {
    default: 'inf',
    description:
      'Longest time from the head of a request to the end of its answer: 504 before the answer begins, then the stream is reset. Not for an open WebSocket. inf: no limit.',
  }),
  cors: setting(list(text({ pattern: /^(?:\*|https?:\/\/[^/\s]+)$/, allowed: '*, or origins' })), {
    default: [],
    description:
      'Origins whose pages may read answers, * for all: preflights are answered here, and the headers of CORS are set.',
  }),
  routes: objects(
    {
      path: setting(pathPrefix(), {
        required: true,
        description: 'Front of the path; the longest one that fits has the request.',
      }),
      addr: setting(listenerAddr(), {
        description: 'Address of the service for it, or a folder.',
      }),
      hostHeader: setting(hostHeader(), {
        description: 'Host that this service gets. Default: as host_header of the listener.',
      }),
      ...PREFIXES,
      redirect: setting(text({ pattern: /^[!-~]+$/, allowed: 'a URL without spaces' }), {
        description: 'Where it is redirected to; {path} is the path and query of the request.',
      }),
      status: setting(integer({ min: 200, max: 599 }), {
        description: 'Status of the redirect (302) or of the fixed answer (200).',
      }),
      body: setting(text(), { description: 'Text of a fixed answer.' }),
    },
    {
      description: 'Other services, redirects and fixed answers by path, below the same name.',
      identity: 'path',
      maxItems: MAX_ROUTES,
    },
  ),
}

/** The settings as a listener gets them. */
export type RuleSettings = Resolved<typeof RULE_SETTINGS>

/** Whether a listener has a rule, so that requests and answers are read. */
export function hasRules(settings: RuleSettings): boolean {
  return firstRule(settings) !== undefined
}

/** The key of the first rule that is set. */
function firstRule(settings: RuleSettings): string | undefined {
  const { hostHeader: host, stripPrefix, addPrefix, routes, cors } = settings
  if (host !== 'keep') return 'host_header'
  if (settings.requestHeaders.length > 0) return 'request_headers'
  if (settings.responseHeaders.length > 0) return 'response_headers'
  if (stripPrefix !== undefined) return 'strip_prefix'
  if (addPrefix !== undefined) return 'add_prefix'
  if (settings.requestTimeoutMs < Infinity) return 'request_timeout'
  if (cors.length > 0) return 'cors'
  return routes.length > 0 ? 'routes' : undefined
}

const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])

/** Finds rules that cannot be followed. */
export function* rulesCanBeFollowed(
  listeners: readonly (RuleSettings & { readonly protocol: 'http' | 'tcp' })[],
): Generator<RuleProblem> {
  for (const [index, listener] of listeners.entries()) {
    const key = `listeners[${index}]`
    const rule = firstRule(listener)
    if (rule !== undefined && listener.protocol === 'tcp') {
      yield {
        key: `${key}.${rule}`,
        message: 'it is a rule for HTTP, and this is a TCP service: leave it out',
      }
    }
    const seen = new Set<string>()
    for (const [at, route] of listener.routes.entries()) {
      const here = `${key}.routes[${at}]`
      if (seen.has(route.path)) {
        yield { key: `${here}.path`, message: `${route.path} is listed twice` }
      }
      seen.add(route.path)
      yield* routeProblems(here, route)
    }
  }
}

function* routeProblems(
  key: string,
  route: RuleSettings['routes'][number],
): Generator<RuleProblem> {
  const { addr, redirect, status, body, hostHeader: host, stripPrefix, addPrefix } = route
  const isFixed = redirect === undefined && (status !== undefined || body !== undefined)
  const kinds = [addr !== undefined, redirect !== undefined, isFixed].filter(Boolean).length
  if (kinds === 0) {
    yield {
      key: `${key}.path`,
      message: 'the route has no effect',
      hint: 'give addr, redirect, or status and body',
    }
  } else if (kinds > 1 || (redirect !== undefined && body !== undefined)) {
    yield {
      key: `${key}.path`,
      message: 'only one of addr, redirect and a fixed answer can be given',
    }
  }
  if (redirect !== undefined && status !== undefined && !REDIRECTS.has(status)) {
    yield { key: `${key}.status`, message: `${status} is no redirect: 301, 302, 303, 307 or 308` }
  }
  const isForService = host ?? stripPrefix ?? addPrefix
  if (isForService !== undefined && addr === undefined) {
    yield { key: `${key}.path`, message: 'host_header and prefixes need addr' }
  }
}
