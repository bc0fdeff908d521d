// The first hour of a user: what is typed, what is answered, and what is on the disk afterwards.
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import {
  readFileSync,
  readlinkSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { cleanEnvironment } from '@proj/testkit/clean-environment'
import { type Spawned, spawned } from '@proj/testkit/spawned'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { until } from '@proj/testkit/until'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'

import { adit, aditServer, type RunningServer, startServer } from './programs.ts'
import { httpService } from './services.ts'

const AGENT = fileURLToPath(new URL('../../../agent/bin/adit.js', import.meta.url))
const PTY = 'import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))'

function hasPython(): boolean {
  try {
    execFileSync('python3', ['-c', 'import pty'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** A home directory with the environment of its user. */
function home() {
  const directory = temporaryDirectory()
  onTestFinished(() => directory[Symbol.dispose]())
  const { path } = directory
  return {
    path,
    file: join(path, '.config', 'adit', 'adit.yaml'),
    env: { HOME: path, XDG_CONFIG_HOME: undefined, XDG_RUNTIME_DIR: path },
  }
}

interface TokenServer {
  readonly server: RunningServer
  readonly data: string
  readonly url: string
  readonly token: string
}

let shared: TokenServer
const data = temporaryDirectory()
beforeAll(async () => {
  shared = await tokenServer()
})
afterAll(async () => {
  shared.server.process.kill('SIGTERM')
  await shared.server.process.exited
  data[Symbol.dispose]()
})

/** A server that asks for tokens, and one for `pc*` and names that are made up. */
async function tokenServer(): Promise<TokenServer> {
  const env = { ADIT_DATA_DIR: data.path }
  const run = aditServer(['token', 'create', '--endpoints', 'pc*,*-*'], { env })
  expect(await run.exited).toMatchObject({ code: 0 })
  const server = await startServer({ proxy: 0, upstream: 0, admin: 0 }, [], { env })
  const url = `http://127.0.0.1:${server.ports.upstream}`
  return { server, data: data.path, url, token: run.stdout.trim() }
}

async function ended(run: Spawned) {
  const { code } = await run.exited
  return { code, stdout: run.stdout, stderr: run.stderr }
}

describe('adit login', () => {
  test('writes the server and the token, and every later command has them', async () => {
    const { url, token } = shared
    const { path, file, env } = home()
    const tokenFile = join(path, 'token')
    writeFileSync(tokenFile, `${token}\n`)
    const login = await ended(
      adit(['login', url, '--token-file', tokenFile, '--connect.connections', '1'], { env }),
    )
    expect(login).toEqual({
      code: 0,
      stdout: `${url} accepts this agent\nwritten to ${file}\n`,
      stderr: '',
    })
    expect(readFileSync(file, 'utf8')).toBe(
      `connect:\n  connections: "1"\n  url:\n    - ${url}\n  token_file: ${tokenFile}\n`,
    )
    const service = await httpService((_request, response) => response.end('hello'))
    const agent = adit(['http', 'pc1', String(service.port), '--json'], { env })
    expect(await agent.event('ready')).toMatchObject({ listeners: [{ endpoint: 'pc1' }] })
  })

  test('reads a token from a pipe, keeps what the file has, and lets its owner alone read it', async () => {
    const { url, token } = shared
    const { path, file, env } = home()
    const init = await ended(adit(['config', 'init', file], { env }))
    expect(init).toEqual({ code: 0, stdout: `${file}\n`, stderr: '' })
    expect((await ended(adit(['config', 'check', '--config', file], { env }))).code).toBe(0)
    const again = await ended(adit(['config', 'init', file], { env }))
    expect(again).toEqual({
      code: 2,
      stdout: '',
      stderr: `adit: ${file} exists and is not changed\n  name another file: adit config init FILE\n`,
    })
    const target = join(path, 'kept-elsewhere.yaml')
    renameSync(file, target)
    symlinkSync(target, file)
    const login = adit(['login', url, '--token-stdin', '--json'], { env })
    login.write(`${token}\n`, true)
    const done = await ended(login)
    expect({ ...done, stdout: JSON.parse(done.stdout) }).toEqual({
      code: 0,
      stdout: { url, file, hasToken: true },
      stderr: '',
    })
    expect(readlinkSync(file)).toBe(target)
    const text = readFileSync(file, 'utf8')
    expect(text).toContain('# Configuration of adit.')
    expect(text).toContain(`  token: ${token}\n`)
    expect(statSync(file).mode & 0o777).toBe(0o600)
  })

  test('takes the server of --url or the variable, and a token of standard input only where there is one', async () => {
    const { url, token } = shared
    const { file, env } = home()
    const piped = async (args: readonly string[], text: string, variables = {}) => {
      const login = adit(['login', ...args, '--token-stdin'], { env: { ...env, ...variables } })
      login.write(text, true)
      return await ended(login)
    }
    const empty = await piped(['--url', url], '\n')
    expect(empty).toMatchObject({ code: 2, stdout: '' })
    expect(empty.stderr).toContain('standard input has no token')
    const several = await piped(['--url', `${url},http://localhost:1`], token)
    expect(several.stderr).toContain('takes one server')
    expect(() => statSync(file)).toThrow('ENOENT')
    const stdout = `${url} accepts this agent\nwritten to ${file}\n`
    const done = { code: 0, stdout, stderr: '' }
    expect(await piped(['--url', url], token)).toEqual(done)
    expect(await piped([], token, { ADIT_CONNECT_URL: url })).toEqual(done)
    expect(await piped([url], token, { ADIT_CONNECT_URL: 'http://localhost:1' })).toEqual(done)
  })

  test('writes nothing when the server does not accept it, and says what helps', async () => {
    const { server, url } = shared
    const { file, env } = home()
    const without = await ended(adit(['login', url], { env }))
    expect(without).toMatchObject({ code: 4, stdout: '' })
    expect(without.stderr).toContain('this server asks for a token: --token-file PATH')
    expect(without.stderr).toContain('ADIT_CONNECT_TOKEN')
    const wrong = await ended(
      adit(['login', url], { env: { ...env, ADIT_CONNECT_TOKEN: 'adit_nonsense' } }),
    )
    expect(wrong).toMatchObject({ code: 4, stdout: '' })
    expect(wrong.stderr).toContain('does not accept the token that was given')
    for (const [port, users] of [
      [server.ports.proxy, 'visitors'],
      [server.ports.admin, 'operators'],
    ] as const) {
      const door = await ended(adit(['login', `http://127.0.0.1:${port}`], { env }))
      expect(door).toMatchObject({ code: 2, stdout: '' })
      expect(door.stderr).toContain(`is the port for ${users} of a server`)
    }
    expect(() => statSync(file)).toThrow('ENOENT')
  })
})

test('adit alone at a terminal asks for server, token and service, and publishes it', async ({
  skip,
}) => {
  skip(!hasPython(), 'no python3 on this machine')
  const { url, token } = shared
  const { file, env } = home()
  const service = await httpService((_request, response) => response.end('hello'))
  const terminal = spawned('python3', ['-c', PTY, process.execPath, AGENT], {
    env: { ...cleanEnvironment(), ...env, NO_COLOR: '1', TERM: 'dumb' },
  })
  const shows = async (what: RegExp) =>
    await until(() => what.exec(terminal.stdout), { what: String(what) })
  await shows(/Server \[.*\]: $/)
  terminal.write(`${url}\r`)
  await shows(/Token: $/)
  terminal.write(`${token}\r`)
  await shows(/Service, .* \[3000\]: $/)
  terminal.write(`${service.port}\r`)
  await shows(/ http:\/\/[a-z]+-[a-z]+-\d{4}\.localhost:\d+ +-> /)
  expect(terminal.stdout).not.toContain(token)
  expect(readFileSync(file, 'utf8')).toContain(token)
  terminal.write('\u0003')
  expect(await terminal.exited).toMatchObject({ code: 0 })
})

test.for([
  ['login', (url: string) => [url]],
  ['doctor', (url: string) => ['--url', url]],
] as const)(
  'adit %s that is stopped while it waits for an answer reports no defect',
  async ([command, argumentsOf]) => {
    const server = createServer().listen(0, '127.0.0.1')
    onTestFinished(() => void server.close())
    await once(server, 'listening')
    const { port } = server.address() as { readonly port: number }
    const connected = once(server, 'connection')
    const run = adit([command, ...argumentsOf(`http://127.0.0.1:${port}`)], { env: home().env })
    const [socket] = (await connected) as [Socket]
    socket.on('error', () => {}).resume()
    run.kill('SIGINT')
    expect(await ended(run)).toEqual({ code: 1, stdout: '', stderr: '' })
  },
)

test('adit alone off a terminal is help', async () => {
  const { code, stdout } = await ended(adit([], { env: home().env }))
  expect(code).toBe(0)
  expect(stdout).toContain('Usage:\n  adit <command>')
})

test('adit-server status works for the user who may read the data directory', async () => {
  const { server, data } = shared
  const words = ['status', '--admin.bind-addr', `127.0.0.1:${server.ports.admin}`]
  const own = await ended(aditServer([...words, '--data-dir', data]))
  expect(own).toMatchObject({ code: 0, stdout: expect.stringContaining('server') })
  expect(statSync(join(data, 'adit.operator')).mode & 0o777).toBe(0o600)
  const other = temporaryDirectory()
  onTestFinished(() => other[Symbol.dispose]())
  writeFileSync(join(other.path, 'adit.operator'), 'x'.repeat(43))
  const denied = await ended(aditServer([...words, '--data-dir', other.path]))
  expect(denied).toMatchObject({ code: 4, stdout: '' })
})

test('adit doctor tries everything and ends with one thing to do', async () => {
  const { url, token } = shared
  const { env } = home()
  const service = await httpService((_request, response) => response.end('hello'))
  const listeners = JSON.stringify([{ endpoint: 'pc1', addr: String(service.port) }])
  const words = ['doctor', '--url', url, '--listeners', listeners]
  const well = await ended(adit([...words], { env: { ...env, ADIT_CONNECT_TOKEN: token } }))
  expect(well).toMatchObject({ code: 0, stderr: '' })
  expect(well.stdout).toMatch(/^ok +server +http.* an Adit server accepts this agent, \d+ ms$/m)
  expect(well.stdout).toMatch(/^ok +clock +/m)
  expect(well.stdout).toMatch(/^ok +service +pc1 +localhost:\d+ answers$/m)
  expect(well.stdout).toMatch(/\n\nnothing to do\n$/)

  await service.kill()
  const ill = await ended(adit([...words, '--json'], { env }))
  expect(ill).toMatchObject({ code: 1, stderr: '' })
  const { ok, checks, next } = JSON.parse(ill.stdout)
  expect(ok).toBe(false)
  expect(checks).toMatchObject([
    { code: 'server', subject: url, ok: false },
    { code: 'service', subject: 'pc1', ok: false },
    { code: 'agent', ok: true },
  ])
  expect(checks[1].detail).toMatch(/^cannot reach the service at localhost:\d+: /)
  expect(checks[1].hint).toMatch(/^start the service at localhost:\d+, or correct addr/)
  expect(next).toContain('this server asks for a token')
})
