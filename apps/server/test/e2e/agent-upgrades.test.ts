// The upgrade in place of an agent: it starts its successor and hands it the sockets of its local addresses.
// `UPGRADES=20` runs as many under load as a release is tested with, and prints the figures.
import { EventEmitter, once } from 'node:events'
import { chmodSync, existsSync, lstatSync, writeFileSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { freePorts } from '@proj/testkit/free-ports'
import { connectRaw, exchangeRaw } from '@proj/testkit/raw-http'
import type { ProcessExit, Spawned } from '@proj/testkit/spawned'
import { CountingService, SteadyLoad } from '@proj/testkit/steady-load'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { until } from '@proj/testkit/until'

import { adit, aditServer, type RunningServer, startServer } from './programs.ts'
import { httpService, tcpService, visit } from './services.ts'

const UPGRADES = Number(process.env['UPGRADES'] ?? (process.env['ADIT_FULL_TESTS'] === '1' ? 3 : 1))

/** On a busy machine a step takes longer than the limits: that costs time, never a request. */
const SLOW_MACHINE = ['--upgrade.timeout', '2m', '--grace-period', '2m']
const SLOW_SERVER = [
  ['--upstream.absent-wait', '60s'],
  ['--proxy.first-byte-timeout', '2m'],
  ['--names.probe-timeout', '1m'],
  ['--upstream.busy-wait', '1m'],
].flat()

type Outcome = ProcessExit & { readonly stdout: string; readonly stderr: string }

interface UpgradableAgent {
  /** The first process. */
  readonly process: Spawned
  /** Its line that it is ready. */
  readonly ready: Record<string, unknown>
  /** The environment of the agent: commands find it by that. */
  readonly env: Readonly<Record<string, string>>
  /** The process that serves. */
  readonly pid: number
  /** Runs the command `upgrade`. */
  upgrade(): Promise<Outcome>
}

/** An agent or an access that is ready; the last process of it is ended with the test. */
async function upgradable(
  args: readonly string[],
  options: { readonly descriptors?: readonly number[]; readonly env?: Record<string, string> } = {},
): Promise<UpgradableAgent> {
  const directory = temporaryDirectory()
  chmodSync(directory.path, 0o700)
  const env = { XDG_RUNTIME_DIR: directory.path, ...options.env }
  const [command = '', ...flags] = args
  const started = adit([command, '--json', ...SLOW_MACHINE, ...flags], { ...options, env })
  const ready = await started.event('ready')
  let last = started.pid
  // Registered behind the start, so it runs before the end of the first process is waited for: its outputs
  // are closed only when the last process has ended.
  onTestFinished(async () => {
    try {
      process.kill(last, 'SIGKILL')
      await until(() => !isAlive(last))
    } catch {
      // it has ended
    }
    directory[Symbol.dispose]()
  })
  return {
    process: started,
    ready,
    env,
    get pid() {
      return last
    },
    async upgrade() {
      const { exited, stdout, stderr } = await run(['upgrade', '--json'], env)
      if (exited.code === 0) last = (JSON.parse(stdout) as { readonly successor: number }).successor
      return { ...exited, stdout, stderr }
    },
  }
}

async function run(args: readonly string[], env: Record<string, string>) {
  const command = adit(args, { env })
  const exited = await command.exited
  return { exited, stdout: command.stdout, stderr: command.stderr }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

const connectTo = ({ ports }: RunningServer, port: 'upstream' | 'proxy') => [
  '--connect.url',
  `http://127.0.0.1:${ports[port]}`,
]

/** Ports of the accesses that an agent says it has, in order. */
function portsOf({ ready }: UpgradableAgent): number[] {
  const accesses = ready['accesses'] as readonly { readonly addresses: readonly string[] }[]
  return accesses.flatMap(({ addresses }) => addresses.map((one) => Number(one.split(':').at(-1))))
}

/** A service that sends back what it gets. */
const echoService = async () => await tcpService((socket) => socket.pipe(socket))

async function echo(
  connection: Awaited<ReturnType<typeof connectRaw>>,
  word: string,
): Promise<string> {
  await connection.send(word)
  return (await connection.read(word.length)).toString()
}

test(
  `${UPGRADES} upgrades of the only agent under load fail no request`,
  { timeout: 60_000 + UPGRADES * 60_000 },
  async () => {
    const service = new CountingService()
    onTestFinished(() => service.close())
    const server = await startServer(undefined, SLOW_SERVER)
    const port = String(await service.listen())
    // A GET whose agent is silent for seconds, as on a busy machine, would be sent to a second session as well.
    const one = ['--connect.connections', '1']
    const agent = await upgradable(['http', 'web', port, ...connectTo(server, 'upstream'), ...one])
    const load = new SteadyLoad(service, {
      port: server.ports.proxy,
      host: 'web.localhost',
      perSecond: 100,
      maxFresh: 50,
      webSockets: 20,
      events: 10,
    })
    load.start()
    const pids = [agent.pid]
    for (let round = 0; round < UPGRADES; round += 1) {
      const finish = await load.open()
      expect(await agent.upgrade()).toMatchObject({ code: 0 })
      pids.push(agent.pid)
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

/** A print job that goes on until it is finished. */
interface PrintJob {
  /** Ends it. @returns bytes sent, and bytes that the printer has acknowledged. */
  finish(): Promise<{ readonly sent: number; readonly printed: number }>
}

const CHUNK = Buffer.alloc(1024, 'p')

async function print(port: number): Promise<PrintJob> {
  const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true })
  await once(socket, 'connect')
  const answer = text(socket)
  answer.catch(() => {}) // `finish` reports it
  const ending = new AbortController()
  let sent = 0
  const sending = (async () => {
    while (!ending.signal.aborted) {
      socket.write(CHUNK)
      sent += CHUNK.length
      await delay(20, undefined, { signal: ending.signal }).catch(() => {})
    }
  })()
  return {
    async finish() {
      ending.abort()
      await sending
      socket.end()
      return { sent, printed: Number(await answer) }
    },
  }
}

/** A printer: it reads to the end, then tells how many bytes it has printed. */
async function printer(): Promise<number> {
  const { port } = await tcpService((socket: Socket) => {
    let printed = 0
    socket.on('data', (chunk) => (printed += chunk.length))
    socket.on('end', () => socket.end(String(printed)))
  })
  return port
}

test(
  'ten printers lose no job while server, office and desk are upgraded in turn',
  { timeout: 240_000 },
  async () => {
    using directory = temporaryDirectory()
    const names = Array.from({ length: 10 }, (_, index) => `printer${index}`)
    const listeners = await Promise.all(
      names.map(async (endpoint) => ({ endpoint, addr: String(await printer()), protocol: 'tcp' })),
    )
    const file = join(directory.path, 'office.json')
    writeFileSync(file, JSON.stringify({ listeners }))
    const data = ['--data-dir', join(directory.path, 'data')]
    const limits = ['--upgrade.timeout', '2m', '--grace-period', '2m', '--upgrade.delay', '0s']
    const server = await startServer(undefined, [...data, ...SLOW_SERVER, ...limits])
    let serverPid = server.process.pid
    onTestFinished(async () => {
      if (!isAlive(serverPid)) return
      process.kill(serverPid, 'SIGKILL')
      await until(() => !isAlive(serverPid))
    })
    const office = await upgradable(['start', '--config', file, ...connectTo(server, 'upstream')])
    const binds = names.map((name) => `${name}=127.0.0.1:0`)
    const desk = await upgradable(['access', ...binds, ...connectTo(server, 'proxy')])
    const ports = portsOf(desk)
    expect(ports).toHaveLength(10)
    const upgrades = [
      async () => {
        const command = aditServer(['upgrade', '--json', ...data, '--upgrade.timeout', '2m'])
        expect(await command.exited).toMatchObject({ code: 0 })
        serverPid = (JSON.parse(command.stdout) as { readonly successor: number }).successor
      },
      async () => expect(await office.upgrade()).toMatchObject({ code: 0 }),
      async () => expect(await desk.upgrade()).toMatchObject({ code: 0 }),
    ]
    const jobs: PrintJob[] = []
    const printAll = async () => jobs.push(...(await Promise.all(ports.map(print))))
    await printAll()
    for (const upgrade of upgrades) {
      await upgrade()
      await printAll()
    }
    const done = await Promise.all(jobs.map(async (job) => await job.finish()))
    expect(done).toHaveLength(40)
    expect(done.filter(({ sent, printed }) => sent !== printed)).toEqual([])
    // The old processes end when their jobs have.
    await until(() => [server, office, desk].every(({ process: first }) => !isAlive(first.pid)))
  },
)

test('an exclusive agent is the same agent for the server after an upgrade', async () => {
  const service = await httpService((_, response) => response.end('hello'))
  const server = await startServer()
  const agent = await upgradable([
    'http',
    'web',
    String(service.port),
    '--exclusive',
    ...connectTo(server, 'upstream'),
  ])
  const agents = async (): Promise<unknown[]> => {
    const url = `http://127.0.0.1:${server.ports.admin}/status/upstream/sessions`
    const sessions = (await (await fetch(url)).json()) as readonly { readonly agent: string }[]
    return [...new Set(sessions.map((one) => one.agent))]
  }
  const before = await agents()
  const first = agent.pid
  expect(await agent.upgrade()).toMatchObject({ code: 0 })
  await until(() => !isAlive(first))
  expect(agent.pid).not.toBe(first)
  expect((await visit(server.ports.proxy)).status).toBe(200)
  expect(await agents()).toEqual(before)
})

test('a connection that waits for the server in the old process is carried to its end', async () => {
  const service = await echoService()
  const server = await startServer()
  const office = ['tcp', 'pg', String(service.port), ...connectTo(server, 'upstream')]
  await upgradable(office)
  const bind = ['--bind', '127.0.0.1:0', '--timeout', '2m', ...connectTo(server, 'proxy')]
  const desk = await upgradable(['access', 'pg', ...bind])
  const [port = 0] = portsOf(desk)
  server.process.kill('SIGKILL')
  await server.process.exited
  await until(async () => !(await statusOf(desk)).ready)
  using connection = await connectRaw(port)
  const first = desk.pid
  await until(async () => (await statusOf(desk)).accesses[0]?.open === 1)
  expect(await desk.upgrade()).toMatchObject({ code: 0 })
  await startServer(server.ports, SLOW_SERVER)
  expect(await echo(connection, 'waited')).toBe('waited')
  connection.socket.destroy()
  await until(() => !isAlive(first))
})

test('a successor that fails after visitors have come to it serves them first', async () => {
  using directory = temporaryDirectory()
  const service = await httpService((_, response) => void setTimeout(() => response.end(), 200))
  const server = await startServer(undefined, SLOW_SERVER)
  const taken = createServer().listen(0, '127.0.0.1')
  onTestFinished(() => void taken.close())
  await once(taken, 'listening')
  const { port } = taken.address() as { readonly port: number }
  const file = join(directory.path, 'office.json')
  const write = (more: object): void => {
    const listeners = [{ endpoint: 'web', addr: String(service.port) }]
    writeFileSync(file, JSON.stringify({ listeners, ...more }))
  }
  write({})
  const agent = await upgradable(['start', '--config', file, ...connectTo(server, 'upstream')])
  // It gets visitors while it waits for the port.
  write({ admin: { bind_addr: `127.0.0.1:${port}`, on_conflict: 'wait', wait: '1s' } })
  const ending = new AbortController()
  const visits: Promise<number>[] = []
  const visiting = (async () => {
    while (!ending.signal.aborted) {
      // Not GET: the server would send that again on a session of the running agent.
      const head =
        'POST / HTTP/1.1\r\nhost: web.localhost\r\ncontent-length: 0\r\nconnection: close\r\n\r\n'
      visits.push(exchangeRaw(server.ports.proxy, head).then(({ status }) => status))
      await delay(10)
    }
  })()
  expect(await agent.upgrade()).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('the successor ended (exit code 3)'),
  })
  ending.abort()
  await visiting
  expect(new Set(await Promise.all(visits))).toEqual(new Set([200]))
})

interface Status {
  readonly pid: number
  readonly ready: boolean
  readonly accesses: readonly { readonly open: number }[]
}

/** What `adit status` says of the process that serves. */
async function statusOf({ env, pid }: UpgradableAgent): Promise<Status> {
  const { stdout } = await run(['status', '--json'], env)
  const { agents } = JSON.parse(stdout) as { readonly agents: readonly Status[] }
  const found = agents.find((one) => one.pid === pid)
  if (found === undefined) throw new Error(`no status of process ${pid}: ${stdout}`)
  return found
}

test('the admin port stays open, and the successor is ready when it answers', async () => {
  const service = await httpService((_, response) => response.end('hello'))
  const server = await startServer()
  const { first: port } = await freePorts(1)
  const agent = await upgradable([
    'http',
    'web',
    String(service.port),
    '--admin.bind-addr',
    `127.0.0.1:${port}`,
    ...connectTo(server, 'upstream'),
  ])
  const ending = new AbortController()
  const answers: number[] = []
  const asking = (async () => {
    while (!ending.signal.aborted) {
      const head = 'GET /ready HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n'
      answers.push((await exchangeRaw(port, head)).status)
    }
  })()
  const first = agent.pid
  expect(await agent.upgrade()).toMatchObject({ code: 0 })
  await until(() => !isAlive(first))
  ending.abort()
  await asking
  expect(new Set(answers)).toEqual(new Set([200]))
  const status = await fetch(`http://127.0.0.1:${port}/status`)
  expect(await status.json()).toMatchObject({ pid: agent.pid, ready: true })
})

test('an agent that was replaced is ready, as its successor is, and stopping', async () => {
  const asked = new EventEmitter()
  const service = await httpService((_, response) => void asked.emit('visit', response))
  const server = await startServer()
  const { first: port } = await freePorts(1)
  const agent = await upgradable([
    'http',
    'web',
    String(service.port),
    '--admin.bind-addr',
    `127.0.0.1:${port}`,
    ...connectTo(server, 'upstream'),
  ])
  const [first, visiting] = [agent.pid, visit(server.ports.proxy)]
  const [response] = (await once(asked, 'visit')) as [ServerResponse]
  using admin = await connectRaw(port)
  const statusOverIt = async (): Promise<unknown> => {
    await admin.send('GET /status HTTP/1.1\r\nhost: localhost\r\n\r\n')
    return JSON.parse((await admin.readResponse()).body.toString())
  }
  expect(await statusOverIt()).toMatchObject({ pid: first, ready: true, stopping: false })
  const over = new AbortController()
  const upgrading = agent.upgrade().finally(() => over.abort())
  // A connection that rests for seconds would be closed.
  for (; !over.signal.aborted; await delay(100)) {
    expect(await statusOverIt()).toMatchObject({ pid: first, ready: true })
  }
  expect(await upgrading).toMatchObject({ code: 0 })
  expect(await statusOverIt()).toMatchObject({ pid: first, ready: true, stopping: true })
  response.end('late')
  expect((await visiting).status).toBe(200)
  await until(() => !isAlive(first))
})

test('a successor that cannot take over ends, and the agent goes on', async () => {
  using directory = temporaryDirectory()
  const service = await echoService()
  const server = await startServer()
  await upgradable(['tcp', 'pg', String(service.port), ...connectTo(server, 'upstream')])
  const taken = createServer().listen(0, '127.0.0.1')
  onTestFinished(() => void taken.close())
  await once(taken, 'listening')
  const { port } = taken.address() as { readonly port: number }
  const file = join(directory.path, 'desk.json')
  const write = (bind_addr: string | string[]): void =>
    writeFileSync(file, JSON.stringify({ accesses: [{ endpoint: 'pg', bind_addr }] }))
  const { first } = await freePorts(1)
  const own = `127.0.0.1:${first}`
  write(own)
  const desk = await upgradable(['start', '--config', file, ...connectTo(server, 'proxy')])
  const before = desk.pid
  using connection = await connectRaw(first)
  expect(await echo(connection, 'one')).toBe('one')

  // Read by the successor only: the running process refuses both.
  write('nonsense:port')
  expect(await desk.upgrade()).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('the successor ended (exit code 2)'),
  })
  write([own, `127.0.0.1:${port}`])
  expect(await desk.upgrade()).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('the successor ended (exit code 3)'),
  })
  expect(await echo(connection, 'two')).toBe('two')
  using other = await connectRaw(first)
  expect(await echo(other, 'three')).toBe('three')
  expect(await statusOf(desk)).toMatchObject({ pid: before, ready: true })

  write(own)
  expect(await desk.upgrade()).toMatchObject({ code: 0 })
  using last = await connectRaw(first)
  expect(await echo(last, 'four')).toBe('four')
  expect(await echo(connection, 'five')).toBe('five')
})

