// The options of one request for its connection, as node:https takes them. As in Node, an option of
// the agent counts more.

import type { RequestOptions as HttpsRequestOptions } from 'node:https'
import { isIP } from 'node:net'
import type * as tls from 'node:tls'

import { resolveSources } from '../connect/source-options.ts'
import type { Lookup, ResolvedAddress } from '../connect/lookup.ts'
import type { ResolvedDialOptions } from '../options.ts'
import type { ResolvedTls } from '../tls/options.ts'
import { needsOwnContext, requestContext } from '../tls/trust.ts'

/** Options of a request as Node passes them to its agent. */
export type RequestOptions = HttpsRequestOptions & {
  readonly checkServerIdentity?: typeof tls.checkServerIdentity
  readonly secureContext?: tls.SecureContext
  readonly ALPNProtocols?: tls.ConnectionOptions['ALPNProtocols']
}

/** Joins the options of an agent and of a request. */
export function withRequestOptions(
  base: ResolvedDialOptions,
  request: RequestOptions,
  signal: AbortSignal,
): ResolvedDialOptions {
  const { localAddress, localPort, family, lookup } = request
  const free = base.sources.addresses.length === 0 && base.sources.interface === undefined
  const source = {
    ...(localAddress !== undefined && { localAddress }),
    ...(localPort !== undefined && { localPort }),
  }
  return {
    ...base,
    signal: base.signal === undefined ? signal : AbortSignal.any([base.signal, signal]),
    ...(free &&
      (localAddress ?? localPort) !== undefined && {
        sources: { ...resolveSources(source), device: base.sources.device },
      }),
    ...(base.family === undefined && (family === 4 || family === 6) && { family }),
    ...(base.lookup === undefined && lookup !== undefined && { lookup: promised(lookup) }),
    ...(base.tls !== undefined && { tls: requestTls(base.tls, request) }),
  }
}

function requestTls(base: ResolvedTls, request: RequestOptions): ResolvedTls {
  const { ALPNProtocols, checkServerIdentity, rejectUnauthorized, secureContext, servername } =
    request
  const context =
    secureContext ?? (needsOwnContext(request) ? requestContext(base, request) : undefined)
  const trusting = base.pins.length > 0 ? 'pin-only' : 'none'
  return {
    ...base,
    servername: base.servername ?? nameOf(servername),
    ...(rejectUnauthorized === false && base.origin.verify === undefined && { verify: trusting }),
    ...(base.origin.alpn === undefined &&
      Array.isArray(ALPNProtocols) && { alpn: ALPNProtocols.map(String) }),
    ...(checkServerIdentity !== undefined && { checkIdentity: checkServerIdentity }),
    ...(context !== undefined && { context }),
  }
}

/** Node takes the name from the header Host, and an empty one for addresses. */
function nameOf(servername: string | undefined): string | undefined {
  return servername === undefined || servername === '' || isIP(servername) !== 0
    ? undefined
    : servername
}

/** Turns a lookup of Node into one of a dial. */
function promised(lookup: NonNullable<RequestOptions['lookup']>): Lookup {
  return (hostname) =>
    new Promise((resolve, reject) => {
      lookup(hostname, { all: true }, (error, address, family) => {
        if (error !== null && error !== undefined) {
          reject(error)
          return
        }
        const list = typeof address === 'string' ? [{ address, family }] : address
        resolve(
          list.map((one): ResolvedAddress => ({
            address: one.address,
            family: isIP(one.address) === 6 ? 6 : 4,
          })),
        )
      })
    })
}
