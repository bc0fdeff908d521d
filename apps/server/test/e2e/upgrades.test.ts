// The upgrade in place: a running server starts its successor and hands it its sockets and its data
// directory. `UPGRADES=20` runs as many under load as a release is tested with, and prints the figures.
import { readFileSync, writeFileSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { createServer } from 'node:net'
import { once } from 'node:events'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import { expect, onTestFinished, test } from 'vitest'
import { certificateAuthority } from '@proj/testkit/certificates'
import { freePorts } from '@proj/testkit/free-ports'
import { connectRaw, exchangeRaw } from '@proj/testkit/raw-http'
import type { ProcessExit } from '@proj/testkit/spawned'
import { CountingService, SteadyLoad } from '@proj/testkit/steady-load'
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
import { httpService, tcpService, visit } from './services.ts'

const UPGRADES = Number(process.env['UPGRADES'] ?? (process.env['ADIT_FULL_TESTS'] === '1' ? 3 : 1))

/** On a busy machine a step takes longer than the limits for visitors: that costs time, never a request. */
const SLOW_MACHINE = [
  ['--upstream.absent-wait', '60s'],
  ['--proxy.first-byte-timeout', '2m'],
  ['--names.probe-timeout', '1m'],
  ['--upstream.busy-wait', '1m'],
  ['--upgrade.timeout', '2m'],
  ['--grace-period', '2m'],
].flat()

/** No visitor is kept alive in these tests, so none has to be told. */
const AT_ONCE = ['--upgrade.delay', '0s']

interface UpgradableServer extends RunningServer {
  readonly directory: string
  /** Runs the command `upgrade`. */
  upgrade(): Promise<ProcessExit & { readonly stderr: string }>
  /** The process that has the data directory. */
  pid(): number
}

/** A server with a data directory; the last process that has it is ended with the test. */
async function upgradable(
  args: readonly string[] = [],
  start: (options: readonly string[]) => Promise<RunningServer> = async (options) =>
    await startServer(undefined, options),
): Promise<UpgradableServer> {
  const directory = temporaryDirectory()
  const own = ['--data-dir', directory.path]
  const pid = (): number => {
    const holder = readFileSync(join(directory.path, 'adit.holder'), 'utf8')
    return (JSON.parse(holder) as { readonly pid: number }).pid
  }
  const server = await start([...own, ...SLOW_MACHINE, ...args])
  // Registered behind the start, so it runs before the end of the first process is waited for: its outputs
  // are closed only when the last process has ended.
  onTestFinished(async () => {
    try {
      const last = pid()
      process.kill(last, 'SIGKILL')
      await until(() => !isAlive(last))
    } catch {
      // it has ended
    }
    directory[Symbol.dispose]()
  })
  const upgrade = async (): Promise<ProcessExit & { readonly stderr: string }> => {
    const command = aditServer(['upgrade', '--upgrade.timeout', '2m', ...own])
    return { ...(await command.exited), stderr: command.stderr }
  }
  return { ...server, directory: directory.path, pid, upgrade }
}

function hasPendingSignal(pid: number): boolean {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return !/^ShdPnd:\s*0+$/m.test(status)
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

/** A server whose settings are in a file that a test changes. */
async function configured(
  settings: (ports: number) => Readonly<Record<string, unknown>>,
): Promise<UpgradableServer & { readonly first: number; write(more: object): void }> {
  const { first } = await freePorts(4)
  const directory = temporaryDirectory()
  onTestFinished(() => directory[Symbol.dispose]())
  const file = join(directory.path, 'server.json')
  const write = (more: object): void =>
    writeFileSync(file, JSON.stringify({ ...settings(first), ...more }))
  write({})
  const server = await upgradable([...AT_ONCE, '--config', file, '--json'], async (options) => {
    const started = aditServer(options)
    return { process: started, ports: portsOf(await started.event('ready')) }
  })
  return { ...server, first, write }
}

const onLoopback = (first: number) => ({
  proxy: { bind_addr: `127.0.0.1:${first}` },
  upstream: { bind_addr: `127.0.0.1:${first + 1}` },
  admin: { bind_addr: `127.0.0.1:${first + 2}` },
})

test(
  `${UPGRADES} upgrades under load fail no request and refuse no connection`,
  { timeout: 60_000 + UPGRADES * 60_000 },
  async () => {
    const service = new CountingService()
    onTestFinished(() => service.close())
    const server = await upgradable()
    // A GET whose agent is silent for seconds, as on a busy machine, would be sent to a second session as well.
    const port = await service.listen()
    await startAgent('http', 'web', port, server, ['--connect.connections', '1'])
    const load = new SteadyLoad(service, {
      port: server.ports.proxy,
      host: 'web.localhost',
      perSecond: 100,
      maxFresh: 50,
    })
    load.start()
    const pids = [server.pid()]
    for (let round = 0; round < UPGRADES; round += 1) {
      const finish = await load.open()
      expect(await server.upgrade()).toMatchObject({ code: 0 })
      pids.push(server.pid())
      const before = load.answered
      await until(() => load.answered > before + 50)
      await finish()
      // The old process ends when its visitors have.
      await until(() => !isAlive(pids.at(-2) ?? 0))
    }
    const report = await load.stop()
    if (process.env['UPGRADES'] !== undefined) {
      process.stderr.write(`${JSON.stringify({ ...report, failed: report.failed.length })}\n`)
    }
    expect(report).toMatchObject({ failed: [], refused: 0, doubled: 0 })
    expect(new Set(pids).size).toBe(UPGRADES + 1)
  },
)

test('a successor is ready when the endpoints of the process before have moved', async () => {
  const server = await upgradable([
    ...AT_ONCE,
    '--ready.endpoints',
    '100%',
    '--ready.timeout',
    '1h',
  ])
  const service = await httpService((_, response) => response.end('hello'))
  await startAgent('http', 'web', service.port, server)
  expect(await server.upgrade()).toMatchObject({ code: 0 })
  const read = async (): Promise<string> =>
    await (await fetch(`http://127.0.0.1:${server.ports.admin}/ready`)).text()
  const endpoints = { before: 1, back: 1, needed: 1 }
  const ready = `${JSON.stringify({ ready: true, state: 'ready', endpoints })}\n`
  // A connection that is kept alive may still have the process before at its other end.
  await until(async () => (await read().catch(() => '')) === ready)
})

test('a successor with a mistake in its settings ends, and the server goes on', async () => {
  const service = await httpService((_, response) => response.end('hello'))
  const server = await configured(onLoopback)
  await startAgent('http', 'web', service.port, server)
  const before = server.pid()
  server.write({ proxy: { bind_addr: 'nonsense:port' } })
  const { code, stderr } = await server.upgrade()
  expect({ code, stderr }).toEqual({
    code: 1,
    stderr: expect.stringContaining('the successor ended (exit code 2)'),
  })
  expect(server.pid()).toBe(before)
  expect((await visit(server.ports.proxy)).status).toBe(200)
  server.write({})
  expect((await server.upgrade()).code).toBe(0)
  expect((await visit(server.ports.proxy)).status).toBe(200)
  expect(server.pid()).not.toBe(before)
})

test('a successor that cannot bind has had the data directory; the server has it again', async () => {
  const service = await httpService((_, response) => response.end('hello'))
  const server = await configured(onLoopback)
  await startAgent('http', 'web', service.port, server)
  const before = server.pid()
  const taken = createServer().listen(0, '127.0.0.1')
  onTestFinished(() => void taken.close())
  await once(taken, 'listening')
  const { port } = taken.address() as { readonly port: number }
  server.write({ admin: { bind_addr: `127.0.0.1:${port}` } })
  const { code, stderr } = await server.upgrade()
  expect({ code, stderr }).toEqual({
    code: 1,
    stderr: expect.stringContaining('the successor ended (exit code 3)'),
  })
  expect(server.pid()).toBe(before)
  expect((await visit(server.ports.proxy)).status).toBe(200)
  const url = `http://127.0.0.1:${server.ports.upstream}`
  expect((await adit(['reserve', 'web', '--connect.url', url]).exited).code).toBe(0)
  // The successor has written its key: that of the server is in the file again.
  const key = readFileSync(join(server.directory, 'adit.operator'), 'utf8')
  const made = await fetch(`http://127.0.0.1:${server.ports.admin}/api/v1/tokens`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ may: ['admin'] }),
  })
  expect(made.status).toBe(201)
})