test('a successor that does not answer in time is ended, and the agent goes on', async () => {
  const service = await httpService((_, response) => response.end('hello'))
  const server = await startServer()
  const web = ['http', 'web', String(service.port), ...connectTo(server, 'upstream')]
  const agent = await upgradable([...web, '--upgrade.timeout', '100ms']) // node alone takes longer
  expect(await agent.upgrade()).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('100 ms'),
  })
  expect((await visit(server.ports.proxy)).status).toBe(200)
})

test('an agent that is told to stop during an upgrade stops, and says so', async () => {
  const service = await httpService((_, response) => response.end('hello'))
  const server = await startServer()
  const web = ['http', 'web', String(service.port), ...connectTo(server, 'upstream')]
  const { process: agent } = await upgradable(web)
  server.process.kill('SIGSTOP') // so the successor cannot take over before the stop
  agent.kill('SIGUSR2')
  await agent.line(/starting the successor/)
  agent.kill('SIGTERM')
  await agent.line(/upgrade (ended|failed)/)
  server.process.kill('SIGCONT')
  expect(await agent.exited).toEqual({ code: 0, signal: null })
  expect(agent.stderr).toContain('upgrade ended: the agent is stopping')
  expect(agent.stderr).not.toContain('continues to run')
})

test('SIGUSR2 upgrades too, and the successor gets the signal next time', async () => {
  const service = await httpService((_, response) => response.end('hello'))
  const server = await startServer()
  const web = ['http', 'web', String(service.port), ...connectTo(server, 'upstream')]
  const agent = await upgradable(web)
  agent.process.kill('SIGUSR2')
  await agent.process.line(/has taken over/)
  await until(() => !isAlive(agent.pid))
  const { stdout } = await run(['status', '--json'], agent.env)
  const [{ pid }] = (JSON.parse(stdout) as { readonly agents: [Status] }).agents
  expect(pid).not.toBe(agent.pid)
  expect(await agent.upgrade()).toMatchObject({ code: 0 })
  await until(() => !isAlive(pid))
  expect((await visit(server.ports.proxy)).status).toBe(200)
})

