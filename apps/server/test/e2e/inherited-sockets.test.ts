// Listening sockets that another process holds, as systemd does for a socket unit: what connects while the
// server is restarted waits, and is served by the next one.
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { expect, test } from 'vitest'
import { freePorts } from '@proj/testkit/free-ports'
import { type HeldSocket, heldSocket } from '@proj/testkit/held-socket'
import { connectRaw, exchangeRaw, type RawHttp } from '@proj/testkit/raw-http'
import type { Spawned } from '@proj/testkit/spawned'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { until } from '@proj/testkit/until'

import { adit, aditServer, portsOf, startAgent } from './programs.ts'
import { httpService, tcpService, visit } from './services.ts'

/** Restarts in the test of restarts. */
const RESTARTS = process.env['ADIT_FULL_TESTS'] === '1' ? 4 : 2

/** Starts a server with sockets, as a service manager does: LISTEN_PID is the process that reads it. */
function serverWith(
  sockets: Readonly<Record<string, HeldSocket>>,
  args: readonly string[] = [],
  pid = '$$',
): Spawned {
  const names = Object.keys(sockets)
  return aditServer(['--json', ...args], {
    prefix: ['sh', '-c', `LISTEN_PID=${pid} exec "$@"`, 'sh'],
    descriptors: Object.values(sockets).map(({ fd }) => fd),
    env: { LISTEN_FDS: String(names.length), LISTEN_FDNAMES: names.join(':') },
  })
}

function heldPorts(): Record<'proxy' | 'upstream' | 'admin', HeldSocket> {
  return { proxy: heldSocket(), upstream: heldSocket(), admin: heldSocket() }
}

test('the ports without an address in the settings are the sockets with their names', async () => {
  const held = heldPorts()
  const server = serverWith(held)
  expect(portsOf(await server.event('ready'))).toEqual({
    proxy: held.proxy.port,
    upstream: held.upstream.port,
    admin: held.admin.port,
  })
  const answer = await fetch(`http://127.0.0.1:${held.admin.port}/ready`)
  expect(answer.status).toBe(200)
})

test('a socket is found by its address, and one that is not wanted is closed', async () => {
  const [proxy, other] = [heldSocket(), heldSocket()]
  const binds = [
    '--proxy.bind-addr',
    `127.0.0.1:${proxy.port}`,
    '--upstream.bind-addr',
    '127.0.0.1:0',
    '--admin.bind-addr',
    '127.0.0.1:0',
  ]
  const server = serverWith({ unknown: proxy, upstream: other }, binds)
  const ports = portsOf(await server.event('ready'))
  expect(ports.proxy).toBe(proxy.port)
  expect(ports.upstream).not.toBe(other.port) // the setting counts, not the name
  const line = await server.line(/inherited socket closed/)
  expect(line).toContain(`127.0.0.1:${other.port}`)
  expect((await visit(proxy.port)).headers['adit-error']).toBe('no_upstream')
})

test('sockets for another process are not used, and the log says why', async () => {
  const held = heldPorts()
  const binds = ['proxy', 'upstream', 'admin'].flatMap((name) => [
    `--${name}.bind-addr`,
    '127.0.0.1:0',
  ])
  const server = serverWith(held, binds, '1')
  expect(portsOf(await server.event('ready')).proxy).not.toBe(held.proxy.port)
  expect(await server.line(/inherited sockets are not used/)).toContain('LISTEN_PID is 1')
})

test('a socket that other machines reach needs credentials, as an address in the settings does', async () => {
  const server = serverWith({ ...heldPorts(), proxy: heldSocket('0.0.0.0') })
  expect((await server.exited).code).toBe(2)
  expect(server.stderr).toContain('proxy.bind_addr')
})

test('visitors are served while a stop waits for idle ones', async () => {
  const held = heldPorts()
  const service = await httpService((_, response) => response.end('hello'))
  const server = serverWith(held, ['--drain.delay', '0s', '--drain.idle', '1m'])
  await server.event('ready')
  const ports = { proxy: held.proxy.port, upstream: held.upstream.port, admin: held.admin.port }
  await startAgent('http', 'web', service.port, { process: server, ports })
  const idle = connect(held.proxy.port, '127.0.0.1')
  idle.write('GET / HTTP/1.1\r\nhost: web.localhost\r\n\r\n')
  await once(idle, 'data')
  server.kill('SIGTERM')
  await server.line(/stopping/)
  // No other process accepts; the port would be closed within some of these.
  for (let count = 0; count < 50; count += 1) {
    expect((await visit(held.proxy.port)).status).toBe(200)
  }
  idle.destroy()
  expect((await server.exited).code).toBe(0)
})