test('a successor that does not answer in time is ended, and the server goes on', async () => {
  const server = await upgradable(['--upgrade.timeout', '100ms']) // node alone takes longer
  const before = server.pid()
  const { code, stderr } = await server.upgrade()
  expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining('100 ms') })
  expect(server.pid()).toBe(before)
  expect((await visit(server.ports.proxy)).headers['adit-error']).toBe('no_upstream')
})

test('a second upgrade is not begun while one runs', async () => {
  const server = await upgradable(AT_ONCE)
  const before = server.pid()
  server.process.kill('SIGUSR2')
  await server.process.line(/starting the successor/)
  server.process.kill('SIGUSR2')
  await server.process.line(/upgrade not begun/)
  await server.process.line(/has taken over/)
  await until(() => server.pid() !== before)
  expect(server.process.stderr.match(/starting the successor/g)).toHaveLength(1)
})

test('a server that is starting or stopping says that it begins no upgrade', async () => {
  using directory = temporaryDirectory()
  const taken = createServer().listen(0, '127.0.0.1')
  onTestFinished(() => void taken.close())
  await once(taken, 'listening')
  const { port } = taken.address() as { readonly port: number }
  const own = ['--data-dir', directory.path]
  const free = ['--upstream.bind-addr', '127.0.0.1:0', '--admin.bind-addr', '127.0.0.1:0']
  const waiting = ['--proxy.bind-addr', `127.0.0.1:${port}`, '--proxy.on-conflict', 'wait']
  const held: ServerResponse[] = []
  const service = await httpService((_, response) => void held.push(response))
  const process = aditServer([...own, ...free, ...waiting, '--proxy.wait', '2m', '--json'])
  await process.line(/waiting for a port/)
  const starting = aditServer(['upgrade', ...own])
  expect((await starting.exited).code).toBe(1)
  expect(starting.stderr).toContain('was not replaced: the server is starting')
  taken.close()
  const server = { process, ports: portsOf(await process.event('ready')) }
  await startAgent('http', 'web', service.port, server)
  void visit(server.ports.proxy).catch(() => {})
  await until(() => held.length > 0)
  process.kill('SIGINT')
  await process.line(/stopping: open connections/)
  const stopping = aditServer(['upgrade', ...own])
  expect((await stopping.exited).code).toBe(1)
  expect(stopping.stderr).toContain('was not replaced: the server is stopping')
})

