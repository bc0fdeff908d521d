import { createServer, type Server, type ServerResponse } from 'node:http'
import { isIP } from 'node:net'

import { formatAgentMetrics } from './metrics.ts'
import type { AgentStatus } from '../status/agent-status.ts'

/** Bounds on a request: a local program asks for a page, nothing else. */
const REQUEST_TIMEOUT_MS = 5_000
const MAX_HEAD_BYTES = 8_192

/**
 * The control API of a running agent: `/health`, `/ready`, `/metrics` and `/status`, to be read only.
 *
 * @param hosts - names a `Host` header may have besides IP addresses and localhost: a web page of
 *   somebody else reaches this port by a name of its own, and must not read it. Undefined on a unix
 *   socket, which no web page reaches.
 */
export function createControlServer(
  status: () => Promise<AgentStatus>,
  hosts?: readonly string[],
): Server {
  const routes = new Map<string, (response: ServerResponse) => Promise<void> | void>([
    ['/health', (response) => void response.end()],
    [
      '/ready',
      async (response) => void response.writeHead((await status()).ready ? 200 : 503).end(),
    ],
    [
      '/metrics',
      async (response) => {
        response.setHeader('content-type', 'text/plain; version=0.0.4; charset=utf-8')
        response.end(formatAgentMetrics(await status()))
      },
    ],
    [
      '/status',
      async (response) => {
        response.setHeader('content-type', 'application/json')
        response.end(`${JSON.stringify(await status())}\n`)
      },
    ],
  ])
  const server = createServer(
    {
      maxHeaderSize: MAX_HEAD_BYTES,
      headersTimeout: REQUEST_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      keepAliveTimeout: REQUEST_TIMEOUT_MS,
    },
    (request, response) => {
      const [path = '/'] = (request.url ?? '/').split('?')
      const route = routes.get(path)
      response.setHeader('cache-control', 'no-store')
      if (hosts !== undefined && !isOurs(request.headers.host, hosts)) {
        refuse(response, 403, 'this name is not one of this port')
      } else if (route === undefined) refuse(response, 404, '404 page not found')
      else if (request.method !== 'GET' && request.method !== 'HEAD') {
        response.setHeader('allow', 'GET, HEAD')
        refuse(response, 405, 'it can only be read')
      } else {
        void Promise.resolve(route(response)).catch((error: unknown) => {
          refuse(response, 500, error instanceof Error ? error.message : String(error))
        })
      }
    },
  )
  return server
}

function refuse(response: ServerResponse, status: number, text: string): void {
  if (response.headersSent) return void response.destroy()
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' }).end(`${text}\n`)
}

function isOurs(header: string | undefined, hosts: readonly string[]): boolean {
  const host = (header ?? '').replace(/:\d+$/, '').toLowerCase()
  const bare = host.replace(/^\[(.*)\]$/, '$1')
  return isIP(bare) !== 0 || host === 'localhost' || hosts.includes(host)
}
