// `adit add` and `adit remove`: the listeners of an agent that runs, without touching the others.
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { exchangeRaw } from '@proj/testkit/raw-http'
import type { Spawned } from '@proj/testkit/spawned'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { until } from '@proj/testkit/until'

import { adit, startServer, type RunningServer } from './programs.ts'
import { httpService, tcpService } from './services.ts'

interface Workplace {
  readonly server: RunningServer
  readonly folder: string
  readonly agent: Spawned
  /** Runs a command beside the agent. */
  readonly run: (
    ...args: string[]
  ) => Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }>
  /** Asks the server for an endpoint. */
  readonly visit: (endpoint: string) => Promise<string>
}

interface Status {
  readonly agents: readonly {
    readonly pid: number
    readonly stopping: boolean
    readonly listeners: readonly { readonly endpoint: string; readonly isAdded?: boolean }[]
  }[]
}

/** A server, and an agent whose file has the endpoint `web`. */
async function workplace(): Promise<Workplace> {
  const directory = temporaryDirectory()
  onTestFinished(() => directory[Symbol.dispose]())
  const folder = directory.path
  chmodSync(folder, 0o700)
  const env = { XDG_RUNTIME_DIR: folder }
  const server = await startServer()
  const service = await httpService((_, response) => response.end('web'))
  writeFile(folder, service.port)
  const url = `http://127.0.0.1:${server.ports.upstream}`
  const file = join(folder, 'adit.yaml')
  const agent = adit(['start', '--config', file, '--connect.url', url, '--json'], { env })
  await agent.event('ready')
  return {
    server,
    folder,
    agent,
    run: async (...args) => {
      const command = adit(args, { env, cwd: folder })
      const { code } = await command.exited
      return { code, stdout: command.stdout, stderr: command.stderr }
    },
    visit: async (endpoint) => {
      const head = `GET / HTTP/1.1\r\nhost: ${endpoint}.localhost\r\nconnection: close\r\n\r\n`
      const { status, body } = await exchangeRaw(server.ports.proxy, head)
      return `${status} ${body.toString()}`
    },
  }
}

function writeFile(folder: string, port: number, more = ''): void {
  const text = `listeners:\n  - { endpoint: web, addr: ${port} }\n${more}`
  writeFileSync(join(folder, 'adit.yaml'), text)
}

async function statusOf({ run }: Workplace): Promise<Status> {
  return JSON.parse((await run('status', '--json')).stdout) as Status
}

test('a listener is added and removed, and the others do not notice', async () => {
  const place = await workplace()
  const { run, visit } = place
  writeFileSync(join(place.folder, 'page.txt'), 'from the folder')
  // The folder is that of the command, not of the agent.
  const added = await run('add', 'api', './', '--listing', '--json')
  expect(added).toMatchObject({ code: 0, stderr: '' })
  expect(JSON.parse(added.stdout)).toMatchObject({ endpoint: 'api', online: true })
  expect(await visit('api')).toContain('page.txt')
  expect(await visit('web')).toBe('200 web')
  const text = await run('status')
  expect(text.stdout.match(/added, not in the configuration/g)).toHaveLength(1)
  const [agent] = (await statusOf(place)).agents
  expect(agent?.listeners).toMatchObject([{ endpoint: 'web' }, { endpoint: 'api', isAdded: true }])
  expect(agent?.listeners[0]).not.toHaveProperty('isAdded')

  expect(await run('add', 'web', '3000')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('the agent has a listener for web already') as unknown,
  })
  // The server has no public ports: the listener ends, the agent does not.
  expect(await run('add', 'pg', '3000', '--protocol', 'tcp', '--public-port', 'any')).toMatchObject(
    { code: 4, stderr: expect.stringContaining('TUNNEL_PORT') as unknown },
  )
  expect((await statusOf(place)).agents[0]?.listeners).toHaveLength(2)

  expect(await run('remove', 'api')).toMatchObject({ code: 0, stdout: 'api is removed\n' })
  expect(await run('remove', 'api')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('the agent has no listener for api') as unknown,
  })
  expect(await visit('api')).toMatch(/^503 /)
  expect(await visit('web')).toBe('200 web')
  // One of the file too, and its name is free for another listener.
  expect(await run('remove', 'web')).toMatchObject({ code: 0 })
  expect(await visit('web')).toMatch(/^503 /)
  const echo = await tcpService((socket) => socket.pipe(socket))
  const tcp = await run('add', 'web', String(echo.port), '--protocol', 'tcp')
  expect(tcp).toMatchObject({ code: 0, stdout: 'web is online\n' })
  expect(place.agent.stderr).not.toContain('endpoint offline')
})

test('an upgrade in place keeps the changes, a new configuration does not', async () => {
  const place = await workplace()
  const { run, visit, folder } = place
  const service = await httpService((_, response) => response.end('api'))
  expect(await run('add', 'api', String(service.port))).toMatchObject({ code: 0 })
  expect(await run('remove', 'web')).toMatchObject({ code: 0 })
  const upgraded = await run('upgrade', '--json')
  expect(upgraded).toMatchObject({ code: 0 })
  const { successor } = JSON.parse(upgraded.stdout) as { readonly successor: number }
  onTestFinished(() => {
    try {
      process.kill(successor, 'SIGKILL')
    } catch {
      // it has ended
    }
  })
  const { agents } = await statusOf(place)
  expect(agents.find(({ pid }) => pid === successor)).toMatchObject({
    listeners: [{ endpoint: 'api', isAdded: true }],
  })
  expect(await visit('api')).toBe('200 api')

  writeFile(folder, service.port, 'log: { level: debug }\n')
  process.kill(successor, 'SIGHUP')
  await until(async () => (await visit('api')).startsWith('50'))
  await until(async () => (await visit('web')) === '200 api')
  const reloaded = (await statusOf(place)).agents.find(({ pid }) => pid === successor)
  expect(reloaded?.listeners).toMatchObject([{ endpoint: 'web' }])
})
