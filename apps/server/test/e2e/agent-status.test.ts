// What `adit status` says of agents that really run: link, far service and local address by themselves.
import { existsSync, readdirSync, statSync } from 'node:fs'
import { expect, onTestFinished, test } from 'vitest'
import { foreignSocket, hasForeignSockets } from '@proj/testkit/foreign-socket'
import { connectRaw } from '@proj/testkit/raw-http'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { until } from '@proj/testkit/until'

import { adit, type RunningServer, startServer } from './programs.ts'
import { tcpService } from './services.ts'

const TOKEN = 'not-to-be-shown'

interface Status {
  readonly pid: number
  readonly ready: boolean
  readonly links: readonly { half: string; state: string; lastError?: { code: string } }[]
  readonly listeners: readonly Record<string, unknown>[]
  readonly accesses: readonly {
    readonly endpoint: string
    readonly binds: readonly { state: string; addresses: readonly string[]; holder?: string }[]
    readonly far: Record<string, unknown>
    readonly bytesToService: number
    readonly bytesFromService: number
    readonly open: number
    readonly lastFailure?: { code: string }
  }[]
}

/** Agents of a user of their own, with what `adit status` says of them. */
function ownUser() {
  const folder = temporaryDirectory()
  onTestFinished(() => folder[Symbol.dispose]())
  const env = { XDG_RUNTIME_DIR: folder.path }
  const start = async (
    args: readonly string[],
    server: RunningServer,
    port: 'proxy' | 'upstream',
  ) => {
    const url = ['--connect.url', `http://127.0.0.1:${server.ports[port]}`]
    const process = adit([...args, ...url, '--json'], {
      env: { ...env, ADIT_CONNECT_TOKEN: TOKEN },
    })
    const ready = await process.event('ready')
    return { process, ready }
  }
  const status = async () => {
    const asked = adit(['status', '--json'], { env })
    const { code } = await asked.exited
    const { agents } = JSON.parse(asked.stdout) as { agents: readonly Status[] }
    expect(asked.stdout).not.toContain(TOKEN)
    return { code, agents }
  }
  const access = async () => (await status()).agents.flatMap(({ accesses }) => accesses)[0]
  return { folder: folder.path, env, start, status, access }
}

test('it tells the truth from end to end, while connections live and when each part is gone', async () => {
  const user = ownUser()
  const service = await tcpService((socket) => socket.pipe(socket))
  const server = await startServer()
  const agent = await user.start(['tcp', 'pc1', String(service.port)], server, 'upstream')
  const access = await user.start(['access', 'pc1', '--bind', '127.0.0.1:0'], server, 'proxy')
  const { code, agents } = await user.status()
  expect(code).toBe(0)
  expect(agents.map(({ pid, ready }) => ({ pid, ready }))).toEqual([
    { pid: agent.process.pid, ready: true },
    { pid: access.process.pid, ready: true },
  ])
  expect(agents[0]?.listeners).toMatchObject([
    {
      endpoint: 'pc1',
      kind: 'tcp',
      state: 'online',
      service: `localhost:${service.port}`,
      total: 0,
    },
  ])
  expect(agents[1]?.accesses[0]?.far).toEqual({ state: 'served', agents: 1, sessions: 2 })

  const [address = ''] = agents[1]?.accesses[0]?.binds[0]?.addresses ?? []
  using connection = await connectRaw(Number(address.split(':')[1]))
  await connection.send('ping')
  await connection.read(4)
  expect(await user.access()).toMatchObject({
    open: 1,
    bytesToService: 4,
    bytesFromService: 4,
    far: { state: 'served', outcome: 'ok', ageMs: expect.any(Number) },
  })
  await connection.send('more!')
  await connection.read(5)
  expect(await user.access()).toMatchObject({ open: 1, bytesToService: 9, bytesFromService: 9 })

  await service.kill()
  using refused = await connectRaw(Number(address.split(':')[1]))
  expect(await refused.ended).toBe('reset')
  const broken = await user.status()
  expect(broken.code).toBe(1)
  expect(broken.agents[0]?.listeners[0]).toMatchObject({
    lastFailure: { code: 'DIAL_CONNECT_REFUSED' },
  })
  expect(broken.agents[1]).toMatchObject({
    ready: true,
    accesses: [{ far: { outcome: 'serviceRefused' }, lastFailure: { code: 'service_refused' } }],
  })

  await agent.process.stop()
  expect(await user.access()).toMatchObject({ far: { state: 'unserved', agents: 0 } })
  await server.process.stop()
  await access.process.line(/trying again/)
  const alone = await user.status()
  expect(alone.code).toBe(1)
  expect(alone.agents).toMatchObject([
    {
      ready: false,
      links: [
        { half: 'accesses', state: 'connecting', lastError: { code: 'DIAL_CONNECT_REFUSED' } },
      ],
      accesses: [{ far: { state: 'unknown' }, binds: [{ state: 'listening' }] }],
    },
  ])
})

