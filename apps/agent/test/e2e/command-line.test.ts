import { createServer } from 'node:http'
import { createServer as createTcpServer } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { listening } from '@proj/testkit/listening'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { until } from '@proj/testkit/until'

import { commands } from '../../src/commands/commands.ts'
import { adit, ended } from './program.ts'

/** Every command, as the definition has them. */
const COMMANDS = Object.keys(commands.commands).join(', ')

describe('a wrong command line ends with 2 and says what, where and what to do', () => {
  const cases: readonly (readonly [args: readonly string[], stderr: string])[] = [
    [
      ['htpp', 'web', '3000'],
      `error: unknown command "htpp"
  allowed: ${COMMANDS}
  hint: did you mean http?
help: adit help
`,
    ],
    [
      ['http', 'web'],
      `error: argument addr: listeners[0].addr: address "web": the port is missing
  allowed: an address such as 3000, host:3000, unix:/path, http://host:3000 or https://host; or a folder: ./site, /srv/site
  hint: write web:8080
`,
    ],
    [
      ['http', 'web', '3000', '4000'],
      `error: unexpected argument "4000"
help: adit help http
`,
    ],
    [
      ['http', 'a/b', '3000'],
      `error: argument endpoint: listeners[0].endpoint: "a/b" is not allowed here
  allowed: a name without space and slash
`,
    ],
    [
      ['tcp', 'pg', 'host:port'],
      `error: argument address: address "host:port": "port" is not a port
  allowed: an address such as 3000, host:3000, unix:/path, http://host:3000 or https://host; or a folder: ./site, /srv/site
  hint: a port is a whole number from 0 to 65535
help: adit help tcp
`,
    ],
    [
      ['http', 'web', '3000', '--conect.url', 'http://x'],
      `error: unknown flag --conect.url
  hint: did you mean --connect.url?
help: adit help http
`,
    ],
    [
      ['http', 'web', '3000', '--connect.url', 'ftp://x', '--connect.connections', '99'],
      `error: flag --connect.url: connect.url: "ftp://x" has a scheme that is not allowed
  allowed: a URL with http://, https://, ws://, wss://
error: flag --connect.connections: connect.connections: 99 is above 16
  allowed: a whole number from 1 to 16
`,
    ],
    [
      ['access', 'pg', '--bind', '5432x'],
      `error: argument bind_addr: accesses[0].bind_addr: address "5432x": the port is missing
  allowed: an address such as :8080, 127.0.0.1:8080, [::1]:8080, localhost:8080 or unix:/path
  hint: write 5432x:8080
`,
    ],
    [
      ['access', 'a', 'b', '--bind', ':1'],
      `adit: --bind needs exactly one NAME
  for several endpoints write NAME=ADDRESS for each
`,
    ],
    [
      ['start'],
      `adit: nothing to do: no listeners and no accesses are configured
  list them in ~/.config/adit/adit.yaml or /etc/adit/adit.yaml, name a file with --config, or use adit http, adit tcp or adit access
`,
    ],
    [
      ['completion', 'tcsh'],
      `error: argument shell: "tcsh" is not one of the choices
  allowed: bash, zsh, fish, powershell
help: adit help completion
`,
    ],
  ]
  test.for(cases)('adit %s', async ([args, stderr]) => {
    expect(await ended(args)).toEqual({ code: 2, stdout: '', stderr })
  })
})

test('a wrong file ends with 2 and every mistake, each with line and column', async () => {
  using folder = temporaryDirectory()
  folder.write(
    'adit.yaml',
    `connect:
  url: tunnel.example.com
  conections: 2
listeners:
  - endpoint: web
    addr: 3000
  - endpoint: web
    addr: 70000
    protocol: udp
accesses:
  - endpoint: pg
  - endpoint: one
    bind_addr: 127.0.0.1:9100
  - endpoint: two
    bind_addr: localhost:9100
`,
  )
  const file = `${folder.path}/adit.yaml`
  const { code, stdout, stderr } = await ended(['start', '-c', file])
  expect([code, stdout]).toEqual([2, ''])
  expect(stderr.replaceAll(folder.path, '')).toMatchInlineSnapshot(`
    "error: /adit.yaml:2:8: connect.url: "tunnel.example.com" is not a URL
      allowed: a URL with http://, https://, ws://, wss://
      hint: write http://tunnel.example.com
    error: /adit.yaml:3:3: connect.conections: unknown key "conections"
      allowed: url, token, token_file, tenant_id, connections, timeout, ping_interval, spread_interval, bind_addr, bind_interface, bind_device, ip_family, proxy_url, proxy_url_file, no_proxy, proxy_ca, tls
      hint: did you mean connect.connections?
    error: /adit.yaml:7:15: listeners[1].endpoint: web is listed twice
    error: /adit.yaml:8:11: listeners[1].addr: address "70000": "70000" is not a port
      allowed: an address such as 3000, host:3000, unix:/path, http://host:3000 or https://host; or a folder: ./site, /srv/site
      hint: a port is a whole number from 0 to 65535
    error: /adit.yaml:9:15: listeners[1].protocol: "udp" is not one of the choices
      allowed: http, tcp
    error: /adit.yaml:11:5: accesses[0].bind_addr: a value is required
      allowed: an address such as :8080, 127.0.0.1:8080, [::1]:8080, localhost:8080 or unix:/path
    error: /adit.yaml:15:16: accesses[2].bind_addr: localhost:9100 needs the same socket as 127.0.0.1:9100 of accesses[1].bind_addr
      hint: give one of the two another port or address
    "
  `)
  expect(await ended(['config', 'check', '-c', file])).toEqual({ code, stdout, stderr })
})

