import type { Duplex } from 'node:stream'

import { isMuxError, MUX_ERRORS } from '@proj/mux'

import { Agent, type AgentOptions } from './agent.ts'
import { Consumer, type ConsumerOptions } from './consumer.ts'
import { TunnelError } from '../errors.ts'
import type { Listener, ListenOptions } from './listener.ts'
import { resetReasonName, resetReasonText, type ResetReason } from '../protocol/reset-reason.ts'

/**
 * Serves an endpoint from this process, without a port: `(await listen('web', { url })).serve(server)`.
 * Resolves when the server routes visitors here; closing the listener ends its connection.
 *
 * @throws {TunnelError} TUNNEL_UNAUTHORIZED, TUNNEL_ENDPOINT_INVALID, TUNNEL_ENDPOINT_REFUSED.
 */
export async function listen(
  endpoint: string,
  options: AgentOptions & ListenOptions & { readonly signal?: AbortSignal },
): Promise<Listener> {
  const agent = new Agent(options)
  const listener = agent.listen(endpoint, options)
  try {
    await listener.ready(options)
  } catch (error) {
    agent.destroy()
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

function lostError(cause?: Error): TunnelError {
  const details = cause === undefined ? {} : { cause }
  return new TunnelError('TUNNEL_UPSTREAM_LOST', 'the session with the server ended', details)
}