test('the command says what it cannot do', async () => {
  const server = await startServer()
  const url = connectTo(server, 'proxy')
  const first = await upgradable(['access', 'pg', '--bind', '127.0.0.1:0', ...url])
  const none = await run(['upgrade', '--pid', '1'], first.env)
  expect(none).toMatchObject({
    exited: { code: 1 },
    stderr: expect.stringContaining('process 1 is no running agent of this user'),
  })
  const second = adit(['access', 'pg', '--bind', '127.0.0.1:0', ...url, '--json'], {
    env: first.env,
  })
  await second.event('ready')
  const several = await run(['upgrade'], first.env)
  expect(several).toMatchObject({
    exited: { code: 2 },
    stderr: expect.stringContaining('2 agents of this user run here'),
  })
  const one = await run(['upgrade', '--pid', String(second.pid)], first.env)
  expect(one.exited.code).toBe(0)
  process.kill(Number(/process (\d+) has replaced/.exec(one.stdout)?.[1]), 'SIGKILL')
})

test('a print job through a unix socket goes on over upgrades, and the last process removes the file', async () => {
  using directory = temporaryDirectory()
  const service = await echoService()
  const server = await startServer()
  await upgradable(['tcp', 'printer', String(service.port), ...connectTo(server, 'upstream')])
  const path = join(directory.path, 'printer.sock')
  const other = join(directory.path, 'other.sock')
  const file = join(directory.path, 'desk.json')
  const write = (...binds: string[]): void => {
    const bind_addr = binds.map((one) => `unix:${one}`)
    writeFileSync(file, JSON.stringify({ accesses: [{ endpoint: 'printer', bind_addr }] }))
  }
  write(path, other)
  const desk = await upgradable(['start', '--config', file, ...connectTo(server, 'proxy')])
  const { ino } = lstatSync(path)
  const job = connect(path)
  onTestFinished(() => void job.destroy())
  const words = job.setEncoding('utf8')[Symbol.asyncIterator]()
  const say = async (word: string): Promise<unknown> => {
    job.write(word)
    return (await words.next()).value as unknown
  }
  expect(await say('one')).toBe('one')
  // Connections one after another, all the while: each must be served by one of both processes.
  const upgrading = new AbortController()
  const visits = (async (): Promise<number> => {
    let served = 0
    for (; !upgrading.signal.aborted; served += 1) {
      const visit = connect(path)
      visit.end('page')
      expect(await text(visit)).toBe('page')
    }
    return served
  })()
  expect(await desk.upgrade()).toMatchObject({ code: 0 })
  expect(await say('two')).toBe('two')
  write(path) // the next successor has no use for the other one
  expect(await desk.upgrade()).toMatchObject({ code: 0 })
  expect(await say('three')).toBe('three')
  upgrading.abort()
  expect(await visits).toBeGreaterThan(0)
  expect(lstatSync(path).ino).toBe(ino)
  await until(() => !existsSync(other))
  job.end()
  process.kill(desk.pid, 'SIGTERM')
  await until(() => !existsSync(path))
})

