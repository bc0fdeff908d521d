import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { listening } from '@proj/testkit/listening'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { until } from '@proj/testkit/until'

import { Database } from '../../src/store/database.ts'
import { MIGRATIONS } from '../../src/store/migrations.ts'
import { SqliteReservationStore } from '../../src/store/sqlite-reservation-store.ts'
import { adit, type RunningServer, startAgent, startServer } from './programs.ts'
import { httpService, visit } from './services.ts'

/** Runs `adit` to its end. */
async function ended(args: readonly string[], server: RunningServer) {
  const url = `http://127.0.0.1:${server.ports.upstream}`
  const program = adit([...args, '--connect.url', url])
  const { code } = await program.exited
  return { code, stdout: program.stdout, stderr: program.stderr }
}

/** A service that says which one it is. */
const serviceOf = (name: string) => httpService((_request, response) => response.end(name))

async function bodyOf(server: RunningServer): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${server.ports.proxy}/`, {
    headers: { 'x-piko-endpoint': 'web' },
  })
  return await response.text()
}

async function sessionsOf(server: RunningServer): Promise<number> {
  const url = `http://127.0.0.1:${server.ports.admin}/status/upstream/endpoints`
  const counts = (await (await fetch(url)).json()) as Record<string, number>
  return counts['web'] ?? 0
}

test('a name is reserved, listed, still held after kill -9 of the server, and released', async () => {
  using directory = temporaryDirectory()
  const dataDir = ['--data-dir', directory.path]
  const first = await startServer(undefined, dataDir)
  expect(await ended(['reserve', 'web'], first)).toEqual({
    code: 0,
    stdout: 'web is reserved for anonymous\n',
    stderr: '',
  })
  first.process.kill('SIGKILL')
  await first.process.exited
  const second = await startServer(undefined, dataDir)
  const listed = await ended(['list'], second)
  expect(listed.stdout).toMatch(/^NAME +KIND +STATE +SINCE\nweb +http +offline +\d{4}-\S+Z\n$/)
  expect((await ended(['release', 'web'], second)).stdout).toBe('web is released\n')
  expect((await ended(['list', '--json'], second)).stdout).toBe('[]\n')
  expect(await ended(['release', 'web'], second)).toMatchObject({
    code: 4,
    stderr: expect.stringMatching(/^adit: "web" is not reserved \(TUNNEL_RESERVATION_REFUSED\)\n/),
  })
})

test('a name of somebody else ends adit http with 4, and says whose it is and what to do', async () => {
  using directory = temporaryDirectory()
  const server = await startServer(undefined, ['--data-dir', directory.path])
  const database = Database.open(join(directory.path, 'adit.db'), { migrations: MIGRATIONS })
  onTestFinished(() => database.close())
  const reservedAt = Date.UTC(2026, 0, 2)
  await new SqliteReservationStore(database).reserve({
    tenant: '',
    endpoint: 'web',
    identity: 'token:k3v9m2ab',
    kind: 'http',
    port: undefined,
    reservedAt,
  })
  const message =
    '"web" is reserved for token:k3v9m2ab since 2026-01-02T00:00:00.000Z (TUNNEL_NAME_TAKEN)'
  const offered = await ended(['http', 'web', '3000', '--log.level', 'silent'], server)
  expect(offered).toMatchObject({ code: 4, stdout: '' })
  expect(offered.stderr).toBe(
    `adit: endpoint "web" refused (name-taken): ${message}\n  choose another name, or use a token of the identity that has this one\n`,
  )
  const reserved = await ended(['reserve', 'web'], server)
  expect(reserved).toMatchObject({ code: 4, stdout: '' })
  expect(reserved.stderr).toContain(`adit: ${message}\n`)
})

