// An agent with several listeners, some of which the server refuses: the others are served.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { foreignSocket, hasForeignSockets } from '@proj/testkit/foreign-socket'
import { freePorts } from '@proj/testkit/free-ports'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { until } from '@proj/testkit/until'

import { adit, aditServer, type RunningServer, startAgent, startServer } from './programs.ts'
import { httpService } from './services.ts'

const ANYWHERE = { proxy: 0, upstream: 0, admin: 0 }

interface Refused {
  readonly code: string
  readonly text: string
  readonly hint?: string
  readonly nextAttemptMs?: number
}

interface Offered {
  readonly endpoint: string
  readonly state?: string
  readonly refused?: Refused
}

async function visit(server: RunningServer, endpoint: string): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${server.ports.proxy}/`, {
    headers: { 'x-piko-endpoint': endpoint },
  })
  return `${response.status} ${await response.text()}`
}

function folder(): string {
  const directory = temporaryDirectory()
  onTestFinished(() => directory[Symbol.dispose]())
  return directory.path
}

/** Writes the file of an agent. */
function fileOf(path: string, listeners: readonly string[]): string {
  const file = join(path, 'adit.yaml')
  writeFileSync(file, `listeners:\n${listeners.map((one) => `  - { ${one} }\n`).join('')}`)
  return file
}

async function tokenOf(dataDir: string, name: string, endpoints: string): Promise<string> {
  const made = aditServer([
    'token',
    'create',
    '--name',
    name,
    '--endpoints',
    endpoints,
    '--data-dir',
    dataDir,
  ])
  expect((await made.exited).code).toBe(0)
  return made.stdout.trim()
}

const codes = (listeners: readonly Offered[]): Record<string, string | undefined> =>
  Object.fromEntries(listeners.map(({ endpoint, refused }) => [endpoint, refused?.code]))

test('every kind of refusal is told with code and hint, and the other listeners are served', async ({
  skip,
}) => {
  skip(!hasForeignSockets, 'no python3 on this machine')
  const data = folder()
  const home = folder()
  const theirs = await tokenOf(data, 'theirs', '*')
  const ours = await tokenOf(data, 'ours', 'ok*')
  await using python = await foreignSocket({ host: '127.0.0.1' })
  const { port } = python
  const range = ['--public-ports.range', `${port}`, '--public-ports.on-conflict', 'fail']
  const server = await startServer(ANYWHERE, ['--data-dir', data, ...range])
  const url = `http://127.0.0.1:${server.ports.upstream}`
  const other = { env: { ADIT_CONNECT_TOKEN: theirs } }
  const reserved = adit(['reserve', 'ok-reserved', '--connect.url', url], other)
  expect((await reserved.exited).code).toBe(0)
  const holder = adit(['http', 'ok-held', '1', '--connect.url', url, '--json'], other)
  await holder.event('ready')

  const service = await httpService((_, response) => response.end('served'))
  const outside = port === 65_535 ? port - 1 : port + 1
  const file = fileOf(home, [
    'endpoint: denied, addr: 1', // the first one, so that the handshake names it
    'endpoint: ok-reserved, addr: 1',
    'endpoint: ok-held, addr: 1',
    `endpoint: ok-taken, addr: 1, protocol: tcp, public_port: ${port}`,
    `endpoint: ok-outside, addr: 1, protocol: tcp, public_port: ${outside}`,
    `endpoint: ok, addr: ${service.port}`,
  ])
  const env = { ADIT_CONNECT_TOKEN: ours, XDG_RUNTIME_DIR: home }
  const start = ['start', '--config', file, '--connect.url', url]
  const agent = adit([...start, '--json'], { env })
  const { listeners } = (await agent.event('ready')) as unknown as {
    listeners: readonly Offered[]
  }
  const expected = {
    denied: 'TUNNEL_UNAUTHORIZED',
    'ok-reserved': 'TUNNEL_NAME_TAKEN',
    'ok-held': 'TUNNEL_NAME_TAKEN',
    'ok-taken': 'TUNNEL_PORT_REFUSED',
    'ok-outside': 'TUNNEL_PORT_REFUSED',
    ok: undefined,
  }
  expect(codes(listeners)).toEqual(expected)
  const hints = listeners.flatMap(({ refused }) => (refused === undefined ? [] : refused.hint))
  expect(hints).toEqual(Array.from({ length: 5 }, () => expect.stringMatching(/\w+/) as unknown))
  expect(await visit(server, 'ok')).toBe('200 served')
  // The log says what it means, once for each that is not asked for again within seconds.
  const line = JSON.parse(
    await agent.line(/listener refused: it is not served.*|ok-outside.*not served/),
  )
  expect(line).toMatchObject({ level: 'error', hint: expect.stringMatching(/\w+/) as unknown })

  const asked = adit(['status', '--json'], { env })
  expect((await asked.exited).code).toBe(1)
  const { agents } = JSON.parse(asked.stdout) as {
    agents: readonly { ready: boolean; listeners: readonly Offered[] }[]
  }
  expect(agents[0]?.ready).toBe(false)
  const shown = agents[0]?.listeners ?? []
  expect(codes(shown)).toEqual(expected)
  expect(shown.find(({ endpoint }) => endpoint === 'ok-held')?.refused?.nextAttemptMs).toBeLessThan(
    60_000,
  )
  const table = adit(['status'], { env })
  await table.exited
  expect(table.stdout).toMatch(/ok-outside +refused/)
  expect(table.stdout).toMatch(
    /not one this server gives.*\(TUNNEL_PORT_REFUSED\).*next attempt in/,
  )

  const doctor = adit(['doctor', '--connect.url', url, '--json'], { env })
  expect((await doctor.exited).code).toBe(1)
  const { checks } = JSON.parse(doctor.stdout) as {
    checks: readonly { code: string; subject: string; detail: string; hint?: string }[]
  }
  const refusals = checks.filter(({ code }) => code === 'endpoint')
  expect(refusals.map(({ subject, detail }) => [subject, /\((\w+)\)/.exec(detail)?.[1]])).toEqual(
    Object.entries(expected).filter(([, code]) => code !== undefined),
  )
  expect(refusals.every(({ hint }) => hint !== undefined)).toBe(true)

  // What only waited for another agent comes by itself.
  await holder.stop()
  await until(async () => (await visit(server, 'ok-held')).startsWith('502'))

  const person = adit(start, { env: { ...env, XDG_RUNTIME_DIR: folder() } })
  await until(() => person.stdout.includes('warning: ok-outside is not served'))
  expect(person.stdout).toMatch(/\bok +http\S+ +-> /)
  expect(person.stdout).toMatch(/ok-outside +refused +-> /)
  expect(person.stdout).toMatch(
    /warning: denied is not served: .*\(TUNNEL_UNAUTHORIZED\)\n {2}use a name/,
  )
})

