// @ts-check
// `pnpm demo`: the shortest way to see it work. Starts a server, a small web service and an agent
// for it, sends a real request through the tunnel, shows both sides, and stays until Ctrl-C.
// With --once it ends after the answer.
import { once } from 'node:events'
import { createServer, get } from 'node:http'
import { createServer as createTcpServer } from 'node:net'
import { hostname } from 'node:os'
import { startAgent, startServer } from './adit-processes.mjs'

const DEFAULT_PORTS = [8000, 8001, 8002]
const ENDPOINT = 'web'

const interrupted = Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')])

const service = await startService()
const bind = (await areFree(DEFAULT_PORTS)) ? undefined : '127.0.0.1:0'
if (bind !== undefined) {
  console.log(`note: one of the ports ${DEFAULT_PORTS.join(', ')} is taken, others are used`)
}
const server = await startServer(bind)
try {
  const agent = await startAgent('http', ENDPOINT, service.port, server.ports.upstream)
  try {
    const url = `http://${ENDPOINT}.localhost:${server.ports.proxy}/hello`
    console.log(`
service   http://localhost:${service.port}        knows nothing of the tunnel
agent     dialled out to localhost:${server.ports.upstream}, serves "${ENDPOINT}"
server    visitors on port ${server.ports.proxy}, agents on ${server.ports.upstream}, status on http://localhost:${server.ports.admin}/status/upstream/endpoints

request   GET ${url}`)
    const { status, body } = await visit(server.ports.proxy, url)
    console.log(`answer    ${status}\n\n${body.replaceAll(/^/gm, '          ')}`)
    if (status !== 200 || !body.includes('Hello')) {
      throw new Error(`the tunnel answered ${status}: ${body}`)
    }
    if (!process.argv.includes('--once')) {
      console.log(`Try it:   curl ${url}\nCtrl-C ends it all.`)
      await interrupted
    }
  } finally {
    await agent.stop()
  }
} finally {
  await server.process.stop()
  service.server.close()
  service.server.closeAllConnections()
}
process.exit(0) // the wait for a signal is still open

async function startService() {
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
  return { server: web, port: typeof address === 'object' ? (address?.port ?? 0) : 0 }
}

/**
 * Whether nobody listens on any of the ports: an honest answer only for this moment, which is enough
 * for a demo.
 *
 * @param {number[]} ports
 */
async function areFree(ports) {
  for (const port of ports) {
    const probe = createTcpServer().listen(port)
    const free = await once(probe, 'listening').then(
      () => true,
      () => false,
    )
    probe.close()
    if (!free) return false
  }
  return true
}

/**
 * A visitor. The name in the URL is sent as Host, and need not be resolvable on this machine.
 *
 * @param {number} port
 * @param {string} url
 * @returns {Promise<{ status: number | undefined, body: string }>}
 */
async function visit(port, url) {
  const { host, pathname } = new URL(url)
  const request = get({ host: '127.0.0.1', port, path: pathname, headers: { host }, agent: false })
  const [response] = await once(request, 'response')
  response.setEncoding('utf8')
  let body = ''
  for await (const chunk of response) body += chunk
  return { status: response.statusCode, body }
}
