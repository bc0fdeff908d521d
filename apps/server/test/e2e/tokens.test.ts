// Tokens as people use them: made by a command, shown by agents and consumers, revoked, expired, and
// never seen where others look.
import { createHmac } from 'node:crypto'
import { readFileSync } from 'node:fs'

import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { until } from '@proj/testkit/until'
import { describe, expect, onTestFinished, test } from 'vitest'

import { adit, aditServer, portsOf, type RunningServer } from './programs.ts'
import { httpService, tcpService } from './services.ts'

const KEY = 'a secret of at least thirty-two bytes'

/** A server with a store of its own, and its `token` commands. */
async function tokenServer(args: readonly string[] = []) {
  const directory = temporaryDirectory()
  onTestFinished(() => directory[Symbol.dispose]())
  const env = { ADIT_DATA_DIR: directory.path }
  const command = async (...words: string[]): Promise<Record<string, string>> => {
    const run = aditServer(['token', ...words, '--json'], { env })
    expect(await run.exited).toMatchObject({ code: 0 })
    return JSON.parse(run.stdout) as Record<string, string>
  }
  const create = async (...words: string[]): Promise<{ id: string; token: string }> => {
    const { id = '', token = '' } = await command('create', ...words)
    return { id, token }
  }
  const start = async (): Promise<RunningServer> => {
    const binds = ['proxy', 'upstream', 'admin'].flatMap((name) => [
      `--${name}.bind-addr`,
      '127.0.0.1:0',
    ])
    const process = aditServer([...binds, ...args, '--log.level', 'debug', '--json'], { env })
    return { process, ports: portsOf(await process.event('ready')) }
  }
  return { directory, command, create, start }
}

function agentFor(server: RunningServer, endpoint: string, service: number, token?: string) {
  const url = `http://127.0.0.1:${server.ports.upstream}`
  const args = ['http', endpoint, String(service), '--connect.url', url, '--json']
  const more = ['--log.level', 'debug']
  return adit([...args, ...more], token === undefined ? {} : { env: { ADIT_CONNECT_TOKEN: token } })
}

function accessTo(server: RunningServer, endpoint: string, token?: string) {
  const url = `http://127.0.0.1:${server.ports.proxy}`
  const args = ['access', endpoint, '--bind', '127.0.0.1:0', '--connect.url', url, '--json']
  return adit(args, token === undefined ? {} : { env: { ADIT_CONNECT_TOKEN: token } })
}

/** A JWT that is good for some seconds. */
function jwt(seconds: number): string {
  const exp = Math.floor(Date.now() / 1000) + seconds
  const parts = [{ alg: 'HS256', kid: 'a' }, { exp }].map((part) =>
    Buffer.from(JSON.stringify(part)).toString('base64url'),
  )
  const signature = createHmac('sha256', KEY).update(parts.join('.')).digest('base64url')
  return [...parts, signature].join('.')
}

describe('a server with a token', () => {
  test('takes it, and ends whoever has none or another with 4', async () => {
    const { create, start } = await tokenServer()
    const { token } = await create('--endpoints', 'pc*', '--may', 'listen')
    const server = await start()
    const service = await httpService((_request, response) => response.end('hello'))
    const good = agentFor(server, 'pc1', service.port, token)
    await good.event('ready')
    for (const [shown, endpoint, reason] of [
      [undefined, 'pc1', 'missing authorization'],
      [`${token.slice(0, -1)}~`, 'pc1', 'invalid token'],
      [token, 'web', 'endpoint not permitted'],
    ] as const) {
      const agent = agentFor(server, endpoint, service.port, shown)
      expect(await agent.exited).toMatchObject({ code: 4 })
      expect(agent.stderr).toContain(reason)
    }
    // It may listen and not connect.
    const access = accessTo(server, 'pc1', token)
    await access.event('ready')
    expect(server.process.stderr).not.toContain(token)
  })

  test('ends an agent and a consumer within five seconds when it is revoked', async () => {
    const { command, create, start } = await tokenServer()
    const { id, token } = await create('--endpoints', '*', '--may', 'listen,connect')
    const server = await start()
    const service = await tcpService((socket) => void socket.pipe(socket))
    const agent = agentFor(server, 'pg', service.port, token)
    await agent.event('ready')
    const access = accessTo(server, 'pg', token)
    await access.event('ready')
    const codes: unknown[] = []
    for (const { exited } of [agent, access]) void exited.then(({ code }) => codes.push(code))
    await command('revoke', id)
    await until(() => codes.length === 2)
    expect(codes).toEqual([4, 4])
    for (const program of [agent, access]) expect(program.stderr).toContain('revoked token')
  })

  test('lets an agent go on with what stands in its file when one is revoked', async () => {
    const { directory, command, create, start } = await tokenServer()
    const first = await create('--endpoints', '*', '--may', 'listen')
    const second = await create('--endpoints', '*', '--may', 'listen', '--replaces', first.id)
    const server = await start()
    const service = await httpService((_request, response) => response.end())
    const file = directory.write('token', first.token)
    const url = `http://127.0.0.1:${server.ports.upstream}`
    const connect = ['--connect.url', url, '--connect.token-file', file]
    const one = ['--connect.connections', '1', '--json']
    const agent = adit(['http', 'web', String(service.port), ...connect, ...one])
    await agent.event('ready')
    directory.write('token', second.token)
    await command('revoke', first.id)
    await agent.line(/revoked token/)
    const registered = (): number => server.process.stderr.split('endpoint registered').length - 1
    await until(() => registered() === 2)
    expect(await agent.stop()).toMatchObject({ code: 0 })
  })

  test('shows operators its pages only for one that may', async () => {
    const { create, start } = await tokenServer()
    const agent = await create('--endpoints', '*', '--may', 'listen')
    const operator = await create('--endpoints', '*', '--may', 'admin')
    const server = await start()
    const bind = ['--admin.bind-addr', `127.0.0.1:${server.ports.admin}`]
    const status = async (token?: string) => {
      const env = token === undefined ? {} : { env: { ADIT_ADMIN_TOKEN: token } }
      const run = aditServer(['status', ...bind], env)
      const { code } = await run.exited
      return { code, said: code === 0 ? run.stdout : run.stderr }
    }
    expect(await status()).toEqual({
      code: 4,
      said: expect.stringContaining('missing authorization'),
    })
    expect(await status(agent.token)).toMatchObject({ code: 4 })
    expect(await status(operator.token)).toEqual({
      code: 0,
      said: expect.stringContaining('ready'),
    })
    const admin = `http://127.0.0.1:${server.ports.admin}`
    expect((await fetch(`${admin}/health`)).status).toBe(200)
    expect((await fetch(`${admin}/metrics`)).status).toBe(401)
  })
})

