import type { Duplex } from 'node:stream'

import { isMuxError, MUX_ERRORS } from '@proj/mux'

import { Agent, type AgentOptions } from './agent.ts'
import { Consumer, type ConsumerOptions } from './consumer.ts'
import { TunnelError } from '../errors.ts'
import type { Listener, ListenOptions } from './listener.ts'
import { resetReasonName, resetReasonText, type ResetReason } from '../protocol/reset-reason.ts'

/** Why `listen` waits, or why its endpoint is not served now. */
export interface ListenRetry {
  /** What failed: a DialError where the server was not reached. Undefined: the server ended the session. */
  readonly error: unknown
  /** When it is tried again, ms. */
  readonly delayMs: number
}

/**
 * Serves an endpoint from this process, without a port: `(await listen('web', { url })).serve(app)`.
 * Resolves when the server routes visitors here; closing the listener ends its connection.
 *
 * @param options.signal - ends the wait. The reason of one that timed out has what failed last as its `cause`.
 * @param options.onRetry - called when an attempt has failed, before and after the endpoint was served.
 * @throws {TunnelError} TUNNEL_UNAUTHORIZED, TUNNEL_ENDPOINT_INVALID, TUNNEL_ENDPOINT_REFUSED.
 */
export async function listen(
  endpoint: string,
  options: AgentOptions &
    ListenOptions & {
      readonly signal?: AbortSignal
      readonly onRetry?: (retry: ListenRetry) => void
    },
): Promise<Listener> {
  const agent = new Agent(options)
  const listener = agent.listen(endpoint, options)
  let last: unknown
  const note = (retry: ListenRetry): void => {
    last = retry.error ?? last
    options.onRetry?.(retry)
  }
  agent.on('retry', note)
  agent.on('refused', (_, error) => {
    if (error.retryAfterMs !== undefined) note({ error, delayMs: error.retryAfterMs })
  })
  try {
    await listener.ready(options)
  } catch (error) {
    agent.destroy()
    if (error === options.signal?.reason) addCause(error, last)
    throw error
  }
  void listener.closed.then(() => agent.close())
  return listener
}

/**
 * Connects to a `tcp` endpoint, in one attempt. The returned stream is half-open capable with a server
 * of ours; `explainReset` explains the error of its `error` event, as far as the reason is known.
 *
 * @throws {TunnelError} TUNNEL_UNAUTHORIZED, TUNNEL_ENDPOINT_INVALID, TUNNEL_UPGRADE_REFUSED.
 * @throws {DialError} when the server cannot be reached, or is a Piko server without an upstream.
 */
export async function dial(
  endpoint: string,
  options: ConsumerOptions & { readonly signal?: AbortSignal },
): Promise<Duplex> {
  const consumer = new Consumer(options)
  const failed = new Promise<never>((_, reject) => {
    consumer.once('retry', ({ error }) => reject(error ?? lostError()))
  })
  try {
    const way = await Promise.race([consumer.open(endpoint, options), failed])
    const stream = way.protocol === 'adit' ? way.channel.toStream() : way.pipe
    stream.once('close', () => void consumer.close())
    return stream
  } catch (error) {
    consumer.destroy()
    throw error
  }
}

/**
 * Explains what broke a stream, as a TunnelError: the reason of a reset, or the end of the
 * session that carried it. Other errors pass unchanged.
 */
export function explainReset(error: Error): Error {
  if (!isMuxError(error)) return error
  if (error.code !== 'MUX_STREAM_RESET') {
    const ended = MUX_ERRORS[error.code].ends === 'session' || error.code === 'MUX_GOAWAY_RECEIVED'
    return ended ? lostError(error) : error
  }
  const reason = resetReasonName(error.reason)
  return new TunnelError(CODES[reason] ?? 'TUNNEL_STREAM_RESET', resetReasonText(reason), {
    cause: error,
  })
}

const CODES: Partial<Record<ResetReason, TunnelError['code']>> = {
  serviceRefused: 'TUNNEL_SERVICE_REFUSED',
  serviceTimeout: 'TUNNEL_SERVICE_UNREACHABLE',
  serviceUnreachable: 'TUNNEL_SERVICE_UNREACHABLE',
  notPermitted: 'TUNNEL_UNAUTHORIZED',
  noUpstream: 'TUNNEL_NO_UPSTREAM',
  upstreamLost: 'TUNNEL_UPSTREAM_LOST',
}

/** A timeout alone says nothing: what failed last says why. */
function addCause(reason: unknown, cause: unknown): void {
  const isTimeout = reason instanceof Error && reason.name === 'TimeoutError'
  if (!isTimeout || cause === undefined || reason.cause !== undefined) return
  Object.defineProperty(reason, 'cause', { value: cause, configurable: true, writable: true })
}

function lostError(cause?: Error): TunnelError {
  const details = cause === undefined ? {} : { cause }
  return new TunnelError('TUNNEL_UPSTREAM_LOST', 'the session with the server ended', details)
}
