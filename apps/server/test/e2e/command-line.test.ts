import { createServer } from 'node:net'
import { describe, expect, test } from 'vitest'
import { listening } from '@proj/testkit/listening'
import type { SpawnedOptions } from '@proj/testkit/spawned'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'

import { commands } from '../../src/commands/commands.ts'
import { adit, aditServer, startAgent, startServer } from './programs.ts'
import { httpService, visit } from './services.ts'

const EVERYWHERE_FREE = ['proxy', 'upstream', 'admin'].flatMap((name) => [
  `--${name}.bind-addr`,
  '127.0.0.1:0',
])

async function ended(args: readonly string[], options: SpawnedOptions = {}) {
  const program = aditServer(args, options)
  const { code } = await program.exited
  return { code, stdout: program.stdout, stderr: program.stderr }
}

/** Every command, as the definition has them. */
const COMMANDS = Object.keys(commands.commands).join(', ')

describe('a wrong command line ends with 2 and says what, where and what to do', () => {
  const cases: readonly (readonly [args: readonly string[], stderr: string])[] = [
    [
      ['strat'],
      `error: unknown command "strat"
  allowed: ${COMMANDS}
  hint: did you mean start?
help: adit-server help
`,
    ],
    [
      ['--proxy.bind-adr', ':80'],
      `error: unknown flag --proxy.bind-adr
  hint: did you mean --proxy.bind-addr?
help: adit-server help start
`,
    ],
    [
      ['--proxy.bind-addr', '::1:8000', '--log.level', 'loud', '--grace-period', '5'],
      `error: flag --proxy.bind-addr: proxy.bind_addr: address "::1:8000": an IPv6 address is written in brackets
  allowed: an address such as :8080, 127.0.0.1:8080, [::1]:8080, localhost:8080 or unix:/path
  hint: write [::1]:8000 or [::1:8000]:8080
error: flag --log.level: log.level: "loud" is not one of the choices
  allowed: silent, error, warn, info, debug
error: flag --grace-period: grace_period: "5" is not a duration: the unit is missing
  allowed: a duration such as 30s or 1m30s
  hint: write 5s or 5ms
`,
    ],
    [
      ['--upstream.bind-addr', ':8000'],
      `error: flag --upstream.bind-addr: upstream.bind_addr: :8000 needs the same socket as :8000 of proxy.bind_addr
  hint: give one of the two another port or address
`,
    ],
    [
      ['--admin.bind-addr', 'unix:/run/admin.sock'],
      `error: flag --admin.bind-addr: admin.bind_addr: unix:/run/admin.sock is no TCP address
  hint: write a port, such as :8080, 127.0.0.1:8080 or [::1]:8080
`,
    ],
    [
      ['--proxy.bind-addr', '127.0.0.1:8000', '--proxy.bind-addr', ':8000'],
      `error: flag --proxy.bind-addr: proxy.bind_addr: :8000 needs the same socket as 127.0.0.1:8000
  hint: give one of the two another port or address
`,
    ],
    [
      ['status', '--admin.bind-addr', 'localhost:0'],
      `adit-server: the configuration does not tell where the admin port is
  name it with --url http://HOST:PORT
`,
    ],
  ]
  test.for(cases)('adit-server %s', async ([args, stderr]) => {
    expect(await ended(args)).toEqual({ code: 2, stdout: '', stderr })
  })
})

test('both programs start without a compiler and without the classes of fetch', async () => {
  // These classes take 20 ms to load, and need WebAssembly in some versions of Node. They set this symbol.
  const hasFetch = `Symbol.for('undici.globalDispatcher.1')in(globalThis)`
  const atExit = `process.on('exit',()=>console.log('fetch:',${hasFetch}))`
  const env = { NODE_OPTIONS: `--jitless --import=data:text/javascript,${atExit}` }
  const server = await startServer(undefined, [], { env })
  const url = `http://127.0.0.1:${server.ports.upstream}`
  const agent = adit(['http', 'web', '9', '--connect.url', url, '--json'], { env })
  await agent.event('ready')
  expect(await agent.stop()).toMatchObject({ code: 0 })
  expect(await server.process.stop()).toMatchObject({ code: 0 })
  expect(agent.stdout).toMatch(/\nfetch: false\n$/)
  expect(server.process.stdout).toMatch(/\nfetch: false\n$/)
})

