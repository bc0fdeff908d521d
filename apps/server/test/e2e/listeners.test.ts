// What a taken port leads to, and who may connect, with both programs as users start them.
import { expect, test } from 'vitest'
import { foreignSocket, hasForeignSockets } from '@proj/testkit/foreign-socket'
import { connectRaw } from '@proj/testkit/raw-http'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'

import { adit, aditServer, portsOf, startAgent, startServer } from './programs.ts'
import { httpService, tcpService, visit } from './services.ts'

const SIDE_PORTS = ['upstream', 'admin'].flatMap((name) => [`--${name}.bind-addr`, '127.0.0.1:0'])

/** A server whose proxy port is this one. */
const serverAt = (port: number, ...args: readonly string[]) =>
  aditServer(['--proxy.bind-addr', `127.0.0.1:${port}`, ...SIDE_PORTS, '--json', ...args])

/** Resolves with what a visitor hears until the connection ends. */
async function heard(port: number): Promise<string> {
  using visitor = await connectRaw(port)
  visitor.socket.write('GET / HTTP/1.1\r\nhost: web.localhost\r\nconnection: close\r\n\r\n')
  return await visitor.ended.then(async () => (await visitor.readToEnd()).toString())
}

test('a port that Python holds ends with 3 and names it', async ({ skip }) => {
  skip(!hasForeignSockets, 'no python3 on this machine')
  await using python = await foreignSocket({ host: '127.0.0.1' })
  const server = serverAt(python.port)
  expect(await server.exited).toEqual({ code: 3, signal: null })
  expect(server.stderr).toMatch(
    new RegExp(`held by python3[.\\d]* \\(pid ${python.pid}, user \\S+, since`),
  )
  expect(server.stdout).toBe('')
})

test('on-conflict=wait names the holder and takes the port when it is free', async ({ skip }) => {
  skip(!hasForeignSockets, 'no python3 on this machine')
  await using python = await foreignSocket({ host: '127.0.0.1' })
  const server = serverAt(python.port, '--proxy.on-conflict', 'wait', '--proxy.wait', '1m')
  const line = JSON.parse(await server.line(/waiting for a port/))
  expect(line).toMatchObject({ level: 'warn', listener: 'proxy', waitMs: 60_000 })
  expect(line.why).toContain(`pid ${python.pid}`)
  await python.close()
  expect(portsOf(await server.event('ready')).proxy).toBe(python.port)
})

test('on-conflict=wait takes over from a previous instance that finishes', async () => {
  const service = await httpService((_request, response) => response.end('served'))
  const first = await startServer(undefined, ['--drain.delay', '0s'])
  const args = Object.entries(first.ports).flatMap(([name, port]) => [
    `--${name}.bind-addr`,
    `127.0.0.1:${port}`,
    `--${name}.on-conflict=wait`,
    `--${name}.wait=1m`,
  ])
  const agent = await startAgent('http', 'web', service.port, first)
  const second = aditServer([...args, '--json'])
  await second.line(/waiting for a port/)
  first.process.kill('SIGTERM')
  expect(portsOf(await second.event('ready'))).toEqual(first.ports)
  expect(await first.process.exited).toEqual({ code: 0, signal: null })
  // The agent was told to come back, and finds the new one on the same port.
  await agent.line(/reconnecting/)
  await second.line(/"endpoint":"web"/)
  expect((await visit(first.ports.proxy)).body.toString()).toBe('served')
})

test('on-conflict=wait ends with 3 when the holder stays, and with 0 when it is told to stop', async () => {
  const first = await startServer()
  const impatient = serverAt(
    first.ports.proxy,
    '--proxy.on-conflict',
    'wait',
    '--proxy.wait',
    '1ms',
  )
  expect(await impatient.exited).toEqual({ code: 3, signal: null })
  const patient = serverAt(first.ports.proxy, '--proxy.on-conflict', 'wait', '--proxy.wait', '1h')
  await patient.line(/waiting for a port/)
  patient.kill('SIGTERM')
  expect(await patient.exited).toEqual({ code: 0, signal: null })
})

test('on-conflict=next takes another port and says which', async () => {
  const first = await startServer()
  const wanted = first.ports.proxy
  const server = serverAt(wanted, '--proxy.on-conflict', 'next')
  const { proxy } = portsOf(await server.event('ready'))
  expect(proxy).toBeGreaterThan(wanted)
  expect(proxy).toBeLessThanOrEqual(wanted + 20)
  expect(JSON.parse(await server.line(/port taken/))).toMatchObject({
    level: 'warn',
    listener: 'proxy',
    wanted: `127.0.0.1:${wanted}`,
    port: proxy,
  })
  expect((await visit(proxy)).status).toBe(503)
})

