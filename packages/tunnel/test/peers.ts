// Both ends of the tunnel as the tests use them: our server halves on a real port, and peers written
// with `ws` and a bare mux session, which share no code with the half under test.
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import { connect, createServer as createTcpServer, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'

import { type Channel, type MuxStream, Session, type SessionOptions } from '@proj/mux'
import { listening, type Listening } from '@proj/testkit/listening'
import { RecordingLogger } from '@proj/testkit/recording-logger'
import { until } from '@proj/testkit/until'
import { onTestFinished } from 'vitest'
import { createWebSocketStream, WebSocket, WebSocketServer } from 'ws'

import { ConsumerAcceptor, type ConsumerAcceptorOptions } from '../src/server/consumer-acceptor.ts'
import type { StreamRecord } from '../src/protocol/stream-record.ts'
import { VisitorWaits, type VisitorWaitLimits } from '../src/server/visitor-waits.ts'
import { UpstreamAcceptor, type UpstreamAcceptorOptions } from '../src/server/upstream-acceptor.ts'
import type { Endpoint } from '../src/protocol/endpoint.ts'
import type { StreamQuota } from '../src/server/stream-quota.ts'
import { UpstreamRegistry } from '../src/server/upstream-registry.ts'
import type { Upstream } from '../src/server/upstream.ts'

/** Both halves of a server of ours on one port. */
export interface TestServer {
  readonly registry: UpstreamRegistry
  readonly upstream: UpstreamAcceptor
  readonly connect: ConsumerAcceptor
  readonly logger: RecordingLogger
  readonly http: Server
  readonly listening: Listening
  readonly url: string
}

type ServerOptions = Omit<UpstreamAcceptorOptions, 'registry' | 'logger'> &
  Omit<ConsumerAcceptorOptions, 'registry' | 'logger'> & {
    readonly waits?: VisitorWaitLimits
    readonly quota?: StreamQuota
  }

/** Starts a server that the test's end stops. */
export async function startServer(options: ServerOptions = {}): Promise<TestServer> {
  const logger = new RecordingLogger()
  const registry = new UpstreamRegistry(new VisitorWaits(options.waits), options.quota)
  const upstream = new UpstreamAcceptor({ ...options, registry, logger })
  const connectAcceptor = new ConsumerAcceptor({ ...options, registry, logger })
  const http = createServer(upstream.handleRequest)
  http.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const { method = '', url = '/', headers } = request
    const [path = '/'] = url.split('?')
    if (!connectAcceptor.matches(method, path)) upstream.handleUpgrade(request, socket, head)
    else {
      const { remoteAddress, remotePort } = request.socket
      void connectAcceptor.handle(
        { method, path, headers, remoteAddress, remotePort },
        socket,
        head,
      )
    }
  })
  const listen = await listening(http)
  onTestFinished(async () => {
    connectAcceptor.destroy()
    upstream.destroy()
    await listen.close()
  })
  return {
    registry,
    upstream,
    connect: connectAcceptor,
    logger,
    http,
    listening: listen,
    url: `http://${listen.authority}`,
  }
}

/** A peer on a WebSocket of the `ws` package. */
export interface WirePeer {
  readonly websocket: WebSocket
  readonly session: Session
  /** The TCP connection underneath. */
  readonly socket: Socket
  /** The n-th stream the other side opened, counted from 0; waits for it. */
  stream(index?: number): Promise<MuxStream>
}

function peerOf(websocket: WebSocket, socket: Socket, options: SessionOptions): WirePeer {
  const session = new Session(createWebSocketStream(websocket), options)
  const streams: MuxStream[] = []
  session.on('stream', (stream) => {
    stream.on('error', () => {}) // of a stream nobody looks at it is nobody's news
    streams.push(stream)
  })
  onTestFinished(() => session.destroy())
  return { websocket, session, socket, stream: (index = 0) => until(() => streams[index]) }
}

/** Connects to a route of a server as a Go agent does, with a mux session in the client's role. */
export async function connectPeer(
  url: string,
  options: Partial<SessionOptions> = {},
  headers: Record<string, string> = {},
): Promise<WirePeer> {
  const { websocket, socket } = await openWebSocket(url, headers)
  return peerOf(websocket, socket, { role: 'client', ...options })
}

/** Opens a WebSocket without extensions; rejects with the status of a refusal. */
export async function openWebSocket(
  url: string,
  headers: Record<string, string> = {},
): Promise<{ websocket: WebSocket; socket: Socket; answer: IncomingMessage }> {
  const websocket = new WebSocket(url.replace(/^http/, 'ws'), {
    headers,
    perMessageDeflate: false,
  })
  websocket.on('error', () => {})
  onTestFinished(() => websocket.terminate())
  return await new Promise((resolve, reject) => {
    let answer: IncomingMessage
    websocket.once('upgrade', (response) => (answer = response))
    websocket.once('open', () => resolve({ websocket, socket: answer.socket, answer }))
    websocket.once('unexpected-response', (_, response) => {
      reject(new Error(`status ${response.statusCode}`))
      websocket.terminate()
    })
    websocket.once('error', reject)
  })
}

