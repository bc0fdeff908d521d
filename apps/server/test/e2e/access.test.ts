// `adit access` with real programs: addresses that are taken, unix sockets, and what a local connection
// and the log are told when the far side fails.
import { once } from 'node:events'
import { existsSync, lstatSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { describe, expect, test } from 'vitest'
import { foreignSocket, hasForeignSockets } from '@proj/testkit/foreign-socket'
import { freePorts } from '@proj/testkit/free-ports'
import { connectRaw } from '@proj/testkit/raw-http'
import type { Spawned } from '@proj/testkit/spawned'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { until } from '@proj/testkit/until'

import {
  adit,
  lastingPorts,
  type RunningServer,
  type ServerPorts,
  startAccess,
  startAgent,
  startServer,
} from './programs.ts'
import { tcpService } from './services.ts'

interface Brought {
  readonly endpoint: string
  readonly addresses: readonly string[]
  readonly waiting: readonly { address: string; code: string; why: string; holder?: string }[]
}

/** Starts `adit access` with these arguments and waits until it says what it brought. */
async function bring(server: RunningServer, ...args: readonly string[]) {
  const url = `http://127.0.0.1:${server.ports.proxy}`
  const process = adit(['access', ...args, '--connect.url', url, '--json'])
  const { accesses } = (await process.event('ready')) as { accesses: readonly Brought[] }
  return { process, accesses }
}

const portOf = (address = ''): number => Number(address.slice(address.lastIndexOf(':') + 1))

/** Everything a connection hears. */
async function heard(port: number): Promise<string> {
  using connection = await connectRaw(port)
  return (await connection.readToEnd()).toString()
}

/** The code and text that the log has for the last connection. */
async function told(access: Spawned, message = 'connection not carried') {
  const line = await access.line(new RegExp(message))
  const { code, why } = JSON.parse(line) as Record<string, unknown>
  return { code, why }
}

describe('an address that another program holds', () => {
  test('does not keep the others from serving with retry, and is taken when it is free', async ({
    skip,
  }) => {
    skip(!hasForeignSockets, 'no python3 on this machine')
    await using python = await foreignSocket({ host: '127.0.0.1' })
    const service = await tcpService((socket) => socket.end('printed'))
    const server = await startServer()
    await startAgent('tcp', 'pc1', service.port, server)
    const taken = `127.0.0.1:${python.port}`
    const { process, accesses } = await bring(
      server,
      'pc1=127.0.0.1:0',
      `pc2=${taken}`,
      '--on-conflict',
      'retry',
    )
    const [first, second] = accesses
    expect(first?.waiting).toEqual([])
    expect(second?.addresses).toEqual([])
    expect(second?.waiting).toMatchObject([{ address: taken, code: 'PORTCHECK_PORT_BUSY' }])
    expect(second?.waiting[0]?.holder).toContain(`pid ${python.pid}`)
    expect(await heard(portOf(first?.addresses[0]))).toBe('printed')
    await process.line(/port taken, retrying until it is free/)
    await python.close()
    expect(JSON.parse(await process.line(/address is free/))).toMatchObject({
      listener: 'pc2',
      addresses: taken,
    })
    using connection = await connectRaw(python.port)
    expect(await connection.ended).toBe('reset')
    expect(await told(process)).toMatchObject({ code: 'no_upstream' })
  })

  test('is said for people where the address would stand', async ({ skip }) => {
    skip(!hasForeignSockets, 'no python3 on this machine')
    await using python = await foreignSocket({ host: '127.0.0.1' })
    const server = await startServer()
    const url = `http://127.0.0.1:${server.ports.proxy}`
    const taken = `127.0.0.1:${python.port}`
    const bind = ['--bind', taken, '--on-conflict', 'retry']
    const access = adit(['access', 'pc1', ...bind, '--connect.url', url])
    const line = await access.line(/waiting for 127/)
    expect(line).toMatch(
      new RegExp(`^  pc1 +waiting for ${taken}, held by python3[.\\d]* \\(pid ${python.pid}, `),
    )
  })

  test('ends the program with 3 by default, and then nothing is bound', async () => {
    const server = await startServer()
    const url = `http://127.0.0.1:${server.ports.proxy}`
    using folder = temporaryDirectory()
    const path = `${folder.path}/a.sock`
    const binds = [`a=unix:${path}`, `b=127.0.0.1:${server.ports.admin}`]
    const access = adit(['access', ...binds, '--connect.url', url, '--json'])
    expect(await access.exited).toEqual({ code: 3, signal: null })
    expect(access.stdout).toBe('')
    expect(access.stderr).toContain(`held by node (pid ${server.process.pid}`)
    expect(existsSync(path)).toBe(false)
  })
})

describe('a unix socket as local address', () => {
  test('carries connections, has the mode that was asked for, and is gone at the end', async () => {
    using folder = temporaryDirectory()
    const path = `${folder.path}/pg.sock`
    const service = await tcpService((socket) => socket.end('over a file'))
    const server = await startServer()
    await startAgent('tcp', 'pg', service.port, server)
    const flags = ['--bind', `unix:${path}`, '--socket-mode', '0660']
    const { process, accesses } = await bring(server, 'pg', ...flags)
    expect(accesses[0]?.addresses).toEqual([`unix:${path}`])
    expect(lstatSync(path).mode & 0o777).toBe(0o660)
    expect(await text(connect(path))).toBe('over a file')
    expect(await process.stop()).toEqual({ code: 0, signal: null })
    expect(existsSync(path)).toBe(false)
  })

  test('takes the place of what a killed process left, and never that of a living one', async () => {
    using folder = temporaryDirectory()
    const bind = ['pg', '--bind', `unix:${folder.path}/pg.sock`]
    const server = await startServer()
    const first = await bring(server, ...bind)
    first.process.kill('SIGKILL')
    await first.process.exited
    const second = await bring(server, ...bind)
    const url = `http://127.0.0.1:${server.ports.proxy}`
    const third = adit(['access', ...bind, '--connect.url', url])
    expect(await third.exited).toEqual({ code: 3, signal: null })
    expect(third.stderr).toContain(`held by node (pid ${second.process.pid}`)
    const waiting = await bring(server, ...bind, '--on-conflict', 'retry')
    expect(waiting.accesses[0]?.waiting[0]?.holder).toContain(`pid ${second.process.pid}`)
    await second.process.stop()
    await waiting.process.line(/address is free/)
  })
})

test('what other machines could reach ends with 2 and a hint, before anything is bound', async () => {
  const access = adit(['access', 'pc1', '--bind', ':0'])
  expect(await access.exited).toEqual({ code: 2, signal: null })
  expect(access.stderr).toContain(
    'other machines can connect to :0, and neither public nor allow is set',
  )
  expect(access.stderr).toContain('--public')
  const server = await startServer()
  const allowed = await bring(server, 'pc1', '--bind', ':0', '--allow', '192.0.2.0/24')
  expect(await heard(portOf(allowed.accesses[0]?.addresses[0]))).toBe('')
  const open = await bring(server, 'pc1', '--bind', ':0', '--public')
  using connection = await connectRaw(portOf(open.accesses[0]?.addresses[0]))
  expect(await connection.ended).toBe('reset')
})

test('an address goes to another endpoint without being given up', async () => {
  using folder = temporaryDirectory()
  const server = await startServer()
  for (const name of ['one', 'two']) {
    const service = await tcpService((socket) => socket.end(name))
    await startAgent('tcp', name, service.port, server)
  }
  const { first: port } = await freePorts(1)
  const url = `connect: { url: 'http://127.0.0.1:${server.ports.proxy}' }`
  const file = (endpoint: string) =>
    folder.write(
      'a.yaml',
      `${url}\naccesses: [{ endpoint: ${endpoint}, bind_addr: '127.0.0.1:${port}' }]\n`,
    )
  const desk = adit(['start', '--config', file('one'), '--json'])
  await desk.event('ready')
  expect(await heard(port)).toBe('one')
  file('two')
  desk.kill('SIGHUP')
  await desk.line(/configuration changed/)
  expect(await heard(port)).toBe('two')
})

/** Server, agent and consumer around a service that gives its sockets away. */
async function tunnel(ports?: ServerPorts) {
  const sockets: Socket[] = []
  let wake = (): void => {}
  const service = await tcpService((socket) => {
    sockets.push(socket)
    wake()
  })
  const server = await startServer(ports)
  const agent = await startAgent('tcp', 'pc1', service.port, server)
  const access = await startAccess('pc1', server)
  const accepted = async (): Promise<Socket> => {
    while (sockets.length === 0) await new Promise<void>((resolve) => (wake = resolve))
    return sockets.shift() as Socket
  }
  return { service, server, agent, access, accepted }
}

describe('a connection that breaks is reset, also behind a half-close', () => {
  test.for([
    ['the service resets it', 'service_reset', 'client'],
    ['the service resets it', 'service_reset', 'service'],
    ['the agent is killed', 'upstream_lost', 'client'],
    ['the agent is killed', 'upstream_lost', 'service'],
    ['the server is killed', 'server_lost', 'client'],
    ['the server is killed', 'server_lost', 'service'],
  ] as const)('%s: %s, when the %s has ended its direction', async ([, code, ended]) => {
    const { server, agent, access, accepted } = await tunnel()
    using connection = await connectRaw(access.port)
    await connection.send('job')
    const socket = await accepted()
    await once(socket, 'data')
    if (ended === 'client') {
      const end = once(socket.resume(), 'end')
      connection.end()
      await end
    } else {
      const end = once(connection.socket, 'end')
      connection.socket.resume()
      socket.end('done')
      await end
    }
    if (code === 'service_reset') socket.resetAndDestroy()
    if (code === 'upstream_lost') agent.kill('SIGKILL')
    if (code === 'server_lost') server.process.kill('SIGKILL')
    // Whoever has read to the end hears of a reset only when it writes, at either end of the tunnel.
    const broken: NodeJS.ErrnoException = await until(() => {
      if (ended === 'service') connection.socket.write('more')
      return connection.socket.errored
    })
    expect(['ECONNRESET', 'EPIPE']).toContain(broken.code)
    const message = ended === 'client' ? 'connection not carried' : 'connection cut'
    expect(await told(access.process, message)).toMatchObject({ code })
  })
})

test('a service that takes no connection in time is told as such', async ({ skip }) => {
  skip(!hasForeignSockets, 'no python3 on this machine')
  await using full = await foreignSocket({ host: '127.0.0.1', mode: 'full' })
  const server = await startServer()
  using folder = temporaryDirectory()
  const listeners = `listeners: [{ endpoint: pc1, protocol: tcp, addr: '127.0.0.1:${full.port}', timeout: 100ms }]\n`
  const url = `http://127.0.0.1:${server.ports.upstream}`
  const file = folder.write('a.yaml', listeners)
  const agent = adit(['start', '--config', file, '--connect.url', url, '--json'])
  await agent.event('ready')
  const access = await startAccess('pc1', server)
  using connection = await connectRaw(access.port)
  expect(await connection.ended).toBe('reset')
  expect(await told(access.process)).toEqual({
    code: 'service_timeout',
    why: 'the service did not accept the connection in time',
  })
})

test('a printer that answers after the end of the job is heard', async () => {
  const { access, accepted } = await tunnel()
  using connection = await connectRaw(access.port)
  await connection.send('%!PS job')
  connection.end()
  const printer = await accepted()
  const job: Buffer[] = []
  printer.on('data', (chunk: Buffer) => job.push(chunk))
  await once(printer, 'end')
  expect(Buffer.concat(job).toString()).toBe('%!PS job')
  // The job is over for the client, not for the printer.
  printer.end('@PJL USTATUS JOB END')
  expect((await connection.readToEnd()).toString()).toBe('@PJL USTATUS JOB END')
  expect(await connection.ended).toBe('fin')
})

describe('a server that stops', () => {
  test('lets what runs finish, and what comes goes to its successor', async () => {
    const { server, agent, access, accepted, service } = await tunnel(await lastingPorts())
    using running = await connectRaw(access.port)
    await running.send('one')
    const socket = await accepted()
    server.process.kill('SIGINT') // on SIGTERM it accepts as long as it has connections
    await access.process.line(/reconnecting/)
    socket.end('still here')
    using early = await connectRaw(access.port)
    await early.send('two')
    expect((await running.readToEnd()).toString()).toBe('still here')
    running.end()
    expect(await server.process.exited).toEqual({ code: 0, signal: null })
    await agent.stop()
    const successor = await startServer(server.ports)
    // It waited for a server; there is one now, and no agent.
    expect(await early.ended).toBe('reset')
    expect((await told(access.process)).code).toBe('no_upstream')
    await startAgent('tcp', 'pc1', service.port, successor)
    using late = await connectRaw(access.port)
    await late.send('three')
    expect((await once(await accepted(), 'data')).join()).toBe('three')
  })

  test('and does not come back is told once the wait for it is over', async () => {
    const server = await startServer()
    const access = await startAccess('pc1', server, ['--timeout', '50ms'])
    await server.process.stop()
    using connection = await connectRaw(access.port)
    expect(await connection.ended).toBe('reset')
    expect((await told(access.process)).code).toBe('server_unreachable')
  })
})
