import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'

import { dial, type DialOptions, type Endpoint, isDialError } from '@proj/dialer'
import type { Channel } from '@proj/mux'

import type { Agent } from './agent.ts'
import type { Listener } from './listener.ts'
import { proxyHeader, type ProxyProtocolVersion } from './proxy-protocol.ts'
import { RESET_REASONS, type ResetReason } from '../protocol/reset-reason.ts'
import { OpenSplices } from '../io/open-splices.ts'
import { SocketSplice } from '../io/socket-splice.ts'
import type { SpliceTap } from '../io/splice-tap.ts'
import type { StreamRecord } from '../protocol/stream-record.ts'
import type { AnswerStrictness } from '../protocol/answer-strictness.ts'
import type { EndpointLimits } from '../protocol/endpoint-limits.ts'
import type { StreamReuse } from '../protocol/stream-reuse.ts'
import type { Traffic } from '../io/traffic.ts'

/** Where and how the service is reached. */
export interface ForwardOptions {
  /** What the endpoint's streams carry. */
  readonly kind: 'http' | 'tcp'
  /** The service's address; `localhost` means both loopbacks. */
  readonly service: Endpoint
  /** Source address, TLS and timeouts of the leg to the service. */
  readonly connect?: Omit<DialOptions, 'signal'>
  /**
   * Tell a TCP service who the visitor is, in a header ahead of the visitor's bytes. The service must
   * expect it. Not for `http`, whose streams carry requests of many visitors. Default: no header.
   */
  readonly proxyProtocol?: ProxyProtocolVersion
  /** Rules for visitors that the server has to enforce; see `ListenOptions`. Default: none. */
  readonly visitors?: object
  /** Public TCP port of the server, 0 for any; see `ListenOptions`. Default: none. */
  readonly publicPort?: number
  /** Serve the endpoint alone; see `ListenOptions`. Default: false. */
  readonly exclusive?: boolean
  /** When its streams carry another request; see `ListenOptions`. Default: as the server is set. */
  readonly reuse?: StreamReuse
  /** How answers of an `http` service are read; see `ListenOptions`. Default: `lenient`. */
  readonly strictness?: AnswerStrictness
  /** How often this agent is chosen, compared to others, 1 to 10 000. Default: 100. */
  readonly weight?: number
  /** What visitors may do; see `ListenOptions`. Default: as the server is set. */
  readonly limits?: EndpointLimits
  /**
   * Judges a stream before the service is dialed: false resets it with `notPermitted`, a Duplex takes the
   * place of the service and dials it itself, or not. Default: every stream goes to the service.
   */
  readonly gate?: (
    record: StreamRecord | undefined,
    dial: (signal: AbortSignal) => Promise<Socket>,
  ) => boolean | Duplex
  /** Counts the streams and their bytes. Default: they are not counted. */
  readonly traffic?: Traffic
  /**
   * Makes what sees the bytes of a stream; asked once, when the stream opens. Default: nothing sees them.
   *
   * @param rttMs - the last round trip to the server, ms; undefined: not measured.
   */
  readonly tap?: (
    record: StreamRecord | undefined,
    rttMs: () => number | undefined,
  ) => SpliceTap | undefined
  /** Called with the error when the service could not be reached, or ended TLS with an alert. */
  readonly onServiceError?: (error: unknown) => void
  /**
   * Called when an HTTP service has sent no answer: it ended the connection behind the first request, or sent an
   * alert of TLS, because it expects TLS.
   */
  readonly onNoAnswer?: (sent: 'nothing' | 'tls-alert') => void
  /** Called when a stream is over, with the bytes it carried to and from the service. */
  readonly onStreamClosed?: (
    bytes: { readonly in: number; readonly out: number },
    record: StreamRecord | undefined,
  ) => void
}

/**
 * Serves an endpoint by splicing each of its streams to a new connection to the service.
 *
 * Nothing is parsed: for `http` the server keeps a stream for many requests, and with it the
 * service's kept-alive connection, so the pool of one side is the pool of the other.
 *
 * @throws {TypeError} for `proxyProtocol` on an `http` endpoint.
 */