test('an agent of which no listener can be served ends with 4 and the reason of the first', async () => {
  const range = await freePorts(1)
  const server = await startServer(ANYWHERE, ['--public-ports.range', `${range.first}`])
  const file = fileOf(folder(), [
    `endpoint: one, addr: 1, protocol: tcp, public_port: ${range.first - 1}`,
    `endpoint: two, addr: 1, protocol: tcp, public_port: ${range.first - 2}`,
  ])
  const url = `http://127.0.0.1:${server.ports.upstream}`
  const agent = adit(['start', '--config', file, '--connect.url', url])
  expect(await agent.exited).toEqual({ code: 4, signal: null })
  expect(agent.stdout).toBe('')
  expect(agent.stderr).toMatch(/adit: endpoint "one" refused \(port-not-allowed\)/)
})

test('a reload asks again for what was refused, and a name that is lost later does not end the others', async () => {
  const data = folder()
  const server = await startServer(ANYWHERE, ['--data-dir', data])
  const home = folder()
  const service = await httpService((_, response) => response.end('served'))
  const url = `http://127.0.0.1:${server.ports.upstream}`
  const both = ['endpoint: web, addr: 1', `endpoint: ok, addr: ${service.port}`]
  const theirs = await tokenOf(data, 'theirs', '*')
  const ours = await tokenOf(data, 'ours', '*')
  const reserved = adit(['reserve', 'web', '--connect.url', url], {
    env: { ADIT_CONNECT_TOKEN: theirs },
  })
  expect((await reserved.exited).code).toBe(0)
  const env = { ADIT_CONNECT_TOKEN: ours, XDG_RUNTIME_DIR: home }
  const agent = adit(['start', '--config', fileOf(home, both), '--connect.url', url, '--json'], {
    env,
  })
  const { listeners } = (await agent.event('ready')) as unknown as { listeners: Offered[] }
  expect(codes(listeners)).toEqual({ web: 'TUNNEL_NAME_TAKEN', ok: undefined })
  const released = adit(['release', 'web', '--connect.url', url], {
    env: { ADIT_CONNECT_TOKEN: theirs },
  })
  expect((await released.exited).code).toBe(0)
  fileOf(home, [...both, 'endpoint: more, addr: 1'])
  await until(async () => (await visit(server, 'web')).startsWith('502'))
  expect(await visit(server, 'ok')).toBe('200 served')
})

test('an access goes on when no listener is left', async () => {
  const server = await startServer()
  await startAgent('http', 'web', 1, server)
  const home = folder()
  const file = join(home, 'adit.yaml')
  writeFileSync(
    file,
    'listeners:\n  - { endpoint: pg, addr: 1, protocol: tcp, public_port: 1 }\naccesses:\n  - { endpoint: web, bind_addr: 127.0.0.1:0 }\n',
  )
  const agent = adit(
    [
      'start',
      '--config',
      file,
      '--json',
      '--connect.url',
      `http://127.0.0.1:${server.ports.upstream}`,
    ],
    { env: { XDG_RUNTIME_DIR: home } },
  )
  const ready = (await agent.event('ready')) as unknown as {
    listeners: readonly Offered[]
    accesses: readonly { addresses: readonly string[] }[]
  }
  expect(codes(ready.listeners)).toEqual({ pg: 'TUNNEL_PORT_REFUSED' })
  expect(ready.accesses[0]?.addresses).toHaveLength(1)
})
