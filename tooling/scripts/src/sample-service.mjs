// @ts-check
// The small web service that `pnpm demo` and `pnpm dev` offer through the tunnel, and a visitor of it.
import { once } from 'node:events'
import { createServer, get } from 'node:http'
import { hostname } from 'node:os'

/** Starts the service on a free port of 127.0.0.1. */
export async function startSampleService() {
  const web = createServer((request, response) => {
    const via = String(request.headers['x-forwarded-for'])
    response.setHeader('content-type', 'text/plain')
    response.end(
      `Hello from the service on ${hostname()}.\n` +
        `You asked ${request.headers.host} for ${request.url}, and came from ${via}.\n`,
    )
  })
  web.listen(0, '127.0.0.1')
  await once(web, 'listening')
  const address = web.address()
  return {
    port: typeof address === 'object' ? (address?.port ?? 0) : 0,
    close() {
      web.close()
      web.closeAllConnections()
    },
  }
}

/**
 * Requests a URL at a port of this machine. The name in the URL is sent as Host and need not be
 * resolvable here.
 *
 * @param {number} port
 * @param {string} url
 * @returns {Promise<{ status: number | undefined, body: string }>}
 */
export async function visit(port, url) {
  const { host, pathname } = new URL(url)
  const request = get({ host: '127.0.0.1', port, path: pathname, headers: { host }, agent: false })
  const [response] = await once(request, 'response')
  response.setEncoding('utf8')
  let body = ''
  for await (const chunk of response) body += chunk
  return { status: response.statusCode, body }
}