test(`${RESTARTS} restarts refuse no connection, and what came in between is served`, async () => {
  const held = heldPorts()
  const service = await httpService((_, response) => response.end('hello'))
  using directory = temporaryDirectory()
  const start = async (): Promise<Spawned> => {
    const waits = ['--upstream.absent-wait', '60s', '--drain.delay', '0s']
    const server = serverWith(held, ['--data-dir', directory.path, ...waits])
    await server.event('ready')
    return server
  }
  let server = await start()
  const url = `http://127.0.0.1:${held.upstream.port}`
  const reserve = adit(['reserve', 'web', '--connect.url', url])
  expect((await reserve.exited).code).toBe(0)
  const ports = { proxy: held.proxy.port, upstream: held.upstream.port, admin: held.admin.port }
  await startAgent('http', 'web', service.port, { process: server, ports })
  for (let round = 0; round < RESTARTS; round += 1) {
    server.kill('SIGTERM')
    await server.exited
    // Nothing accepts now: the visitor is not refused, and waits for the next server and its agent.
    const early = connect(held.proxy.port, '127.0.0.1')
    await once(early, 'connect')
    early.destroy()
    const answers = Array.from({ length: 50 }, async () => await visit(held.proxy.port))
    server = await start()
    for (const { status, body } of await Promise.all(answers)) {
      expect({ status, body: body.toString() }).toEqual({ status: 200, body: 'hello' })
    }
  }
})

test('a public port keeps its socket while it has no owner', async () => {
  const service = await tcpService((socket) => socket.end('hello'))
  const { first } = await freePorts(1)
  const held = { ...heldPorts(), pg: heldSocket('127.0.0.1', first) }
  const range = `${first}-${first}`
  const options = ['--public-ports.range', range, '--public-ports.bind-host', '127.0.0.1']
  const server = serverWith(held, [...options, '--public-ports.hold', '0s'])
  await server.event('ready')
  const ports = { proxy: held.proxy.port, upstream: held.upstream.port, admin: held.admin.port }
  const greeting = async (): Promise<string> =>
    Buffer.concat(await connect(first, '127.0.0.1').toArray()).toString()
  for (let round = 0; round < 2; round += 1) {
    const agent = await startAgent('tcp', 'pg', service.port, { process: server, ports }, [
      '--public-port',
      String(first),
    ])
    await until(async () => (await greeting()) === 'hello')
    await agent.stop()
    const last = await until(async () => (await greeting()) === '' && 'accepted and closed')
    expect(last).toBe('accepted and closed')
  }
})

test('systemd-socket-activate passes three names', async ({ skip }) => {
  const { error } = spawnSync('systemd-socket-activate', ['--version'])
  skip(error !== undefined, 'no systemd-socket-activate')
  const { first } = await freePorts(3)
  const addresses = [first, first + 1, first + 2].map((port) => `127.0.0.1:${port}`)
  const server = aditServer(['--json'], {
    prefix: [
      'systemd-socket-activate',
      ...addresses.flatMap((address) => ['--listen', address]),
      '--fdname',
      'proxy:upstream:admin',
      '-E',
      'STATE_DIRECTORY',
    ],
  })
  // It starts the program when the first visitor is there.
  const answer = await until(async () => await exchangeRaw(first, 'GET / HTTP/1.0\r\n\r\n'))
  expect(answer.status).not.toBe(200)
  expect(portsOf(await server.event('ready'))).toEqual({
    proxy: first,
    upstream: first + 1,
    admin: first + 2,
  })
})

test('a local address of an access is the socket with its address', async () => {
  const service = await tcpService((socket) => socket.pipe(socket))
  const server = aditServer([
    '--json',
    ...['proxy', 'upstream', 'admin'].flatMap((name) => [`--${name}.bind-addr`, '127.0.0.1:0']),
  ])
  const ports = portsOf(await server.event('ready'))
  await startAgent('tcp', 'pg', service.port, { process: server, ports })
  const [own, other] = [heldSocket(), heldSocket()]
  const url = `http://127.0.0.1:${ports.proxy}`
  const start = (): Spawned =>
    adit(['access', 'pg', '--bind', `127.0.0.1:${own.port}`, '--connect.url', url, '--json'], {
      prefix: ['sh', '-c', 'LISTEN_PID=$$ exec "$@"', 'sh'],
      descriptors: [other.fd, own.fd],
      env: { LISTEN_FDS: '2' },
    })
  const first = start()
  const line = await first.line(/inherited socket closed/)
  expect(line).toContain(`127.0.0.1:${other.port}`)
  await first.event('ready')
  const echo = async (connection: RawHttp, word: string): Promise<void> => {
    await connection.send(word)
    expect((await connection.read(word.length)).toString()).toBe(word)
  }
  using before = await connectRaw(own.port)
  await echo(before, 'one')
  first.kill('SIGKILL')
  await first.exited
  using waiting = await connectRaw(own.port) // in the queue of the socket
  await start().event('ready')
  await echo(waiting, 'two')
})
