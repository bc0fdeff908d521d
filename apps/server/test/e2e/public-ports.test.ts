// Public TCP ports with both programs as users start them.
import { createServer } from 'node:http'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { foreignSocket, hasForeignSockets } from '@proj/testkit/foreign-socket'
import { freePorts } from '@proj/testkit/free-ports'
import { listening } from '@proj/testkit/listening'
import { connectRaw } from '@proj/testkit/raw-http'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { until } from '@proj/testkit/until'

import {
  adit,
  aditServer,
  portsOf,
  type RunningServer,
  startAgent,
  startServer,
} from './programs.ts'
import { tcpService } from './services.ts'

const EXAMPLE = fileURLToPath(new URL('../../../../examples/public-ports', import.meta.url))
const ANYWHERE = { proxy: 0, upstream: 0, admin: 0 }

interface Ready {
  readonly listeners: readonly { endpoint: string; urls: readonly string[]; port?: number }[]
}

/** A server that gives out these ports. */
async function serverFor(
  range: { first: number; last: number },
  ...args: readonly string[]
): Promise<RunningServer> {
  const given = ['--public-ports.range', `${range.first}-${range.last}`]
  return await startServer(ANYWHERE, [...given, ...args])
}

const toServer = ({ ports }: RunningServer) => [
  '--connect.url',
  `http://127.0.0.1:${ports.upstream}`,
  '--json',
]

async function heard(port: number, host = '127.0.0.1'): Promise<string> {
  using visitor = await connectRaw({ host, port })
  return (await visitor.readToEnd()).toString()
}

/** How a connection ended; a reset may come before the client knows that it is connected. */
async function ended(port: number): Promise<string> {
  try {
    using visitor = await connectRaw(port)
    return await visitor.ended
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
  }
}

async function page({ ports }: RunningServer, path: string): Promise<string> {
  return await (await fetch(`http://127.0.0.1:${ports.admin}${path}`)).text()
}

test('adit tcp --public-port says where it is, and visitors of both families come through', async () => {
  const service = await tcpService((socket) => socket.end('of the service'))
  const range = await freePorts(2)
  const server = await serverFor(range)
  const agent = adit([
    'tcp',
    'pg',
    String(service.port),
    '--public-port',
    String(range.last),
    ...toServer(server),
  ])
  const { listeners } = (await agent.event('ready')) as unknown as Ready
  expect(listeners).toMatchObject([{ endpoint: 'pg', port: range.last }])
  expect(listeners[0]?.urls[0]).toBe(`tcp://127.0.0.1:${range.last}`)
  expect([await heard(range.last), await heard(range.last, '::1')]).toEqual([
    'of the service',
    'of the service',
  ])

  const status = aditServer(['status', '--url', `http://127.0.0.1:${server.ports.admin}`])
  expect(await status.exited).toEqual({ code: 0, signal: null })
  expect(status.stdout).toMatch(
    new RegExp(`PORT +ENDPOINT +OWNER.*\\n${range.last} +pg +anonymous +served +0 +0B +28B\\n`),
  )
  const metrics = await page(server, '/metrics')
  expect(metrics).toContain('adit_public_ports{state="served"} 1\n')
  expect(metrics).toContain('adit_public_port_connections_total{outcome="carried"} 2\n')
  expect(metrics).toContain('adit_public_port_bytes_total{direction="out"} 28\n')
})

test('a person reads the URL in a table', async () => {
  const range = await freePorts(1)
  const server = await serverFor(range, '--public-ports.public-host', 'tunnel.example.com')
  const url = toServer(server).slice(0, 2)
  const agent = adit(['tcp', 'pg', '5432', '--public-port', 'any', ...url])
  await until(() => agent.stdout.includes('localhost:5432'))
  expect(agent.stdout).toMatch(
    new RegExp(`pg +tcp://tunnel\\.example\\.com:${range.first} +-> +localhost:5432`),
  )
})

