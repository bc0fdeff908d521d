import type { Socket } from 'node:net'
import { callbackify } from 'node:util'

import { secureTls } from './agent.ts'
import { DialContext } from '../dial-context.ts'
import { openRoute } from '../dial.ts'
import { checkOptionNames } from '../option-names.ts'
import { DIAL_OPTION_NAMES, type DialOptions, resolveDialOptions } from '../options.ts'
import { HTTP_ALPN } from '../tls/options.ts'
import { checkEndpoint } from '../endpoint.ts'

/** The connection that undici asks a connector for. */
export interface ConnectorTarget {
  /** Name or address, IPv6 with or without brackets. */
  readonly hostname: string
  /** `http:` or `https:`. */
  readonly protocol: string
  /** Port; empty for the default of the protocol. */
  readonly port: string
}

/** Callback of undici for the result. */
export type ConnectorCallback = (
  ...result: [error: null, socket: Socket] | [error: Error, socket: null]
) => void

/** Opens the connections of an undici dispatcher. */
export type Connector = (target: ConnectorTarget, callback: ConnectorCallback) => void

/**
 * Makes the `connect` option of an undici dispatcher: `new Agent({ connect: createConnector(options) })`.
 * Every connection through a proxy uses a tunnel, also HTTP without TLS, and proxies that allow CONNECT
 * to port 443 only refuse it; `createDispatcher` sends such requests with an absolute URL.
 * @throws {TypeError | RangeError} for a wrong option
 */
export function createConnector(options: DialOptions = {}): Connector {
  checkOptionNames('', options, DIAL_OPTION_NAMES)
  const secure = resolveDialOptions({ ...options, tls: secureTls(options) }, HTTP_ALPN)
  const plain = resolveDialOptions({ ...options, tls: undefined })
  return (target, callback) => {
    const isSecure = target.protocol === 'https:'
    const scheme = isSecure ? 'https' : 'http'
    const port = target.port === '' ? (isSecure ? 443 : 80) : Number(target.port)
    const dialed = DialContext.run(isSecure ? secure : plain, async (context) =>
      openRoute(context, checkEndpoint({ host: target.hostname, port }), scheme),
    )
    callBack(dialed, callback)
  }
}

/** Calls back outside of the promise, so that an error in the callback is not lost. */
export function callBack(dialed: Promise<Socket>, callback: ConnectorCallback): void {
  callbackify(() => dialed)((error, socket) =>
    error === null ? callback(null, socket) : callback(error, null),
  )
}
