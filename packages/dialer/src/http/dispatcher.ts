import { DialContext } from '../dial-context.ts'
import { checkOptionNames } from '../option-names.ts'
import {
  DIAL_OPTION_NAMES,
  type DialOptions,
  type ResolvedDialOptions,
  resolveDialOptions,
} from '../options.ts'
import type { ProxyServer } from '../proxy/proxy-server.ts'
import { selectProxyAtOnce } from '../proxy/select-proxy.ts'
import { connectProxy } from '../proxy/tunnel.ts'
import { type Connector, createConnector, callBack } from './connector.ts'

/** The class `Agent` of undici, of any version from 6 on. */
export type UndiciAgentClass<T> = new (options: { readonly connect: Connector }) => T

/** The option `dispatcher` of the global fetch. */
export type FetchDispatcher = NonNullable<RequestInit['dispatcher']>

/**
 * Makes a dispatcher for `fetch(url, { dispatcher })` that dials with these options. A request for
 * `http:` through an HTTP proxy has an absolute URL, as such proxies expect; everything else uses a
 * tunnel. Without `Agent` it is for the global fetch of Node; for the package undici pass its class
 * `Agent`, because a dispatcher works only with the undici that it comes from.
 * @throws {TypeError | RangeError} for a wrong option, and where the undici of Node cannot be found
 */
export function createDispatcher(options?: DialOptions): FetchDispatcher
export function createDispatcher<T>(options: DialOptions, Agent: UndiciAgentClass<T>): T
export function createDispatcher(
  options: DialOptions = {},
  Agent: UndiciAgentClass<unknown> = agentOfNode(),
): unknown {
  checkOptionNames('', options, DIAL_OPTION_NAMES)
  const plain = resolveDialOptions({ ...options, tls: undefined })
  const tunnel = createConnector(options)
  // An environment has at most six proxies; a function may know more than have a place here.
  const proxies: ProxyServer[] = []
  const connect: Connector = (target, callback) => {
    const proxy = proxies[Number(PLACE.exec(target.hostname)?.[1] ?? Number.NaN)]
    if (proxy === undefined) {
      tunnel(target, callback)
      return
    }
    callBack(
      DialContext.run(plain, (context) => connectProxy(context, proxy)),
      callback,
    )
  }
  const Base = Agent as new (options: object) => Dispatches
  class DialingDispatcher extends Base {
    override dispatch(request: DispatchOptions, handler: unknown): boolean {
      const proxy = plainProxy(plain, request)
      if (proxy === undefined) return super.dispatch(request, handler)
      let index = proxies.findIndex(
        (known) => known === proxy || known.toString() === proxy.toString(),
      )
      if (index < 0) {
        if (proxies.length >= MAX_PROXIES) return super.dispatch(request, handler)
        index = proxies.push(proxy) - 1
      }
      return super.dispatch(addressedTo(index, proxy, request, plain.proxyHeaders), handler)
    }
  }
  return new DialingDispatcher({ connect })
}

interface Dispatches {
  dispatch(request: DispatchOptions, handler: unknown): boolean
}

interface DispatchOptions {
  readonly origin?: string | URL
  readonly path: string
  readonly method?: string
  readonly upgrade?: unknown
  readonly headers?: unknown
}

/** Most proxies that get requests with an absolute URL; further ones get a tunnel. */
const MAX_PROXIES = 64

// undici has one pool of connections per origin, so the requests to a proxy get an origin of their own.
const PLACE = /^proxy-(\d+)\.invalid$/

function addressedTo(
  index: number,
  proxy: ProxyServer,
  request: DispatchOptions,
  headers: Readonly<Record<string, string>>,
): DispatchOptions {
  const { origin, host } = new URL(String(request.origin))
  const authorization = proxy.basicAuthorization()
  return {
    ...request,
    origin: `http://proxy-${index}.invalid`,
    path: /^https?:\/\//i.test(request.path) ? request.path : `${origin}${request.path}`,
    headers: {
      host,
      ...headerObject(request.headers),
      ...headers,
      ...(authorization !== undefined && { 'proxy-authorization': authorization }),
    },
  }
}

/** Returns the proxy that gets a request with an absolute URL; undefined for a tunnel and without a proxy. */
function plainProxy(
  { proxy: option, noProxy }: ResolvedDialOptions,
  { origin, method, upgrade }: DispatchOptions,
): ProxyServer | undefined {
  if (origin === undefined || method === 'CONNECT') return undefined
  // A proxy removes Upgrade from a request.
  if (upgrade !== undefined && upgrade !== null && upgrade !== false) return undefined
  const url = new URL(String(origin))
  if (url.protocol !== 'http:') return undefined
  const target = { host: url.hostname, port: url.port === '' ? 80 : Number(url.port) }
  try {
    const proxy = selectProxyAtOnce(option, noProxy, 'http', target)
    return proxy?.protocol.startsWith('http') === true ? proxy : undefined
  } catch {
    // The dial fails with the same error, and a dispatcher must not throw.
    return undefined
  }
}

/** Headers as undici takes them: an object, a list of names and values, or pairs. */
function headerObject(headers: unknown): Record<string, unknown> {
  if (headers === undefined || headers === null) return {}
  if (Array.isArray(headers) && !Array.isArray(headers[0])) {
    return Object.fromEntries(
      Array.from({ length: headers.length / 2 }, (_, index) => [
        String(headers[index * 2]).toLowerCase(),
        headers[index * 2 + 1] as unknown,
      ]),
    )
  }
  const pairs =
    Symbol.iterator in Object(headers)
      ? [...(headers as Iterable<readonly [string, unknown]>)]
      : Object.entries(headers)
  return Object.fromEntries(pairs.map(([name, value]) => [name.toLowerCase(), value]))
}

/** Finds the class of the undici in Node, which has no name of its own: by its global dispatcher. */
function agentOfNode(): UndiciAgentClass<unknown> {
  // Reading one of its globals loads it (Node 20 and 22 load it late).
  void globalThis.Headers
  // The number is that of the interface between fetch and its dispatcher.
  const found = [2, 1].flatMap((version): object[] => {
    const dispatcher: unknown = Reflect.get(
      globalThis,
      Symbol.for(`undici.globalDispatcher.${version}`),
    )
    return typeof dispatcher === 'object' && dispatcher !== null ? [dispatcher] : []
  })
  if (found.length === 0) {
    throw new TypeError(
      'the fetch of this runtime takes no dispatcher: use createAgent, with node:http or a client that takes an agent',
    )
  }
  for (const { constructor: Class } of found) {
    if (Class.name === 'Agent') return Class as UndiciAgentClass<unknown>
  }
  throw new TypeError('the global dispatcher was replaced: pass the class Agent of undici')
}
