// @ts-check
// `pnpm demo`: the shortest way to see it work. Starts a server, a small web service and an agent
// for it, sends a real request through the tunnel, shows both sides, and stays until Ctrl-C.
// With --once it ends after the answer, with --cluster there are three servers; see demo-cluster.mjs.
import { once } from 'node:events'
import { areFree, DEFAULT_PORTS, startAgent, startServer } from './adit-processes.mjs'
import { startSampleService, visit } from './sample-service.mjs'

const ENDPOINT = 'web'

const interrupted = Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')])

if (process.argv.includes('--cluster')) {
  const { demoCluster } = await import('./demo-cluster.mjs')
  await demoCluster(process.argv.includes('--once') ? undefined : interrupted)
  process.exit(0) // the wait for a signal is still open
}
const service = await startSampleService()
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
  service.close()
}
process.exit(0) // the wait for a signal is still open