test('adit access follows the policy as well', async () => {
  const service = await tcpService((socket) => socket.end('here'))
  const server = await startServer()
  await startAgent('tcp', 'pg', service.port, server)
  const taken = server.ports.admin
  const url = ['--connect.url', `http://127.0.0.1:${server.ports.proxy}`]
  const access = (...policy: readonly string[]) =>
    adit(['access', 'pg', '--bind', `127.0.0.1:${taken}`, ...url, ...policy, '--json'])
  const failing = access()
  expect(await failing.exited).toEqual({ code: 3, signal: null })
  expect(failing.stderr).toContain(`pid ${server.process.pid}`)
  const next = access('--on-conflict', 'next')
  const ready = (await next.event('ready')) as { accesses: { addresses: string[] }[] }
  const port = Number(ready.accesses[0]?.addresses[0]?.split(':')[1])
  expect(port).toBeGreaterThan(taken)
  expect(await heard(port)).toBe('here')
  const waiting = access('--on-conflict', 'wait', '--wait', '1m')
  expect(JSON.parse(await waiting.line(/waiting for a port/))).toMatchObject({ listener: 'pg' })
  await server.process.stop()
  await next.stop()
  // The port of the old server's admin page is free; only a server is missing now.
  await waiting.line(/trying again/)
})

test('a deny list keeps visitors out, and changes in the running server', async () => {
  using folder = temporaryDirectory()
  const file = (deny: string) => folder.write('server.yaml', `proxy: { deny: [${deny}] }\n`)
  const server = serverAt(0, '--config', file('127.0.0.0/8'))
  const { proxy, admin } = portsOf(await server.event('ready'))
  expect(await heard(proxy)).toBe('')
  expect((await fetch(`http://127.0.0.1:${admin}/health`)).status).toBe(200)
  file('192.0.2.0/24')
  server.kill('SIGHUP')
  await server.line(/configuration changed/)
  expect((await visit(proxy)).status).toBe(503)
})

test('an allow list lets nobody else in, on a dual-stack port by the IPv4 address of the client', async () => {
  const args = ['--proxy.bind-addr', ':0', ...SIDE_PORTS, '--json', '--proxy.allow']
  const closed = portsOf(await aditServer([...args, '10.0.0.0/8,::1']).event('ready'))
  expect(await heard(closed.proxy)).toBe('')
  const open = portsOf(await aditServer([...args, '127.0.0.1']).event('ready'))
  expect((await visit(open.proxy)).status).toBe(503)
})

test('the lists of an access change without giving its port up', async () => {
  using folder = temporaryDirectory()
  const service = await tcpService((socket) => socket.end('here'))
  const server = await startServer()
  await startAgent('tcp', 'pg', service.port, server)
  const file = (deny: string) =>
    folder.write(
      'desk.yaml',
      `connect: { url: 'http://127.0.0.1:${server.ports.proxy}' }\naccesses: [{ endpoint: pg, bind_addr: '127.0.0.1:0', deny: [${deny}] }]\n`,
    )
  const desk = adit(['start', '--config', file('127.0.0.1'), '--json'])
  const ready = (await desk.event('ready')) as { accesses: { addresses: string[] }[] }
  const port = Number(ready.accesses[0]?.addresses[0]?.split(':')[1])
  expect(await heard(port)).toBe('')
  file('')
  desk.kill('SIGHUP')
  await desk.line(/configuration changed/)
  expect(await heard(port)).toBe('here')
})

test('a program on the other family is named at start-up, once, and in the ready line', async ({
  skip,
}) => {
  skip(!hasForeignSockets, 'no python3 on this machine')
  await using python = await foreignSocket({ host: '::1', v6only: true })
  const ready = (await serverAt(python.port).event('ready')) as {
    listeners: { name: string; warnings: { code: string; text: string }[] }[]
  }
  const [proxy, upstream, admin] = ready.listeners
  expect([upstream?.warnings, admin?.warnings]).toEqual([[], []])
  expect(proxy?.warnings.map(({ code }) => code)).toEqual(['PC101'])
  expect(proxy?.warnings[0]?.text).toContain(`pid ${python.pid}`)
})