test('a variable is a setting, a near miss of one is a warning', async () => {
  const env = { ADIT_LOG_LEVEL: 'loud', ADIT_LOG_FORMTA: 'json' }
  const { code, stderr } = await ended(['config', 'check'], { env })
  expect(code).toBe(2)
  expect(stderr).toContain('error: variable ADIT_LOG_LEVEL: log.level: "loud"')
  expect(stderr).toContain('warning: variable ADIT_LOG_FORMTA: no setting reads this variable')
  expect(stderr).toContain('hint: did you mean ADIT_LOG_FORMAT?')
})

test('a port that is taken ends with 3, its holder and what to do, and nothing stays open', async () => {
  await using taken = await listening(createServer())
  const { code, stdout, stderr } = await ended([
    ...EVERYWHERE_FREE,
    '--admin.bind-addr',
    taken.authority,
  ])
  expect([code, stdout]).toEqual([3, ''])
  expect(stderr).toMatch(
    new RegExp(
      `^adit-server: cannot listen on ${taken.authority}: EADDRINUSE, held by node \\(pid ${process.pid}, .*\\) on ${taken.authority}\n {2}stop the program that holds the port, wait for it, or choose another port\n$`,
    ),
  )
})

test('an address this machine does not have ends with 3 and says so', async () => {
  const elsewhere = ['--proxy.bind-addr', '192.0.2.77:0', '--insecure-open']
  const { code, stderr } = await ended([...EVERYWHERE_FREE, ...elsewhere])
  expect(code).toBe(3)
  expect(stderr).toContain('192.0.2.77')
  expect(stderr).toContain('use an address of this machine, or listen on all addresses')
})

test('start-up says in aligned columns what is really bound, without colours in a pipe', async () => {
  const server = aditServer(EVERYWHERE_FREE)
  await server.line(/operators/)
  const shown = server.stdout.replace(/^(\S+) [\d.]+\n/, '$1 VERSION\n')
  expect(shown.replaceAll(/:\d{4,5}\b/g, ':PORT')).toBe(`adit-server VERSION

  visitors   127.0.0.1:PORT  IPv4  http://127.0.0.1:PORT
  agents     127.0.0.1:PORT  IPv4  http://127.0.0.1:PORT
  operators  127.0.0.1:PORT  IPv4  http://127.0.0.1:PORT

`)
})

test('--json says the same as one object', async () => {
  const server = aditServer([...EVERYWHERE_FREE, '--json'])
  const ready = await server.event('ready')
  expect(ready).toEqual({
    event: 'ready',
    software: expect.stringMatching(/^adit-server\/\d/),
    listeners: ['proxy', 'upstream', 'admin'].map((name) => ({
      name,
      addresses: [expect.stringMatching(/^127\.0\.0\.1:\d+$/)],
      urls: [expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/)],
      warnings: [],
    })),
  })
  expect(server.stdout.trimEnd().split('\n')).toHaveLength(1)
})

test('status of both programs is that of the admin port, as table and as JSON', async () => {
  const service = await httpService((_request, response) => response.end())
  const server = await startServer()
  await startAgent('http', 'web', service.port, server, ['--connect.connections', '1'])
  await visit(server.ports.proxy)
  const url = ['--url', `http://127.0.0.1:${server.ports.admin}`]
  for (const program of [aditServer, adit]) {
    const table = program(['status', ...url])
    expect(await table.exited).toMatchObject({ code: 0 })
    expect(table.stdout).toMatch(/^server +ready\n/)
    expect(table.stdout).toMatch(/^requests +1 so far, 0 running$/m)
    expect(table.stdout).toMatch(/^web +[0-9a-f]+ +127\.0\.0\.1 +adit +1 +\d+ +\d{4}-/m)
    const json = program(['status', '--json', ...url])
    await json.exited
    expect(JSON.parse(json.stdout)).toMatchObject({ ready: true, sessions: [{ endpoint: 'web' }] })
  }
  const bind = aditServer(['status', '--admin.bind-addr', `127.0.0.1:${server.ports.admin}`])
  expect(await bind.exited).toMatchObject({ code: 0 })
})

