// A dev server behind the programs as a user has it: vite and webpack refuse hosts that they do not know, and
// reload pages over a WebSocket.
import { once } from 'node:events'
import { type IncomingMessage, request, type Server } from 'node:http'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'

import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { until } from '@proj/testkit/until'
import { createServer } from 'vite'
import { expect, onTestFinished, test } from 'vitest'
import { WebSocket } from 'ws'

import { adit, startAgent, startServer } from './programs.ts'

const EXAMPLE = fileURLToPath(new URL('../../../../examples/dev-server/', import.meta.url))
const HOST = 'web.tunnel.example'
/** A folder in which webpack and webpack-dev-server are installed: 73 MB, too much to be dependencies. */
const WEBPACK = process.env['ADIT_WEBPACK'] ?? ''

interface DevServer {
  readonly port: number
  /** Writes a file of the page, and tells vite as its watcher of files would. */
  readonly change: (name: string, content: string) => void
}

/** A page and its script, served by vite on a port of the kernel. */
async function devServer(): Promise<DevServer> {
  const folder = temporaryDirectory()
  folder.write('index.html', '<script type="module" src="/main.js"></script>')
  folder.write('main.js', 'import.meta.hot.accept(); console.log("first")')
  const vite = await createServer({
    configFile: false,
    root: folder.path,
    logLevel: 'silent',
    cacheDir: join(folder.path, '.vite'),
    optimizeDeps: { noDiscovery: true },
    server: { host: '127.0.0.1', port: 0, watch: null },
  })
  await vite.listen()
  onTestFinished(async () => {
    await vite.close()
    folder[Symbol.dispose]()
  })
  const address = vite.httpServer?.address()
  if (typeof address !== 'object' || address === null) throw new Error('vite does not listen')
  const change: DevServer['change'] = (name, content) => {
    vite.watcher.emit('change', folder.write(name, content))
  }
  return { port: address.port, change }
}

/** What is used of webpack-dev-server. */
interface WebpackDevServer {
  readonly server: Server
  readonly start: () => Promise<void>
  readonly stop: () => Promise<void>
}

/** A script that is packed and served by webpack on a port of the kernel. */
async function webpackServer(from: string): Promise<DevServer> {
  const load = createRequire(join(from, 'load.cjs'))
  const webpack = load('webpack') as (config: object) => object
  const Devserver = load('webpack-dev-server') as new (
    options: object,
    compiler: object,
  ) => WebpackDevServer
  const folder = temporaryDirectory()
  folder.write('main.js', 'module.hot.accept(); console.log("first")')
  const compiler = webpack({
    mode: 'development',
    context: folder.path,
    entry: './main.js',
    cache: false,
    stats: 'none',
    infrastructureLogging: { level: 'none' },
  })
  const options = { host: '127.0.0.1', port: 0, hot: true, client: false, static: false }
  const dev = new Devserver(options, compiler)
  await dev.start()
  onTestFinished(async () => {
    await dev.stop()
    folder[Symbol.dispose]()
  })
  const address = dev.server.address()
  if (typeof address !== 'object' || address === null) throw new Error('webpack does not listen')
  return { port: address.port, change: (name, content) => void folder.write(name, content) }
}

/** An agent that serves `dev` as the example says. @returns the port of visitors */
async function behindExample(dev: DevServer): Promise<number> {
  const server = await startServer()
  const env = {
    ADIT_SERVER: `http://127.0.0.1:${server.ports.upstream}`,
    DEV_PORT: String(dev.port),
  }
  const agent = adit(['start', '--config', join(EXAMPLE, 'agent.yaml'), '--json'], { env })
  await agent.event('ready')
  return server.ports.proxy
}

async function get(
  port: number,
  path: string,
): Promise<{ status: number | undefined; body: string }> {
  const asked = request({
    host: '127.0.0.1',
    port,
    path,
    headers: { host: HOST },
    agent: false,
  }).end()
  const [response] = (await once(asked, 'response')) as [IncomingMessage]
  return { status: response.statusCode, body: await text(response) }
}

test('vite answers for its own host, and reloads a page over the tunnel', async () => {
  const dev = await devServer()
  const proxy = await behindExample(dev)
  expect(await get(proxy, '/')).toMatchObject({
    status: 200,
    body: expect.stringContaining('main.js'),
  })
  expect(await get(proxy, '/main.js')).toMatchObject({
    status: 200,
    body: expect.stringContaining('first'),
  })

  const { body: client } = await get(proxy, '/@vite/client')
  const token = /wsToken = "([^"]+)"/.exec(client)?.[1]
  const socket = new WebSocket(`ws://127.0.0.1:${proxy}/?token=${token}`, 'vite-hmr', {
    headers: { host: HOST, origin: `https://${HOST}` },
  })
  onTestFinished(() => socket.terminate())
  const messages: string[] = []
  socket.on('message', (data: Buffer) => messages.push(data.toString()))
  await until(() => messages.some((one) => one.includes('connected')), {
    what: 'the greeting of vite',
  })

  dev.change('main.js', 'import.meta.hot.accept(); console.log("second")')
  await until(() => messages.some((one) => one.includes('/main.js')), { what: 'the update' })
  expect(await get(proxy, '/main.js')).toMatchObject({ body: expect.stringContaining('second') })
})

test('without the rule vite refuses the host, so that the test above shows something', async () => {
  const dev = await devServer()
  const server = await startServer()
  await startAgent('http', 'web', dev.port, server)
  expect(await get(server.ports.proxy, '/')).toMatchObject({ status: 403 })
})

const NO_WEBPACK = 'ADIT_WEBPACK does not name a folder with webpack and webpack-dev-server'

test('webpack answers for its own host, and tells of a change over the tunnel', async ({
  skip,
}) => {
  skip(WEBPACK === '', NO_WEBPACK)
  const dev = await webpackServer(WEBPACK)
  const proxy = await behindExample(dev)
  expect(await get(proxy, '/main.js')).toMatchObject({
    status: 200,
    body: expect.stringContaining('first'),
  })

  const socket = new WebSocket(`ws://127.0.0.1:${proxy}/ws`, {
    headers: { host: HOST, origin: `https://${HOST}` },
  })
  onTestFinished(() => socket.terminate())
  const hashes: string[] = []
  socket.on('message', (data: Buffer) => {
    const message = JSON.parse(data.toString()) as { type: string; data: string }
    if (message.type === 'hash') hashes.push(message.data)
  })
  await until(() => hashes.length > 0, { what: 'the greeting of webpack' })

  dev.change('main.js', 'module.hot.accept(); console.log("second")')
  await until(() => hashes.some((one) => one !== hashes[0]), { what: 'the update' })
  expect(await get(proxy, '/main.js')).toMatchObject({ body: expect.stringContaining('second') })
})

test('without the rule webpack refuses the host', async ({ skip }) => {
  skip(WEBPACK === '', NO_WEBPACK)
  const dev = await webpackServer(WEBPACK)
  const server = await startServer()
  await startAgent('http', 'web', dev.port, server)
  expect(await get(server.ports.proxy, '/main.js')).toMatchObject({ status: 403 })
})
