// A dev server behind the programs as a user has it: vite refuses hosts that it does not know, and reloads pages
// over a WebSocket.
import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
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
  const server = await startServer()
  const env = {
    ADIT_SERVER: `http://127.0.0.1:${server.ports.upstream}`,
    DEV_PORT: String(dev.port),
  }
  const agent = adit(['start', '--config', join(EXAMPLE, 'agent.yaml'), '--json'], { env })
  await agent.event('ready')

  const { proxy } = server.ports
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
