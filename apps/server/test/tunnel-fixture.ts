// The shortest whole path, in one process: a visitor's raw connection, the server on loopback, an
// agent, and a service the test writes itself.
import { createServer as createHttpServer, type RequestListener } from 'node:http'
import { createServer, type Server as NetServer, type Socket } from 'node:net'

import {
  Agent,
  type AgentOptions,
  type AnswerStrictness,
  forward,
  type Listener,
  type Logger,
  type StreamReuse,
} from '@proj/tunnel'
import { listening, type Listening } from '@proj/testkit/listening'
import { connectRaw, type RawHttp } from '@proj/testkit/raw-http'
import { until } from '@proj/testkit/until'

import type { VisitorWaitLimits } from '@proj/tunnel/server'

import type { ProxyOptions } from '../src/proxy/proxy-options.ts'
import type { Authenticator } from '../src/auth/authenticator.ts'
import { Server, type ServerOptions } from '../src/server.ts'
import { joinNodes, type TwoNodes } from './two-nodes.ts'
import type { StandingPolicy } from '../src/auth/visitor-gates.ts'

const silent = { debug() {}, info() {}, warn() {}, error() {} }

export interface FixtureOptions {
  /** The service: an HTTP handler, or what happens on each raw connection. */
  readonly http?: RequestListener
  readonly tcp?: (socket: Socket) => void
  readonly edge?: ProxyOptions
  readonly agent?: Partial<AgentOptions>
  /** How long visitors wait for the agent. */
  readonly waits?: VisitorWaitLimits
  /** What the agent demands of visitors, and what the operator does. */
  readonly visitors?: object
  /** What the agent asks for as to the reuse of streams. */
  readonly reuse?: StreamReuse
  /** What the agent asks for as to the reading of answers. */
  readonly strictness?: AnswerStrictness
  readonly standing?: readonly StandingPolicy[]
  readonly authenticator?: Authenticator
  /** Gets the lines of the server. Default: they are dropped. */
  readonly logger?: Logger
  /** Further options of the server. */
  readonly server?: Partial<ServerOptions>
  /**
   * Whether visitors come to another node than the agent. Default: false, or true with ADIT_TEST_HOP=1, to run
   * the tests of one server through two.
   */
  readonly hop?: boolean
}

export interface Fixture extends AsyncDisposable {
  /** Where the visitors come. */
  readonly server: Server
  /** The agent's server, if that is another. */
  readonly far: Server | undefined
  /** What joins the two. */
  readonly nodes: TwoNodes | undefined
  readonly agent: Agent
  readonly listener: Listener
  readonly service: Listening
  readonly serviceServer: NetServer
  /** Port of the proxy listener. */
  readonly port: number
  readonly upstreamUrl: string
  readonly proxyUrl: string
  /** Opens a visitor's connection. */
  visit(timeoutMs?: number): Promise<RawHttp>
}

/** A promise and what settles it. */
export function deferred<T = void>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => {}
  const promise = new Promise<T>((settle) => (resolve = settle))
  return { promise, resolve }
}

/** A request for the fixture's endpoint; lines are joined by CRLF and followed by an empty one. */
export function request(line: string, ...headers: string[]): string {
  return [`${line} HTTP/1.1`, 'Host: web.localhost', ...headers, '', ''].join('\r\n')
}

/** Starts the path with the endpoint `web` served. */
export async function tunnel(options: FixtureOptions): Promise<Fixture> {
  const serviceServer =
    options.http === undefined
      ? createServer({ allowHalfOpen: true, noDelay: true }, options.tcp)
      : createHttpServer(options.http)
  const service = await listening(serviceServer)
  const server = await startServer(
    options.edge,
    options.standing,
    options.authenticator,
    options.waits,
    { ...(options.logger !== undefined && { logger: options.logger }), ...options.server },
  )
  const hasHop = options.hop ?? process.env['ADIT_TEST_HOP'] === '1'
  const far = hasHop ? await startServer() : undefined
  const nodes = far === undefined ? undefined : await joinNodes(server, far)
  const { upstream } = (far ?? server).listeners
  const upstreamUrl = `http://127.0.0.1:${upstream.bound[0]?.port}`
  const agent = new Agent({ url: upstreamUrl, connections: 1, ...options.agent })
  const listener = forward(agent, 'web', {
    kind: 'http',
    service: { host: service.host, port: service.port },
    ...(options.visitors !== undefined && { visitors: options.visitors }),
    ...(options.reuse !== undefined && { reuse: options.reuse }),
    ...(options.strictness !== undefined && { strictness: options.strictness }),
  })
  await listener.ready()
  await until(() => server.registry.count({ tenant: '', name: 'web' }) > 0)
  const port = server.listeners.proxy.bound[0]?.port ?? 0
  return {
    server,
    far,
    nodes,
    agent,
    listener,
    service,
    serviceServer,
    port,
    upstreamUrl,
    proxyUrl: `http://127.0.0.1:${port}`,
    visit: (timeoutMs) => connectRaw(port, timeoutMs),
    async [Symbol.asyncDispose]() {
      await agent[Symbol.asyncDispose]()
      await nodes?.[Symbol.asyncDispose]()
      server.destroy()
      far?.destroy()
      await service.close()
    },
  }
}

/** A server alone, on loopback ports the kernel picks. */
export async function startServer(
  edge: ProxyOptions = {},
  visitors: readonly StandingPolicy[] = [],
  authenticator?: Authenticator,
  waits?: VisitorWaitLimits,
  more: Partial<ServerOptions> = {},
): Promise<Server> {
  const anywhere = { at: '127.0.0.1:0' }
  return await Server.start({
    proxy: anywhere,
    upstream: anywhere,
    admin: anywhere,
    software: 'adit-server/test',
    logger: silent,
    // A busy machine is not what these tests are about.
    edge: { maxLoopDelayMs: Infinity, ...edge },
    visitors,
    ...(authenticator !== undefined && { authenticator }),
    // Tests begin with the start: names that do not exist are not waited for.
    waits: { startWaitMs: 0, ...waits },
    ...more,
  })
}