test('agents of one name are told of each other at start-up, in the log and in adit status', async () => {
  using folder = temporaryDirectory()
  const env = { XDG_RUNTIME_DIR: folder.path }
  const server = await startServer()
  const url = ['--connect.url', `http://127.0.0.1:${server.ports.upstream}`]
  const first = adit(['http', 'web', '3000', ...url, '--json'], { env })
  expect(await first.event('ready')).toMatchObject({ listeners: [{ endpoint: 'web' }] })
  const second = adit(['http', 'web', '3001', ...url], { env })
  const sentence = /1 other agent also serves this name, from the same address: each gets a share/
  await until(() => sentence.test(second.stdout))
  await until(() => sentence.test(first.stderr))
  const third = adit(['http', 'web', '3002', ...url, '--json'], { env })
  const ready = await third.event('ready')
  expect(ready['listeners']).toMatchObject([{ others: { agents: 2, hosts: 0 } }])

  const status = adit(['status', '--json'], { env })
  await status.exited
  const { agents } = JSON.parse(status.stdout) as { agents: { listeners: object[] }[] }
  expect(agents.map(({ listeners }) => listeners)).toMatchObject([
    [{ others: { agents: 2, hosts: 0 } }],
    [{ others: { agents: 2, hosts: 0 } }],
    [{ others: { agents: 2, hosts: 0 } }],
  ])

  const alone = adit(['http', 'web', '3003', ...url, '--exclusive'], { env })
  expect(await alone.exited).toEqual({ code: 4, signal: null })
  expect(alone.stderr).toMatch(/adit: .*TUNNEL_NAME_IN_USE/)
  expect(alone.stderr).toMatch(/stop the other agent or choose another name/)
  for (const agent of [first, second, third]) await agent.stop()
  await startAgent('http', 'api', 3004, server, ['--exclusive'])
})

test('an agent that is killed and started again has its name and its visitors at once', async () => {
  const service = await serviceOf('old')
  const next = await serviceOf('new')
  const server = await startServer()
  const agent = await startAgent('http', 'web', service.port, server)
  expect(await bodyOf(server)).toBe('old')
  agent.kill('SIGKILL')
  await agent.exited
  await startAgent('http', 'web', next.port, server)
  for (let visitor = 0; visitor < 5; visitor++) expect(await bodyOf(server)).toBe('new')
})

test('an agent that hangs loses its visitors to the one that takes its place, at once', async () => {
  const service = await serviceOf('hanging')
  const next = await serviceOf('next')
  const server = await startServer()
  const hanging = await startAgent('http', 'web', service.port, server)
  await until(async () => (await sessionsOf(server)) === 2)
  hanging.kill('SIGSTOP')
  await startAgent('http', 'web', next.port, server)
  for (let visitor = 0; visitor < 10; visitor++) expect(await bodyOf(server)).toBe('next')
  const { why } = JSON.parse(await server.process.line(/agent session ended by the server/)) as {
    why: string
  }
  expect(why).toBe('no answer to a ping within 2000 ms')
  await until(async () => (await sessionsOf(server)) === 2)
  // It wakes up, comes back, and the two share the name.
  hanging.kill('SIGCONT')
  await until(async () => (await sessionsOf(server)) === 4)
  await until(async () => (await bodyOf(server)) === 'hanging')
})

test('an agent whose network changed has its visitors as soon as it is back', async () => {
  const service = await serviceOf('back')
  const server = await startServer()
  const network = await breakableNetwork(server.ports.upstream)
  const offer = ['http', 'web', String(service.port), '--json']
  const way = ['--connect.url', `http://127.0.0.1:${network.port}`]
  const agent = adit([...offer, ...way, '--connect.ping-interval', '500ms'])
  await agent.event('ready')
  expect(await bodyOf(server)).toBe('back')
  // Nothing arrives any more on the connections that are open, and nobody is told.
  network.change()
  await agent.line(/endpoint offline/)
  await until(() => agent.stderr.split('endpoint online').length > 2)
  for (let visitor = 0; visitor < 5; visitor++) expect(await bodyOf(server)).toBe('back')
  await until(async () => (await sessionsOf(server)) === 2)
  expect((await visit(server.ports.proxy)).status).toBe(200)
})

/** A way to a port that can be made to swallow everything on the connections it has. */
async function breakableNetwork(target: number): Promise<{ port: number; change: () => void }> {
  const open = new Set<Socket>()
  const server = createServer((near) => {
    const far = connect(target, '127.0.0.1')
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      from.on('error', () => {})
      from.on('data', (chunk) => void to.write(chunk))
      from.on('end', () => to.end())
      open.add(from)
    }
  })
  const listen = await listening(server)
  onTestFinished(async () => {
    for (const socket of open) socket.destroy()
    await listen.close()
  })
  return {
    port: listen.port,
    change: () => {
      for (const socket of open) {
        socket.removeAllListeners('data').removeAllListeners('end')
        socket.pause()
      }
    },
  }
}

test('an exclusive agent takes over from one that does not answer, however long the ping of the server may take', async () => {
  const server = await startServer(undefined, ['--names.probe-timeout', '4s'])
  const hanging = await startAgent('http', 'web', 3001, server)
  hanging.kill('SIGSTOP')
  const next = await startAgent('http', 'web', 3002, server, ['--exclusive'])
  expect(next.stderr).toContain('name-in-use') // it was rejected first
})