test('a port that Python holds is refused before anything is announced; the server names it, the agent does not', async ({
  skip,
}) => {
  skip(!hasForeignSockets, 'no python3 on this machine')
  await using python = await foreignSocket({ host: '127.0.0.1' })
  const { port } = python
  const server = await serverFor({ first: port, last: port }, '--public-ports.on-conflict', 'fail')
  const agent = adit(['tcp', 'pg', '1', '--public-port', String(port), ...toServer(server)])
  const { code } = await agent.exited
  expect(code).toBe(4)
  expect(agent.stdout).toBe('')
  expect(agent.stderr).toContain(`(port-taken): port ${port} is taken by another program`)
  expect(agent.stderr).not.toContain('python')
  const line = JSON.parse(await server.process.line(/public port cannot be opened/))
  expect(line).toMatchObject({ level: 'warn', port, endpoint: 'pg' })
  expect(line.why).toMatch(new RegExp(`held by python3[.\\d]* \\(pid ${python.pid}`))
  expect(await page(server, '/status/upstream/endpoints')).toBe('{}\n')
})

test('an agent that is killed finds its port again at once; visitors are reset meanwhile', async () => {
  const service = await tcpService((socket) => socket.end('back'))
  const range = await freePorts(1)
  const server = await serverFor(range)
  const ask = ['--public-port', String(range.first)]
  const first = await startAgent('tcp', 'pg', service.port, server, ask)
  first.kill('SIGKILL')
  await first.exited
  const held = await until(async () => {
    const [port] = JSON.parse(await page(server, '/status/ports')) as { heldUntil?: string }[]
    return port?.heldUntil
  })
  expect(Date.parse(held)).toBeGreaterThan(Date.now())
  expect(['reset', 'ECONNRESET']).toContain(await ended(range.first))
  await startAgent('tcp', 'pg', service.port, server, ask)
  expect(await heard(range.first)).toBe('back')
})

test('a port belongs to the identity of its token, also while its agent is away', async () => {
  using directory = temporaryDirectory()
  const dataDir = ['--data-dir', directory.path]
  const tokens: string[] = []
  for (const name of ['one', 'two']) {
    const made = aditServer(['token', 'create', '--endpoints', '*', '--name', name, ...dataDir])
    expect((await made.exited).code).toBe(0)
    tokens.push(made.stdout.trim())
  }
  const [ours = '', theirs = ''] = tokens
  const service = await tcpService((socket) => socket.end('ours'))
  const range = await freePorts(1)
  const server = await serverFor(range, ...dataDir)
  const ask = ['tcp', 'pg', String(service.port), '--public-port', 'any', ...toServer(server)]
  const first = adit(ask, { env: { ADIT_CONNECT_TOKEN: ours } })
  await first.event('ready')
  first.kill('SIGKILL')
  await first.exited
  await server.process.line(/agent session ended/)

  const stranger = adit(
    ['tcp', 'other', '1', '--public-port', String(range.first), ...toServer(server)],
    { env: { ADIT_CONNECT_TOKEN: theirs } },
  )
  const refused = JSON.parse(await stranger.line(/port-taken/)) as { msg: string }
  expect(refused.msg).toMatch(/another endpoint (has|serves) port \d+ since \S+Z/)
  expect(stranger.stdout).toBe('')
  expect(stranger.stderr).not.toContain('token:')

  const again = adit(ask, { env: { ADIT_CONNECT_TOKEN: ours } })
  const { listeners } = (await again.event('ready')) as unknown as Ready
  expect(listeners).toMatchObject([{ endpoint: 'pg', port: range.first }])
  expect(await heard(range.first)).toBe('ours')
})

test('a host that other machines reach is refused on a server that asks no agent for a token', async () => {
  const binds = ['proxy', 'upstream', 'admin'].map((name) => `--${name}.bind-addr=127.0.0.1:0`)
  const server = aditServer([...binds, '--public-ports.bind-host', '*'])
  expect((await server.exited).code).toBe(2)
  expect(server.stderr).toContain(
    'public_ports.bind_host: other machines can connect to *, and agents need no',
  )
  expect(server.stderr).toContain('adit-server token create')
})

test('two agents share a port, and it stays when one of them is stopped', async () => {
  const range = await freePorts(1)
  const server = await serverFor(range)
  const agents = []
  for (const name of ['one', 'two']) {
    const service = await tcpService((socket) => socket.end(name))
    agents.push(await startAgent('tcp', 'pg', service.port, server, ['--public-port', 'any']))
  }
  const said = [await heard(range.first), await heard(range.first)]
  expect(said.toSorted()).toEqual(['one', 'two'])
  await agents[0]?.stop()
  expect([await heard(range.first), await heard(range.first)]).toEqual(['two', 'two'])
})

