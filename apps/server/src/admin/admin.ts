import type { IncomingMessage, ServerResponse } from 'node:http'

import {
  type ClientCertificate,
  type Denial,
  endpointText,
  type UpstreamRegistry,
} from '@proj/tunnel/server'

import type { HttpProxy } from '../proxy/http-proxy.ts'
import type { Authenticator } from '../auth/authenticator.ts'
import { formatMetrics } from './metrics.ts'
import { describePorts } from '../public-ports/describe-ports.ts'
import type { PublicPorts } from '../public-ports/public-ports.ts'
import { describeTls, formatTlsMetrics, type TlsPortStatus } from '../tls/tls-status.ts'

/** What the admin port shows. */
export interface AdminParts {
  readonly edge: HttpProxy
  readonly registry: UpstreamRegistry
  readonly publicPorts: PublicPorts
  /** Agent sessions open now. */
  readonly sessions: () => number
  /** Ports that speak TLS. */
  readonly tls: readonly TlsPortStatus[]
  /** Whether the server takes visitors and agents. */
  readonly ready: () => boolean
  /** Knows who may look; without one everybody may. */
  readonly authenticator: Authenticator | undefined
  /** The peer's address. */
  readonly addressOf: (request: IncomingMessage) => string | undefined
  /** What the peer has shown on TLS. Default: nothing. */
  readonly certificateOf?: (request: IncomingMessage) => ClientCertificate | undefined
}

/** What tells nothing but whether the server is alive; asked by what has no token. */
const PROBES: ReadonlySet<string> = new Set(['/health', '/ready'])

/**
 * The admin port: `/health`, `/ready`, `/metrics` and `/status/*`, with Piko's routes and shapes
 * where it has them.
 */
export function createAdminHandler(
  parts: AdminParts,
): (request: IncomingMessage, response: ServerResponse) => void {
  const routes = new Map<string, (response: ServerResponse) => void>([
    ['/health', (response) => response.end()],
    ['/ready', (response) => response.writeHead(parts.ready() ? 200 : 503).end()],
    [
      '/metrics',
      (response) => {
        response.setHeader('content-type', 'text/plain; version=0.0.4; charset=utf-8')
        response.end(formatMetrics(parts) + formatTlsMetrics(parts.tls))
      },
    ],
    [
      '/status/upstream/endpoints',
      (response) => {
        const counts = [...parts.registry.snapshot()].map(
          ([endpoint, upstreams]) => [endpointText(endpoint), upstreams.length] as const,
        )
        sendJson(response, Object.fromEntries(counts))
      },
    ],
    ['/status/upstream/sessions', (response) => sendJson(response, describeSessions(parts))],
    ['/status/tls', (response) => sendJson(response, describeTls(parts.tls))],
    ['/status/ports', (response) => sendJson(response, describePorts(parts.publicPorts))],
    ['/status/edge', (response) => sendJson(response, describeEdge(parts))],
  ])
  const answer = (path: string, request: IncomingMessage, response: ServerResponse): void => {
    const route = routes.get(path)
    if (route === undefined) {
      response.writeHead(404, { 'content-type': 'text/plain; charset=utf-8' })
      response.end('404 page not found\n')
    } else if (request.method === 'GET' || request.method === 'HEAD') route(response)
    else response.writeHead(405, { allow: 'GET, HEAD' }).end()
  }
  return (request, response) => {
    const [path = '/'] = (request.url ?? '/').split('?')
    void judge(parts, request, PROBES.has(path)).then((denial) => {
      if (denial === undefined) answer(path, request, response)
      else refuse(denial, response)
    })
  }
}

async function judge(
  { authenticator, addressOf, certificateOf }: AdminParts,
  request: IncomingMessage,
  isProbe: boolean,
): Promise<Denial | undefined> {
  const certificate = certificateOf?.(request)
  return await authenticator?.authorizeAdmin({
    headers: request.headers,
    remoteAddress: addressOf(request),
    isProbe,
    ...(certificate !== undefined && { certificate }),
  })
}

function refuse({ status, error, retryAfterMs }: Denial, response: ServerResponse): void {
  if (retryAfterMs !== undefined) response.setHeader('retry-after', Math.ceil(retryAfterMs / 1000))
  response.writeHead(status, { 'content-type': 'application/json; charset=utf-8' })
  response.end(`${JSON.stringify({ error })}\n`)
}

function describeSessions({ registry }: AdminParts): unknown {
  return [...registry.snapshot()].flatMap(([endpoint, upstreams]) =>
    upstreams.map((upstream) => ({
      endpoint: endpointText(endpoint),
      session: upstream.id,
      agent: upstream.peer,
      protocol: upstream.protocol,
      remoteAddress: upstream.remoteAddress,
      connectedAt: new Date(upstream.connectedAt).toISOString(),
      openStreams: upstream.openStreams,
    })),
  )
}

function describeEdge({ edge }: AdminParts): unknown {
  const { stats } = edge
  return {
    connections: edge.connections,
    requests: stats.requests,
    inFlight: stats.inFlight,
    upgraded: stats.upgraded,
    bytesIn: stats.bytesIn,
    bytesOut: stats.bytesOut,
    statuses: Object.fromEntries(stats.statuses),
  }
}

function sendJson(response: ServerResponse, value: unknown): void {
  response.setHeader('content-type', 'application/json')
  response.end(`${JSON.stringify(value)}\n`)
}