test('a file that is not there ends with 2 and its name', async () => {
  using folder = temporaryDirectory()
  expect(await ended(['start', '-c', 'nowhere.yaml'], { cwd: folder.path })).toEqual({
    code: 2,
    stdout: '',
    stderr: `error: ${folder.path}/nowhere.yaml: the file does not exist\n`,
  })
  expect(await ended(['import', 'nowhere.toml'], { cwd: folder.path })).toEqual({
    code: 2,
    stdout: '',
    stderr: `adit: nowhere.toml does not exist
  name the configuration file of the other program: adit import frpc.toml
`,
  })
})

test('a certificate file that cannot be read ends with 2 and its key', async () => {
  const args = ['--connect.url', 'https://127.0.0.1:1', '--connect.tls.root-cas', '/nowhere.pem']
  const { code, stderr } = await ended(['http', 'web', '3000', ...args])
  expect(code).toBe(2)
  expect(stderr).toMatch(/^adit: connect\.tls\.root_cas: ENOENT/)
})

test('a local port that is taken ends with 3 and its holder, before the server is asked', async () => {
  await using server = await listening(createServer())
  await using taken = await listening(createTcpServer())
  const url = ['--connect.url', `http://${server.authority}`]
  const { code, stdout, stderr } = await ended(['access', 'pg', '--bind', taken.authority, ...url])
  expect([code, stdout]).toEqual([3, ''])
  expect(stderr).toContain(`adit: cannot listen on ${taken.authority}: EADDRINUSE, held by node (`)
  expect(stderr).toContain(`pid ${process.pid}`)
  expect(stderr).toMatch(
    /\n {2}stop the program that holds the port, wait for it, or choose another port\n$/,
  )
  expect(server.sockets.size).toBe(0)
})

/** A server that answers every request and handshake so. */
async function refusing(status: number, error: string) {
  const body = JSON.stringify({ error })
  const type = 'application/json; charset=utf-8'
  const server = createServer((_request, response) => {
    response.writeHead(status, { 'content-type': type }).end(body)
  })
  server.on('upgrade', (_request, socket) => {
    const head = `HTTP/1.1 ${status} No\r\ncontent-type: ${type}\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n`
    socket.end(head + body)
  })
  return await listening(server)
}

describe('a server that refuses the token ends it with 4', () => {
  test.for([
    ['http', 'web', '3000'],
    ['access', 'pg'],
  ])('adit %s', async (command) => {
    await using server = await refusing(401, 'invalid token')
    const flags = [
      '--connect.url',
      `http://${server.authority}`,
      '--connect.token',
      'not-to-be-shown',
    ]
    const { code, stdout, stderr } = await ended([...command, ...flags, '--log.level', 'silent'])
    expect({ code, stdout }).toEqual({ code: 4, stdout: '' })
    expect(stderr).toContain('401: invalid token (TUNNEL_UNAUTHORIZED)')
    expect(stderr).toContain('this server does not accept the token that was given')
    expect(stderr).toContain('--token-file PATH, the variable ADIT_CONNECT_TOKEN')
    expect(stderr).not.toContain('not-to-be-shown')
  })
})

test('an address that is not that of a server is said at once, with what to look at', async () => {
  await using server = await refusing(404, 'nothing here')
  const agent = adit(['http', 'web', '3000', '--connect.url', `http://${server.authority}`])
  const line = JSON.parse(await agent.line(/trying again/))
  expect(line).toMatchObject({
    level: 'warn',
    err: { code: 'TUNNEL_UPGRADE_REFUSED', message: '404: nothing here' },
    hint: expect.stringContaining('port for agents of a server, 8001 by default'),
  })
  agent.kill('SIGTERM')
  expect(await agent.exited).toEqual({ code: 0, signal: null })
})

test('no server is no reason to end: it keeps trying, and ends with 0 when told to', async () => {
  const server = await listening(createServer())
  await server.close()
  const agent = adit(['http', 'web', '3000', '--connect.url', `http://${server.authority}`])
  const line = JSON.parse(await agent.line(/trying again/))
  expect(line).toMatchObject({
    level: 'warn',
    err: { code: 'DIAL_CONNECT_REFUSED', hint: expect.stringContaining('running') },
  })
  agent.kill('SIGTERM')
  expect(await agent.exited).toEqual({ code: 0, signal: null })
})

test('log.rate bounds the lines of one event, and the end says what was left out', async () => {
  let requests = 0
  // Each answer differs from the one before, so each is worth a line.
  const server = await listening(
    createServer((_, response) => response.writeHead(502 + (requests++ % 2)).end()),
  )
  onTestFinished(async () => await server.close())
  const url = `http://${server.authority}`
  const one = ['--log.rate', '1/m', '--connect.connections', '1']
  const agent = adit(['http', 'web', '3000', ...one, '--connect.url', url])
  await until(() => requests > 3)
  agent.kill('SIGTERM')
  await agent.exited
  expect(agent.stderr.split('"msg":"connection failed, trying again"')).toHaveLength(2)
  expect(agent.stderr).toContain('log lines left out')
})

test.for([['--help'], ['help'], ['http', '--help'], ['help', 'config']])(
  'adit %s is help on standard output',
  async (args) => {
    const { code, stdout, stderr } = await ended(args)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toContain('Usage:\n  adit ')
    expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(140)
  },
)

test('--version is program and version', async () => {
  expect((await ended(['--version'])).stdout).toMatch(/^adit \d+\.\d+\.\d+ \(Node \d+\./)
})
