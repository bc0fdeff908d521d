// The programs of examples/switch-over, as a user has them: with our packages from their tarballs, through a
// real proxy, on the Node that runs the tests and on Bun and Deno where these are on the path.
import { createServer as createHttpServer, type RequestListener } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'

import { certificateAuthority } from '@proj/testkit/certificates'
import { listening, type Listening } from '@proj/testkit/listening'
import { squidProxy } from '@proj/testkit/proxy-programs'
import { findProgram, type RealProxy } from '@proj/testkit/real-proxy'
import { spawned } from '@proj/testkit/spawned'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { WebSocketServer } from 'ws'

import { packedExample } from '../src/packed-example.mjs'
import { missingPrograms } from '../src/programs.mjs'

/** What a runtime has of its own in place of a package, and takes no agent or dispatcher. */
const REPLACED: Readonly<Record<string, readonly string[]>> = {
  bun: ['node-fetch', 'undici', 'fetch'],
  deno: ['fetch'],
}
/** Only the proxy knows this name: a program that does not use it reaches nothing. */
const ORIGIN = 'origin.test'
const CLIENTS = ['axios', 'got', 'node-fetch', 'ws', 'undici', 'fetch']
const SERVERS = ['express', 'fastify', 'vite']
// packing takes seconds, more on a machine that is busy
const PACK_MS = 180_000
const RUN_MS = 60_000

const isOnPath = (name: string): boolean =>
  missingPrograms([{ name, debian: '', usedFor: '' }]).length === 0
const RUNTIMES = [
  { name: 'node', command: process.execPath, args: [], there: true },
  { name: 'bun', command: 'bun', args: [], there: isOnPath('bun') },
  {
    name: 'deno',
    command: 'deno',
    args: ['run', '--allow-all', '--no-config', '--node-modules-dir=manual', '--no-lock'],
    there: isOnPath('deno'),
  },
]

const squid = findProgram('squid', 'squid-openssl')
const authority = certificateAuthority('Root of the examples')
const folder = temporaryDirectory()
let proxy: RealProxy | undefined
const origins: Listening[] = []

beforeAll(async () => {
  await packedExample('examples/switch-over', folder.path)
  folder.write('ca.pem', authority.cert)
  if (squid !== undefined) {
    proxy = await squidProxy(squid, ['http_access allow all', 'hosts_file $FOLDER/hosts'], {
      hosts: `127.0.0.1 ${ORIGIN}\n`,
    })
  }
  // squid connects from the address that it listens on
  const answer: RequestListener = (request, response) =>
    response.end(`you come from ${request.socket.remoteAddress}`)
  const servers = [
    createHttpServer(answer),
    createHttpsServer(authority.issue({ name: 'origin', hosts: [ORIGIN] }), answer),
  ]
  for (const server of servers) {
    new WebSocketServer({ server }).on('connection', (websocket, request) => {
      websocket.send(`you come from ${request.socket.remoteAddress}`)
    })
    origins.push(await listening(server))
  }
}, PACK_MS)

afterAll(async () => {
  for (const origin of origins) await origin.close()
  await proxy?.stop()
  folder[Symbol.dispose]()
})

describe.for(RUNTIMES)('on $name', ({ name, command, args, there }) => {
  const start = (file: string, more: readonly string[] = []) =>
    spawned(command, [...args, `${file}.mjs`, ...more], {
      cwd: folder.path,
      env: {
        HTTPS_PROXY: `http://${proxy?.authority}`,
        HTTP_PROXY: `http://${proxy?.authority}`,
        https_proxy: undefined,
        http_proxy: undefined,
        NO_PROXY: undefined,
        no_proxy: undefined,
        NODE_EXTRA_CA_CERTS: `${folder.path}/ca.pem`,
        DENO_CERT: `${folder.path}/ca.pem`,
        NODE_OPTIONS: undefined,
      },
    })

  it.for(CLIENTS)('%s goes through the proxy', { timeout: RUN_MS }, async (file, { skip }) => {
    skip(!there, `${name} is not on the path`)
    skip(proxy === undefined, 'squid is not installed')
    skip(REPLACED[name]?.includes(file) === true, `${name} has one of its own in place of ${file}`)
    const [plain, secure] = origins
    const urls = [`http://${ORIGIN}:${plain?.port}/`, `https://${ORIGIN}:${secure?.port}/`]
    const program = start(file, urls)
    await program.exited
    const status = file === 'ws' ? 101 : 200
    const line = `${status} you come from ${proxy?.authority.split(':')[0]}\n`
    expect(program.stdout + program.stderr).toBe(line + line)
  })

  it.runIf(name !== 'node')('a dispatcher says that fetch takes none', async ({ skip }) => {
    skip(!there, `${name} is not on the path`)
    const program = start('fetch')
    await program.exited
    expect(program.stderr).toContain('the fetch of this runtime takes no dispatcher')
  })

  it.for(SERVERS)('%s answers on a free port', { timeout: RUN_MS }, async (file, { skip }) => {
    skip(!there, `${name} is not on the path`)
    const program = start(file)
    const line = await program.line(/^listening on /)
    const response = await fetch(line.replace('listening on ', ''))
    expect(await response.text()).toContain(`hello from ${file}`)
  })
})