test('an address that waits is told with its holder, and apart from the rest', async ({ skip }) => {
  skip(!hasForeignSockets, 'no python3 on this machine')
  await using python = await foreignSocket({ host: '127.0.0.1' })
  const user = ownUser()
  const server = await startServer()
  const bind = ['--bind', `127.0.0.1:${python.port}`, '--on-conflict', 'retry']
  await user.start(['access', 'pc1', ...bind], server, 'proxy')
  const asked = adit(['status'], { env: user.env })
  expect((await asked.exited).code).toBe(1)
  expect(asked.stdout).toMatch(/^access link +connected since /m)
  expect(asked.stdout).toContain(`waiting for 127.0.0.1:${python.port}, held by python3`)
  await python.close()
  await until(async () => (await user.access())?.binds[0]?.state === 'listening')
})

test('sockets are for their user alone, gone with their process, and a killed one leaves no trace', async () => {
  const user = ownUser()
  const server = await startServer()
  const none = adit(['status'], { env: user.env })
  expect((await none.exited).code).toBe(1)
  expect(none.stderr).toContain('no agent of this user runs here\n  start one, such as adit http')
  const start = async () => await user.start(['access', 'pc1'], server, 'proxy')
  const [stopped, killed] = [await start(), await start()]
  const folder = `${user.folder}/adit`
  const sockets = () => (existsSync(folder) ? readdirSync(folder) : [])
  expect(sockets()).toHaveLength(2)
  expect(statSync(folder).mode & 0o777).toBe(0o700)
  for (const socket of sockets()) expect(statSync(`${folder}/${socket}`).mode & 0o777).toBe(0o600)
  await stopped.process.stop()
  killed.process.kill('SIGKILL')
  await killed.process.exited
  expect(sockets()).toHaveLength(1)
  expect((await user.status()).agents).toEqual([])
  expect(sockets()).toEqual([])
})

test('an agent works without a control socket, and says so', async () => {
  using folder = temporaryDirectory()
  const runtime = folder.write('no-folder', '')
  const server = await startServer()
  const url = ['--connect.url', `http://127.0.0.1:${server.ports.proxy}`]
  const access = adit(['access', 'pc1', ...url, '--json'], { env: { XDG_RUNTIME_DIR: runtime } })
  await access.line(/adit status will not show this process/)
  expect(await access.event('ready')).toMatchObject({ accesses: [{ endpoint: 'pc1' }] })
})

test('the admin port tells scrapers what adit status tells people, where it is asked for', async () => {
  const user = ownUser()
  const server = await startServer()
  const port = ['--admin.bind-addr', '127.0.0.1:0']
  const { process } = await user.start(['http', 'web', '1', ...port], server, 'upstream')
  const line = await process.line(/admin port open/)
  const { addresses } = JSON.parse(line) as { addresses: string }
  const get = async (path: string) => await fetch(`http://${addresses}${path}`)
  expect((await get('/ready')).status).toBe(200)
  expect(await (await get('/metrics')).text()).toContain(
    'adit_agent_listener_online{endpoint="web"} 1',
  )
  const text = await (await get('/status')).text()
  expect(JSON.parse(text)).toMatchObject({ ready: true, listeners: [{ endpoint: 'web' }] })
  expect(text).not.toContain(TOKEN)
  await server.process.stop()
  await process.line(/endpoint offline/)
  expect((await get('/ready')).status).toBe(503)
})

test('a server is shown by its URL', async () => {
  const server = await startServer()
  const url = `http://127.0.0.1:${server.ports.admin}`
  const asked = adit(['status', '--url', url])
  expect((await asked.exited).code).toBe(0)
  expect(asked.stdout).toContain('no agent is connected')
})
