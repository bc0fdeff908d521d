// @ts-check
// `pnpm demo --cluster`: three servers that are one, on a PostgreSQL that is started for it or that DATABASE_URL
// names, nginx in front of them where it is installed, and two agents. It sends a request through each, kills a
// server, and sends them again.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { tsImport } from 'tsx/esm/api'
import { startAgent, startServer } from './adit-processes.mjs'
import { startSampleService, visit } from './sample-service.mjs'
import { StartedProcess } from './started-process.mjs'

const ENDPOINT = 'web'
const NODES = ['node-1', 'node-2', 'node-3']

/**
 * Runs the demo.
 *
 * @param {Promise<unknown>} [interrupted] - keeps it running until then; without it the demo ends by itself
 */
export async function demoCluster(interrupted) {
  const database = await openDatabase()
  if (typeof database === 'string') {
    console.log(`the demo of a cluster needs a PostgreSQL: ${database}`)
    console.log('name one with DATABASE_URL=postgres://USER:PASSWORD@HOST/DATABASE')
    return
  }
  const service = await startSampleService()
  const folder = mkdtempSync(join(tmpdir(), 'adit-demo-cluster-'))
  const secret = join(folder, 'database-url')
  writeFileSync(secret, database.url, { mode: 0o600 })
  /** @type {{ stop(): Promise<unknown> }[]} */
  const running = []
  try {
    const nodes = []
    for (const id of NODES) {
      const flags = ['--cluster.database-url-file', secret, '--cluster.node-id', id]
      const own = ['--cluster.bind-addr', '127.0.0.1:0', '--cluster.lease', '3s']
      const node = await startServer('127.0.0.1:0', undefined, { flags: [...flags, ...own] })
      running.push(node.process)
      nodes.push({ id, ...node })
    }
    for (const index of [0, 1]) {
      // Each agent has its connections on two of the three nodes.
      const [first, second] = [nodes[index], nodes[index + 1]]
      if (first === undefined || second === undefined) throw new Error('a node is missing')
      const url = `http://127.0.0.1:${second.ports.upstream}`
      const place = { flags: ['--connect.url', url] }
      const agent = await startAgent(
        'http',
        ENDPOINT,
        service.port,
        first.ports.upstream,
        undefined,
        place,
      )
      running.push(agent)
    }
    const front = await startNginx(
      folder,
      nodes.map(({ ports }) => ports.proxy),
    )
    if (front !== undefined) running.push(front.process)
    console.log(`
database  ${database.what}
agents    two, each with a connection to two of the nodes
service   http://localhost:${service.port}
${nodes.map(({ id, ports }) => `${id}    visitors ${ports.proxy}, agents ${ports.upstream}, status ${ports.admin}`).join('\n')}
${front === undefined ? 'nginx     not installed: ask the nodes themselves' : `nginx     http://${ENDPOINT}.localhost:${front.port}, in front of all nodes`}
`)
    const ports = [...nodes.map((node) => node.ports.proxy), ...(front ? [front.port] : [])]
    await visitAll(ports)
    console.log(`\nkill -9 of ${nodes[0]?.id}\n`)
    process.kill(nodes[0]?.process.pid ?? -1, 'SIGKILL')
    await nodes[0]?.process.exited
    await visitAll(ports.slice(1))
    if (interrupted !== undefined) {
      console.log(`\nTry it:   curl http://${ENDPOINT}.localhost:${ports.at(-1)}/hello
          node apps/server/bin/adit-server.js status --url http://127.0.0.1:${nodes[1]?.ports.admin}
Ctrl-C ends it all.`)
      await interrupted
    }
  } finally {
    for (const one of running.toReversed()) await one.stop()
    service.close()
    await database.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}

/** @param {readonly number[]} ports */
async function visitAll(ports) {
  for (const port of ports) {
    const url = `http://${ENDPOINT}.localhost:${port}/hello`
    const { status, body } = await visit(port, url)
    console.log(`request   GET ${url}\nanswer    ${status} ${body.split('\n')[0]}`)
    if (status !== 200 || !body.includes('Hello')) throw new Error(`${url} answered ${status}`)
  }
}

/** @returns {Promise<{ url: string, what: string, stop(): Promise<unknown> } | string>} or why there is none */
async function openDatabase() {
  const given = process.env['DATABASE_URL']
  if (given !== undefined && given !== '') {
    return { url: given, what: 'that of DATABASE_URL', stop: async () => {} }
  }
  const { PostgresServer, postgresMissing } = await tsImport(
    '@proj/testkit/postgres-server',
    import.meta.url,
  )
  const why = postgresMissing()
  if (why !== undefined) return why
  const server = await PostgresServer.start()
  const url = await server.createDatabase()
  const what = `PostgreSQL on port ${server.port}, for this demo`
  return { url, what, stop: () => server[Symbol.asyncDispose]() }
}

/**
 * @param {string} folder
 * @param {readonly number[]} ports
 * @returns {Promise<{ port: number, process: StartedProcess } | undefined>} undefined: it is not installed
 */
async function startNginx(folder, ports) {
  if (spawnSync('nginx', ['-v']).error !== undefined) return undefined
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const address = probe.address()
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0
  probe.close()
  await once(probe, 'close')
  const config = join(folder, 'nginx.conf')
  writeFileSync(
    config,
    `daemon off;
error_log ${folder}/error.log;
pid ${folder}/nginx.pid;
events {}
http {
  access_log off;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  upstream adit {
${ports.map((one) => `    server 127.0.0.1:${one};`).join('\n')}
    keepalive 16;
  }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://adit;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
    }
  }
}
`,
  )
  const nginx = new StartedProcess('nginx', 'nginx', ['-c', config, '-e', `${folder}/error.log`])
  for (let attempt = 0; attempt < 500; attempt++) {
    if (await visit(port, `http://${ENDPOINT}.localhost:${port}/`).catch(() => undefined)) break
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  return { port, process: nginx }
}