export function forward(agent: Agent, endpoint: string, options: ForwardOptions): Listener {
  if (options.proxyProtocol !== undefined && options.kind !== 'tcp') {
    throw new TypeError('proxyProtocol goes with kind tcp, an http stream has many visitors')
  }
  const { kind, visitors, publicPort, exclusive, reuse, strictness, weight, limits } = options
  const demands = {
    ...(visitors !== undefined && { visitors }),
    ...(publicPort !== undefined && { publicPort }),
    ...(exclusive !== undefined && { exclusive }),
    ...(reuse !== undefined && { reuse }),
    ...(strictness !== undefined && { strictness }),
    ...(weight !== undefined && { weight }),
    ...(limits !== undefined && { limits }),
  }
  // What an HTTP stream carries is for the server to end: it knows requests and frames.
  const connections = kind === 'tcp' ? new OpenSplices() : undefined
  const listener: Listener = agent.listenChannels(
    endpoint,
    { kind, ...demands },
    (channel, record) => {
      if (!listener.isUp) {
        refuseDown(channel, record, kind)
        return undefined
      }
      const gate = options.gate?.(record, (signal) => dialService(options, signal)) ?? true
      if (gate === false) {
        channel.reset(RESET_REASONS.notPermitted)
        return undefined
      }
      const giveUp = new AbortController()
      const tap = options.tap?.(record, () => channel.session.lastRttMs)
      const splice: SocketSplice = new SocketSplice(channel, {
        resetReason: (error) => {
          if (isDialError(error)) return serviceReason(error)
          if (isTlsAlert(error)) options.onServiceError?.(error)
          return 'serviceReset'
        },
        // Only a server that writes records knows what the reason means.
        carriesRequests: kind === 'http' && record !== undefined,
        tap,
        onClose: () => {
          giveUp.abort()
          connections?.delete(splice)
          options.traffic?.remove(splice)
          if (splice.noAnswer !== undefined) options.onNoAnswer?.(splice.noAnswer)
          const bytes = { in: splice.bytesToSocket, out: splice.bytesFromSocket }
          options.onStreamClosed?.(bytes, record)
        },
      })
      connections?.add(splice)
      options.traffic?.add(splice)
      channel.attach(splice)
      // Only a server that reads records understands reasons; Piko's wants HTTP on an HTTP stream.
      const answer = record === undefined && options.kind === 'http' ? 'http' : 'reset'
      if (gate !== true) splice.connect(gate)
      else void connectService(splice, channel, record, options, giveUp.signal, answer)
      return splice
    },
  )
  listener.endConnections = () => connections?.abort('draining')
  return listener
}

async function connectService(
  splice: SocketSplice,
  channel: Channel,
  record: StreamRecord | undefined,
  options: ForwardOptions,
  signal: AbortSignal,
  answer: 'http' | 'reset',
): Promise<void> {
  let socket: Socket
  try {
    socket = await dialService(options, signal)
  } catch (error) {
    if (signal.aborted) return
    if (answer === 'http') {
      channel.write(unreachable(serviceReason(error) === 'serviceTimeout'))
      channel.end()
    } else channel.reset(RESET_REASONS[serviceReason(error)])
    return
  }
  if (options.proxyProtocol !== undefined) {
    const destination = { address: socket.remoteAddress, port: socket.remotePort }
    socket.write(proxyHeader(options.proxyProtocol, record, destination))
  }
  splice.connect(socket)
}

async function dialService(options: ForwardOptions, signal: AbortSignal): Promise<Socket> {
  try {
    const socket = await dial(options.service, { ...options.connect, signal })
    // A service may go on answering after our FIN, and we after its.
    socket.allowHalfOpen = true
    return socket
  } catch (error) {
    if (!signal.aborted) options.onServiceError?.(error)
    throw error
  }
}

function serviceReason(error: unknown): ResetReason {
  if (!isDialError(error)) return 'serviceUnreachable'
  if (error.code === 'DIAL_CONNECT_REFUSED') return 'serviceRefused'
  if (error.code === 'DIAL_CONNECT_RESET') return 'serviceReset'
  const late = error.code === 'DIAL_CONNECT_TIMEOUT' || error.code === 'DIAL_DEADLINE'
  return late ? 'serviceTimeout' : 'serviceUnreachable'
}

/** The service fails its health checks: nothing is dialed. */
function refuseDown(
  channel: Channel,
  record: StreamRecord | undefined,
  kind: 'http' | 'tcp',
): void {
  if (record !== undefined || kind === 'tcp') {
    channel.reset(RESET_REASONS.serviceDown)
    return
  }
  channel.attach(new SocketSplice(channel, { resetReason: () => 'serviceDown' }))
  channel.write(unreachable(false))
  channel.end()
}

/** Whether the service ended TLS behind the handshake, as one does that requires a client certificate. */
function isTlsAlert(error: Error): boolean {
  return 'code' in error && String(error.code).startsWith('ERR_SSL_')
}

/** What Piko's own agent answers, so that its server passes it on as from one of its own. */
function unreachable(timeout: boolean): Buffer {
  const body = `${JSON.stringify({ error: timeout ? 'upstream timeout' : 'upstream unreachable' })}\n`
  return Buffer.from(
    `HTTP/1.1 ${timeout ? '504 Gateway Timeout' : '502 Bad Gateway'}\r\n` +
      'content-type: application/json\r\nx-content-type-options: nosniff\r\n' +
      `adit-error: ${timeout ? 'service_timeout' : 'service_unreachable'}\r\n` +
      `content-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`,
  )
}