describe('a file that changes', () => {
  test('is taken on SIGHUP: what changed changes, what did not keeps its connections', async () => {
    using folder = temporaryDirectory()
    const service = await httpService((request, response) => {
      if (request.url === '/slow') response.write('begun')
      else response.end('ok')
    })
    const server = await startServer()
    const file = (...endpoints: readonly string[]) =>
      folder.write(
        'adit.yaml',
        [
          `connect: { url: 'http://127.0.0.1:${server.ports.upstream}' }`,
          'listeners:',
          ...endpoints.map((name) => `  - { endpoint: ${name}, addr: ${service.port} }`),
          '',
        ].join('\n'),
      )
    const path = file('web', 'old')
    const agent = adit(['start', '-c', path, '--json'])
    await agent.event('ready')
    const statusOf = async (name: string) =>
      (
        await fetch(`http://127.0.0.1:${server.ports.proxy}/`, {
          headers: { 'x-piko-endpoint': name },
        })
      ).status
    expect([await statusOf('web'), await statusOf('old'), await statusOf('new')]).toEqual([
      200, 200, 502,
    ])
    const slow = await fetch(`http://127.0.0.1:${server.ports.proxy}/slow`, {
      headers: { 'x-piko-endpoint': 'web' },
    })

    file('web', 'new')
    agent.kill('SIGHUP')
    await agent.line((line) => line.includes('listeners[old]') && line.includes('removed'))
    await agent.line(
      (line) => line.includes('"endpoint":"new"') && line.includes('endpoint online'),
    )
    expect([await statusOf('web'), await statusOf('old'), await statusOf('new')]).toEqual([
      200, 502, 200,
    ])

    folder.write('adit.yaml', 'listeners: [{ endpoint: web }]\nconect: 1\n')
    agent.kill('SIGHUP')
    const refused = JSON.parse(await agent.line(/CONFIG_KEY_UNKNOWN/))
    expect(refused).toMatchObject({
      level: 'error',
      key: 'conect',
      origin: { line: 2 },
      msg: 'new configuration refused',
    })
    expect([await statusOf('web'), await statusOf('new')]).toEqual([200, 200])

    const reader = slow.body?.getReader()
    expect(new TextDecoder().decode((await reader?.read())?.value)).toBe('begun')
    await reader?.cancel()
  })

  test('is taken without a signal; what needs a restart is named', async () => {
    using folder = temporaryDirectory()
    const path = folder.write('server.yaml', 'log: { level: warn }\n')
    const server = aditServer([...EVERYWHERE_FREE, '-c', path, '--json'])
    await server.event('ready')
    folder.write('server.yaml', 'log: { level: debug }\ngrace_period: 5s\n')
    expect(JSON.parse(await server.line(/"log.level"/))).toMatchObject({
      level: 'info',
      before: 'warn',
      after: 'debug',
      msg: 'configuration changed',
    })
    expect(JSON.parse(await server.line(/"grace_period"/))).toMatchObject({
      level: 'warn',
      msg: 'configuration changed, it needs a restart to take effect',
    })
  })

  test('that wants a port that is taken changes nothing', async () => {
    using folder = temporaryDirectory()
    await using taken = await listening(createServer())
    const server = await startServer()
    const url = `connect: { url: 'http://127.0.0.1:${server.ports.proxy}' }`
    const one = '{ endpoint: one, bind_addr: 127.0.0.1:0 }'
    const path = folder.write('adit.yaml', `${url}\naccesses: [${one}]\n`)
    const consumer = adit(['start', '-c', path, '--json'])
    const ready = (await consumer.event('ready')) as { accesses: { addresses: string[] }[] }
    const two = `{ endpoint: two, bind_addr: '${taken.authority}' }`
    folder.write('adit.yaml', `${url}\naccesses: [${two}]\n`)
    consumer.kill('SIGHUP')
    const line = JSON.parse(await consumer.line(/new configuration not applied/))
    expect(line.err.message).toContain(`cannot listen on ${taken.authority}`)
    const port = Number(ready.accesses[0]?.addresses[0]?.split(':')[1])
    const held = aditServer([...EVERYWHERE_FREE, '--proxy.bind-addr', `127.0.0.1:${port}`])
    expect((await held.exited).code).toBe(3)
  })
})
