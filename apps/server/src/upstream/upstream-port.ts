import { createServer, type IncomingMessage, type Server } from 'node:http'

import { peerOf } from '@proj/portcheck'
import type { ConsumerAcceptor, UpstreamAcceptor } from '@proj/tunnel/server'

import { peerFacts } from '../tls/certificates.ts'
import type { IdentityApi } from './identity-api.ts'

/** Time for a request, head and body, ms. */
const REQUEST_TIMEOUT_MS = 10_000

/** How often Node looks for requests that take too long, ms; by its own default every 30 s. */
const LOOK_MS = 1_000

/** What the upstream port hands requests to. */
export interface UpstreamPortParts {
  /** Takes the sessions of agents, and requests for pages that do not exist. */
  readonly upstream: UpstreamAcceptor
  /** Takes consumers, who may use this port too: one address serves a program that does both. */
  readonly connect: ConsumerAcceptor
  /** Answer requests about what identities have: names and domains. */
  readonly apis: readonly IdentityApi[]
}

/** The HTTP server of the upstream port. It does not listen by itself. */
export function createUpstreamPort({ upstream, connect, apis }: UpstreamPortParts): Server {
  const server = createServer({
    headersTimeout: REQUEST_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    connectionsCheckingInterval: LOOK_MS,
  })
  server.on('upgrade', (request, socket, head) => {
    const { method = '', headers } = request
    const path = pathOf(request)
    if (!connect.matches(method, path)) return upstream.handleUpgrade(request, socket, head)
    const peer = peerOf(request.socket)
    const from = {
      remoteAddress: peer?.address,
      remotePort: peer?.port,
      ...peerFacts(request.socket),
    }
    void connect.handle({ method, path, headers, ...from }, socket, head)
  })
  server.on('request', (request, response) => {
    const api = apis.find((one) => one.matches(request.url ?? ''))
    if (api === undefined) upstream.handleRequest(request, response)
    else void api.handle(request, response)
  })
  return server
}

function pathOf({ url = '/' }: IncomingMessage): string {
  const [path = '/'] = url.split('?')
  return path
}