test('a service that expects the PROXY header hears who the visitor is', async () => {
  const service = await tcpService((socket) => {
    socket.once('data', (chunk: Buffer) => socket.end(chunk.toString('hex')))
  })
  const range = await freePorts(1)
  const server = await serverFor(range)
  await startAgent('tcp', 'pg', service.port, server, [
    '--public-port',
    String(range.first),
    '--proxy-protocol',
    'v2',
  ])
  using visitor = await connectRaw({ host: '::1', port: range.first })
  const header = Buffer.from((await visitor.readToEnd()).toString(), 'hex')
  // Signature, PROXY, TCP6, then the two addresses and the two ports.
  expect(header.subarray(12, 14).toString('hex')).toBe('2121')
  expect(header.subarray(16, 32).toString('hex')).toBe(`${'00'.repeat(15)}01`)
  expect(header.readUInt16BE(48)).toBe(visitor.socket.localPort)
})

test('a changed file moves the endpoint to the new port, and to none', async () => {
  const service = await tcpService((socket) => socket.end('moved'))
  const range = await freePorts(2)
  const server = await serverFor(range)
  using folder = temporaryDirectory()
  const file = join(folder.path, 'agent.yaml')
  const write = (port: string): void =>
    writeFileSync(
      file,
      `listeners: [{ endpoint: pg, protocol: tcp, addr: ${service.port}${port} }]\n`,
    )
  write(`, public_port: ${range.first}`)
  const agent = adit(['start', '--config', file, ...toServer(server)])
  await agent.event('ready')
  expect(await heard(range.first)).toBe('moved')
  write(`, public_port: ${range.last}`)
  agent.kill('SIGHUP')
  expect(await until(async () => await heard(range.last))).toBe('moved')
  await expect(connectRaw(range.first)).rejects.toThrow('ECONNREFUSED')
  write('')
  agent.kill('SIGHUP')
  await until(async () => {
    const endpoints = JSON.parse(await page(server, '/status/upstream/endpoints')) as object
    const isHeld = (await page(server, '/status/ports')).includes('heldUntil')
    return isHeld && 'pg' in endpoints
  })
})

test('a server gives no port unless it is told which', async () => {
  const server = await startServer()
  const agent = adit(['tcp', 'pg', '1', '--public-port', '9901', ...toServer(server)])
  const { code } = await agent.exited
  expect(code).toBe(4)
  expect(agent.stderr).toContain('(port-off): this server gives no public ports')
})

test('a server that stops lets the connections of its ports finish', async () => {
  const service = await tcpService((socket) => {
    socket.on('end', () => socket.end('bye')).resume()
    socket.write('x')
  })
  const range = await freePorts(1)
  const server = await serverFor(range)
  await startAgent('tcp', 'pg', service.port, server, ['--public-port', 'any'])
  using visitor = await connectRaw(range.first)
  await visitor.read(1)
  server.process.kill('SIGINT') // on SIGTERM the port stays open as long as its visitors
  await server.process.line(/public port freed/)
  await expect(connectRaw(range.first)).rejects.toThrow('ECONNREFUSED')
  visitor.end()
  expect((await visitor.readToEnd()).toString()).toBe('bye')
  expect(await server.process.exited).toEqual({ code: 0, signal: null })
})

test('the files of the example do what they say', async () => {
  const pg = await tcpService((socket) => socket.end('a database'))
  const http = await listening(createServer((_request, response) => response.end('not ssh')))
  const range = await freePorts(2)
  const anywhere = { PROXY_PORT: '0', UPSTREAM_PORT: '0', ADMIN_PORT: '0' }
  const server = aditServer(['--config', join(EXAMPLE, 'server.yaml'), '--json'], {
    env: { ...anywhere, PUBLIC_PORTS: `${range.first}-${range.last}` },
  })
  const { upstream } = portsOf(await server.event('ready'))
  const agent = adit(['start', '--config', join(EXAMPLE, 'agent.yaml'), '--json'], {
    env: {
      SERVER: `http://127.0.0.1:${upstream}`,
      PG: `127.0.0.1:${pg.port}`,
      PG_PORT: String(range.last),
      SSH: `127.0.0.1:${http.port}`,
    },
  })
  const { listeners } = (await agent.event('ready')) as unknown as Ready
  expect(listeners.map(({ endpoint, port }) => [endpoint, port])).toEqual([
    ['pg', range.last],
    ['ssh', range.first],
  ])
  expect(await heard(range.last)).toBe('a database')
  await http.close()
})