describe('a JWT that expires', () => {
  test('ends an agent with 4 and says so', async () => {
    const { start } = await tokenServer(['--upstream.auth.hmac-secret-key-file', temporaryKey()])
    const server = await start()
    const service = await httpService((_request, response) => response.end())
    // On a busy machine a token may be over before the program has started: then one that is good for longer.
    for (let seconds = 4, wasReady = false; !wasReady; seconds *= 3) {
      const agent = agentFor(server, 'web', service.port, jwt(seconds))
      wasReady = await agent.event('ready').then(
        () => true,
        () => false,
      )
      expect(await agent.exited).toMatchObject({ code: 4 })
      expect(agent.stderr).toContain('expired token')
    }
  })
})

test('a key set that cannot be read keeps no server from starting, and no agent from coming back', async () => {
  const keys = ['--upstream.auth.jwks.endpoint', 'file:///there/is/none.json']
  const { start } = await tokenServer(keys)
  const server = await start()
  await server.process.line(/keys of tokens not read/)
  const service = await httpService((_request, response) => response.end())
  const agent = agentFor(server, 'web', service.port, jwt(600))
  await agent.line(/token keys unavailable|503/)
  expect(await agent.stop()).toMatchObject({ code: 0 })
})

test('no output, page or process list holds a token', async () => {
  const { directory, command, create, start } = await tokenServer()
  const { token } = await create('--endpoints', '*', '--may', 'listen,connect,admin')
  const server = await start()
  const service = await httpService((_request, response) => response.end('hello'))
  const agent = agentFor(server, 'web', service.port, token)
  await agent.event('ready')
  const access = accessTo(server, 'web', token)
  await access.event('ready')
  const wrong = agentFor(server, 'web', service.port, `${token}x`)
  await wrong.exited
  const shown = adit(['config', 'show', '--json'], { env: { ADIT_CONNECT_TOKEN: token } })
  await shown.exited
  const exposed = adit(['config', 'check', '--connect.token', token])
  await exposed.exited
  expect(exposed.stderr).toContain('connect.token')
  const admin = `http://127.0.0.1:${server.ports.admin}`
  const headers = { authorization: `Bearer ${token}` }
  const pages = ['/metrics', '/status/upstream/sessions', '/status/edge', '/status/ports']
  const texts = await Promise.all(
    pages.map(async (page) => await (await fetch(`${admin}${page}`, { headers })).text()),
  )
  const programs = [server.process, agent, access, wrong, shown, exposed]
  const lines = programs.map(({ pid }) => commandLine(pid))
  const seen = [
    ...texts,
    ...lines,
    JSON.stringify(await command('list')),
    ...programs.flatMap(({ stdout, stderr }) => [stdout, stderr]),
    readFileSync(`${directory.path}/adit.db`, 'latin1'),
    readFileSync(`${directory.path}/adit.db-wal`, 'latin1'),
  ].join('\n')
  expect(seen).toContain(token.split('_')[1])
  expect(seen).not.toContain(token.split('_')[2])
})

/** Arguments of a process, as everybody on the machine sees them; nothing once it has ended. */
function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
  } catch {
    return ''
  }
}

function temporaryKey(): string {
  const directory = temporaryDirectory()
  onTestFinished(() => directory[Symbol.dispose]())
  return directory.write('key', KEY)
}