/** A hand-written server of Piko's wire; what it does with each handshake is the test's business. */
export interface PikoServer {
  readonly url: string
  readonly listening: Listening
  /** Requests seen, in order. */
  readonly requests: IncomingMessage[]
  /** The sessions accepted, in order. */
  readonly sessions: WirePeer[]
  /** Resolves with the n-th session, counted from 0. */
  session(index: number): Promise<WirePeer>
}

/** What a hand-written server may do other than accept. */
export interface PikoServerOptions {
  /** Answers a handshake instead of accepting it: HTTP text, after which the connection ends. */
  readonly refuse?: (request: IncomingMessage, index: number) => string | undefined
  /** Headers of the 101. */
  readonly headers?: readonly string[]
  /** Options of each session. */
  readonly session?: Partial<SessionOptions>
}

/** Starts a hand-written server that the test's end stops. */
export async function startPikoServer(options: PikoServerOptions = {}): Promise<PikoServer> {
  const requests: IncomingMessage[] = []
  const sessions: WirePeer[] = []
  const websockets = new WebSocketServer({ noServer: true, perMessageDeflate: false })
  websockets.on('headers', (lines) => lines.push(...(options.headers ?? [])))
  const http = createServer()
  http.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
    requests.push(request)
    const refusal = options.refuse?.(request, requests.length - 1)
    if (refusal !== undefined) {
      socket.end(refusal)
      return
    }
    websockets.handleUpgrade(request, socket, head, (websocket) => {
      websocket.on('error', () => {})
      sessions.push(peerOf(websocket, socket, { role: 'server', ...options.session }))
    })
  })
  const listen = await listening(http)
  onTestFinished(() => listen.close())
  return {
    url: `http://${listen.authority}`,
    listening: listen,
    requests,
    sessions,
    session: (index) => until(() => sessions[index]),
  }
}

/** A TCP service that the test's end stops. */
export async function startService(
  onConnection: (socket: Socket) => void,
): Promise<Listening & { readonly service: { host: string; port: number } }> {
  const server = createTcpServer({ allowHalfOpen: true, noDelay: true }, onConnection)
  const listen = await listening(server)
  onTestFinished(() => listen.close())
  return { ...listen, service: { host: listen.host, port: listen.port } }
}

/** A loopback address on which nothing listens. */
export async function deadAddress(): Promise<{ host: string; port: number }> {
  const listen = await listening(createTcpServer())
  await listen.close()
  return { host: listen.host, port: listen.port }
}

/** Two ends of a TCP connection, both half-open capable. */
export async function tcpSockets(): Promise<{ near: Socket; far: Socket }> {
  const server = createTcpServer({ allowHalfOpen: true, noDelay: true })
  const listen = await listening(server)
  const accepted = once(server, 'connection') as Promise<[Socket]>
  const near = connect({ host: listen.host, port: listen.port, allowHalfOpen: true, noDelay: true })
  const [[far]] = await Promise.all([accepted, once(near, 'connect')])
  server.close()
  onTestFinished(() => {
    near.destroy()
    far.destroy()
  })
  return { near, far }
}

/** A stream to an agent of `record.endpoint`; fails the test where there is none. */
export function openTo(registry: UpstreamRegistry, record: StreamRecord): Channel {
  const channel = tryOpen(registry, record)
  if (channel === undefined) throw new Error('no upstream takes a stream')
  return channel
}

/** The same; undefined where no agent takes a stream. */
export function tryOpen(registry: UpstreamRegistry, record: StreamRecord): Channel | undefined {
  const tried = new Set<Upstream>()
  for (;;) {
    const upstream = registry.pick(at(record.endpoint), tried)
    if (upstream === undefined) return undefined
    try {
      return upstream.openStream(record)
    } catch {
      tried.add(upstream)
    }
  }
}

/** The endpoint of this name, of no tenant or of one. */
export function at(name: string, tenant = ''): Endpoint {
  return { tenant, name }
}

/** Everything a stream carries to its end; the other direction is left alone. */
export async function readAll(stream: Duplex): Promise<string> {
  const chunks: Buffer[] = []
  stream.on('data', (chunk: Buffer) => chunks.push(chunk))
  if (!stream.readableEnded) await once(stream, 'end')
  return Buffer.concat(chunks).toString('latin1')
}

/** How a stream ended: cleanly, or with which error. */
export async function ending(stream: Duplex): Promise<Error | undefined> {
  return await new Promise((resolve) => {
    stream.once('error', resolve)
    stream.once('close', () => resolve(undefined))
    stream.resume()
  })
}