test('the command ends when the server is killed', async () => {
  using directory = temporaryDirectory()
  const own = ['--data-dir', directory.path]
  const server = await startServer(undefined, own)
  const pid = server.process.pid
  server.process.kill('SIGSTOP')
  const command = aditServer(['upgrade', '--upgrade.timeout', '1h', ...own])
  // A stopped process leaves the signal of the command pending.
  await until(() => hasPendingSignal(pid))
  server.process.kill('SIGKILL')
  expect((await command.exited).code).toBe(1)
  expect(command.stderr).toContain(`(process ${pid}) was not replaced: it has ended`)
})

test('visitors wait for an agent that two upgrades have not seen', async () => {
  const service = await httpService((_, response) => response.end('hello'))
  const server = await upgradable(AT_ONCE)
  const agent = await startAgent('http', 'web', service.port, server)
  agent.kill('SIGSTOP')
  expect((await server.upgrade()).code).toBe(0)
  expect((await server.upgrade()).code).toBe(0)
  const visited = visit(server.ports.proxy)
  agent.kill('SIGCONT')
  expect((await visited).status).toBe(200)
})

test('a server that is told to stop during an upgrade stops, and so does the successor', async () => {
  const server = await upgradable(['--upgrade.delay', '60s'])
  server.process.kill('SIGUSR2')
  await server.process.line(/starting the successor/)
  server.process.kill('SIGTERM')
  // Its outputs are closed, so no successor has them.
  expect(await server.process.exited).toEqual({ code: 0, signal: null })
})

test('a stop during an upgrade still ends kept-alive connections', async () => {
  const held: ServerResponse[] = []
  const service = await httpService((_, response) => void held.push(response))
  const server = await upgradable(['--upgrade.delay', '60s'])
  await startAgent('http', 'web', service.port, server)
  using visitor = await connectRaw(server.ports.proxy)
  await visitor.send('GET / HTTP/1.1\r\nhost: web.localhost\r\n\r\n')
  await until(() => held.length > 0)
  server.process.kill('SIGUSR2')
  // Until the successor is prepared: from then on answers end their connections.
  const other = 'GET / HTTP/1.1\r\nhost: other.localhost\r\n\r\n'
  await until(async () => {
    const { headers } = await exchangeRaw(server.ports.proxy, other)
    return headers['connection'] === 'close'
  })
  server.process.kill('SIGTERM')
  await server.process.line(/upgrade ended: the server is stopping/)
  held[0]?.end('late')
  expect((await visitor.readResponse()).headers['connection']).toBe('close')
  expect(await server.process.exited).toEqual({ code: 0, signal: null })
})

