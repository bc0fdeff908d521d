// The two programs as a user starts them, with every port picked by the kernel and read back from
// the ready line. What a test starts is stopped when the test ends.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { cleanEnvironment } from '@proj/testkit/clean-environment'
import { freePorts } from '@proj/testkit/free-ports'
import { spawned, type Spawned, type SpawnedOptions } from '@proj/testkit/spawned'
import { onTestFinished } from 'vitest'

const SERVER = fileURLToPath(new URL('../../bin/adit-server.js', import.meta.url))
const AGENT = fileURLToPath(new URL('../../../agent/bin/adit.js', import.meta.url))

/** How a program is started. */
export interface ProgramOptions extends SpawnedOptions {
  /** Put before the command, such as that of a network namespace. */
  readonly prefix?: readonly string[]
}

/** Ports of a server, by listener. */
export interface ServerPorts {
  readonly proxy: number
  readonly upstream: number
  readonly admin: number
}

/** A server that listens. */
export interface RunningServer {
  readonly process: Spawned
  readonly ports: ServerPorts
}

const SERVER_ENV = {
  // Tests begin with the start: names that do not exist are not waited for.
  ADIT_UPSTREAM_START_WAIT: '0s',
  // Nothing looks at /ready before it connects.
  ADIT_DRAIN_DELAY: '0s',
  // A machine that is busy with other tests is no overload of the server.
  ADIT_PROXY_MAX_LOOP_DELAY: 'inf',
  // The same tests for a server of several processes: ADIT_TEST_WORKERS=3.
  ADIT_WORKERS: process.env['ADIT_TEST_WORKERS'] ?? '1',
}

/** Starts `adit-server` with these arguments and nothing else. */
export function aditServer(args: readonly string[], options: ProgramOptions = {}): Spawned {
  return program(SERVER, args, { ...options, env: { ...SERVER_ENV, ...options.env } })
}

/** Starts `adit` with these arguments and nothing else. */
export function adit(args: readonly string[], options: ProgramOptions = {}): Spawned {
  return program(AGENT, args, options)
}

/** Starts a server on loopback and waits until it listens; port 0 lets the kernel pick. */
export async function startServer(
  ports: ServerPorts = { proxy: 0, upstream: 0, admin: 0 },
  args: readonly string[] = [],
  options: ProgramOptions = {},
): Promise<RunningServer> {
  const binds = Object.entries(ports).flatMap(([name, port]) => [
    `--${name}.bind-addr`,
    `127.0.0.1:${port}`,
  ])
  const server = aditServer([...binds, '--json', ...args], options)
  return { process: server, ports: portsOf(await server.event('ready')) }
}

/** Ports for a server that ends and starts again: meanwhile the kernel gives them to no other program. */
export async function lastingPorts(): Promise<ServerPorts> {
  const { first } = await freePorts(3)
  return { proxy: first, upstream: first + 1, admin: first + 2 }
}

/** Starts an agent for one endpoint and waits until visitors can come. */
export async function startAgent(
  kind: 'http' | 'tcp',
  endpoint: string,
  service: number | string,
  server: RunningServer,
  args: readonly string[] = [],
): Promise<Spawned> {
  const url = `http://127.0.0.1:${server.ports.upstream}`
  const agent = adit([kind, endpoint, String(service), '--connect.url', url, '--json', ...args])
  await agent.event('ready')
  return agent
}

/** Brings a TCP endpoint to a port of loopback and waits until it listens. */
export async function startAccess(
  endpoint: string,
  server: RunningServer,
  args: readonly string[] = [],
): Promise<{ readonly process: Spawned; readonly port: number }> {
  const url = `http://127.0.0.1:${server.ports.proxy}`
  const own = ['access', endpoint, '--bind', '127.0.0.1:0', '--connect.url', url, '--json']
  const consumer = adit([...own, ...args])
  const ready = (await consumer.event('ready')) as {
    accesses: readonly { addresses: readonly string[] }[]
  }
  return { process: consumer, port: portOf(ready.accesses[0]?.addresses[0]) }
}

/** The ports a server says it listens on. */
export function portsOf(ready: Record<string, unknown>): ServerPorts {
  const listeners = ready['listeners'] as readonly { name: string; addresses: readonly string[] }[]
  const port = (name: string) => portOf(listeners.find((one) => one.name === name)?.addresses[0])
  return { proxy: port('proxy'), upstream: port('upstream'), admin: port('admin') }
}

/** A value of /proc/<pid>/status in bytes: `VmRSS` is resident memory now, `VmHWM` its peak. */
export function memoryOf(pid: number, name: 'VmRSS' | 'VmHWM'): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) * 1024
}

/** Descriptors a process has open. */
export function descriptorsOf(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length
}

function program(path: string, args: readonly string[], options: ProgramOptions): Spawned {
  const { prefix = [], env, ...rest } = options
  const [command = process.execPath, ...line] = [...prefix, process.execPath, path, ...args]
  const started = spawned(command, line, {
    ...rest,
    env: { ...cleanEnvironment(), ...freshState(), ...env },
  })
  try {
    onTestFinished(() => started.kill()) // what the test has not waited for is not waited for here
  } catch {
    // not inside a test
  }
  return started
}

/**
 * Where a server keeps what lasts and an agent its control socket, unless a test says so: never where a user's do, and
 * a directory of its own for each program, because they share what they find in one.
 */
function freshState(): Record<string, string> {
  const path = mkdtempSync(join(tmpdir(), 'adit-state-'))
  const remove = (): void => rmSync(path, { recursive: true, force: true })
  try {
    onTestFinished(remove) // behind the end of the program, which is asked for after this
  } catch {
    process.on('exit', remove) // not inside a test
  }
  return { STATE_DIRECTORY: path, XDG_RUNTIME_DIR: path }
}

function portOf(address: string | undefined): number {
  if (address === undefined) throw new Error('the program names no address')
  return Number(address.slice(address.lastIndexOf(':') + 1))
}