test('a unix socket with a successor that fails stays where it is', async () => {
  using directory = temporaryDirectory()
  const service = await echoService()
  const server = await startServer()
  await upgradable(['tcp', 'pg', String(service.port), ...connectTo(server, 'upstream')])
  const path = join(directory.path, 'pg.sock')
  const file = join(directory.path, 'desk.json')
  const taken = createServer().listen(0, '127.0.0.1')
  onTestFinished(() => void taken.close())
  await once(taken, 'listening')
  const { port } = taken.address() as { readonly port: number }
  const write = (bind_addr: string[]): void =>
    writeFileSync(file, JSON.stringify({ accesses: [{ endpoint: 'pg', bind_addr }] }))
  write([`unix:${path}`])
  const desk = await upgradable(['start', '--config', file, ...connectTo(server, 'proxy')])
  write([`unix:${path}`, `127.0.0.1:${port}`])
  expect(await desk.upgrade()).toMatchObject({ code: 1 })
  const visit = connect(path)
  visit.end('served')
  expect(await text(visit)).toBe('served')
})

test('a unix socket with a path too long for a second name cannot be handed over, and the command says so', async () => {
  using directory = temporaryDirectory()
  const server = await startServer()
  const path = `${directory.path}/`.padEnd(104, 'x')
  const bind = ['--bind', `unix:${path}`, ...connectTo(server, 'proxy')]
  const desk = await upgradable(['access', 'pg', ...bind])
  expect(await desk.upgrade()).toMatchObject({
    code: 1,
    stderr: expect.stringContaining(`unix:${path} cannot be handed over`),
  })
})