test('an upgrade takes other addresses from the settings', async () => {
  const service = await httpService((_, response) => response.end('hello'))
  const server = await configured(onLoopback)
  await startAgent('http', 'web', service.port, server)
  const { first } = server
  server.write({ proxy: { bind_addr: [`127.0.0.1:${first}`, `127.0.0.1:${first + 3}`] } })
  expect((await server.upgrade()).code).toBe(0)
  expect((await visit(first)).status).toBe(200)
  expect((await visit(first + 3)).status).toBe(200)
  server.write({ proxy: { bind_addr: [`127.0.0.1:${first + 3}`] } })
  expect((await server.upgrade()).code).toBe(0)
  expect((await visit(first + 3)).status).toBe(200)
  await until(async () => {
    const refused = await visit(first).catch((error: unknown) => error)
    return refused instanceof Error && refused.message.includes('ECONNREFUSED')
  })
})

test('a visitor of a public port whose agent does not come back is reset after upstream.absent_wait', async () => {
  const service = await tcpService((socket) => socket.end('hello'))
  const { first } = await freePorts(1)
  const range = ['--public-ports.range', `${first}-${first}`]
  const own = [...range, '--public-ports.bind-host', '127.0.0.1', '--public-ports.hold', '1h']
  const server = await upgradable([...AT_ONCE, ...own, '--upstream.absent-wait', '1s'])
  const agent = await startAgent('tcp', 'pg', service.port, server, [
    '--public-port',
    String(first),
  ])
  agent.kill('SIGKILL')
  await agent.exited
  expect(await server.upgrade()).toMatchObject({ code: 0 })
  using visitor = await connectRaw(first)
  expect(await visitor.ended).toBe('reset')
})

test('a public port stays open, and its connections go on', async () => {
  const service = await tcpService((socket) => socket.pipe(socket))
  const { first } = await freePorts(1)
  const range = ['--public-ports.range', `${first}-${first}`]
  const server = await upgradable([...AT_ONCE, ...range, '--public-ports.bind-host', '127.0.0.1'])
  await startAgent('tcp', 'pg', service.port, server, ['--public-port', String(first)])
  const echo = async (connection: Awaited<ReturnType<typeof connectRaw>>, word: string) => {
    await connection.send(word)
    return (await connection.read(word.length)).toString()
  }
  using before = await connectRaw(first)
  expect(await echo(before, 'one')).toBe('one')
  expect((await server.upgrade()).code).toBe(0)
  using after = await connectRaw(first) // waits for the agent, if it has not moved yet
  expect(await echo(after, 'two')).toBe('two')
  expect(await echo(before, 'three')).toBe('three')
})

test('TLS sessions are resumed after an upgrade', async () => {
  const directory = temporaryDirectory()
  onTestFinished(() => directory[Symbol.dispose]())
  const authority = certificateAuthority()
  const own = authority.issue({ name: 'server' })
  const [cert, key] = [directory.write('cert.pem', own.cert), directory.write('key.pem', own.key)]
  const tls = ['--proxy.tls.cert', cert, '--proxy.tls.key', key]
  const server = await upgradable([...AT_ONCE, ...tls])
  const handshake = async (session?: Buffer): Promise<{ session: Buffer; isReused: boolean }> => {
    const socket = connectTls({
      host: '127.0.0.1',
      port: server.ports.proxy,
      servername: 'localhost',
      ca: authority.cert,
      ...(session !== undefined && { session }),
    })
    let ticket = Buffer.alloc(0)
    socket.on('session', (next) => (ticket = next))
    socket.write('GET / HTTP/1.1\r\nhost: web.localhost\r\n\r\n')
    await once(socket, 'data') // tickets come before the answer
    const isReused = socket.isSessionReused()
    socket.destroy()
    return { session: ticket, isReused }
  }
  const first = await handshake()
  expect(first.isReused).toBe(false)
  expect((await handshake(first.session)).isReused).toBe(true)
  expect((await server.upgrade()).code).toBe(0)
  expect((await handshake(first.session)).isReused).toBe(true)
})

test('the command says that it was stopped before the outcome', async () => {
  const server = await upgradable(['--upgrade.delay', '60s'])
  const command = aditServer(['upgrade', '--data-dir', server.directory])
  await server.process.line(/starting the successor/)
  command.kill('SIGINT')
  expect((await command.exited).code).toBe(1)
  expect(command.stderr).toContain('stopped before the outcome')
})

test('without a server there is nothing to upgrade', async () => {
  using directory = temporaryDirectory()
  const command = aditServer(['upgrade', '--data-dir', directory.path])
  expect((await command.exited).code).toBe(1)
  expect(command.stderr).toContain('no server on this machine uses the data directory')
})
