// Health checks of a listener with a real service, whose state the test sets.
import { createServer as createHttpServer } from 'node:http'
import { createServer, type Server, type Socket } from 'node:net'

import { listening } from '@proj/testkit/listening'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { until } from '@proj/testkit/until'
import { resetReasonName } from '@proj/tunnel/io'
import { afterAll, expect, onTestFinished, test } from 'vitest'

import { listenerOf, request, type Served, served } from './served.ts'

const folder = temporaryDirectory()
afterAll(() => folder[Symbol.dispose]())

const OFTEN = 'health_interval: 100ms, health_fails: 2, health_passes: 2'

async function portOf(server: Server): Promise<number> {
  const one = await listening(server)
  onTestFinished(() => one.close())
  return one.port
}

const isUp = async ({ made }: Served, wanted: boolean): Promise<void> => {
  await until(() => made.listener.isUp === wanted, {
    what: `the service to be ${wanted ? 'up' : 'down'}`,
  })
}

test('a service goes down, its visitors get the reason, and it comes back', async () => {
  let status = 200
  const hosts = new Set<string | undefined>()
  const checks: number[] = []
  const port = await portOf(
    createHttpServer((incoming, response) => {
      if (incoming.url === '/ready') {
        hosts.add(incoming.headers.host)
        checks.push(status)
      }
      response.writeHead(incoming.url === '/ready' ? status : 200).end('hello\n')
    }),
  )
  const one = await served(folder, `addr: ${port}, health: /ready, ${OFTEN}`)
  expect(await one.ask(request('GET /'), 'hello\n')).toContain('200 OK')
  await until(() => checks.length >= 1)
  status = 503
  await isUp(one, false)
  expect(checks.filter((seen) => seen === 503).length).toBeGreaterThanOrEqual(2)
  const stream = one.open()
  stream.write(request('GET /'))
  await until(() => stream.reason() !== undefined)
  expect(resetReasonName(stream.reason() ?? 0)).toBe('serviceDown')
  status = 204
  await isUp(one, true)
  expect(await one.ask(request('GET /'), 'hello\n')).toContain('200 OK')
  expect(hosts).toEqual(new Set([`localhost:${port}`]))
  const told = one.logger.records.filter(({ level }) => level === 'warn' || level === 'info')
  expect(told).toMatchObject([
    { message: 'service is down', fields: { service: `localhost:${port}`, why: 'it answers 503' } },
    { message: 'service is up again' },
  ])
})

// The short times are those of services whose check ends by its time alone: a busy machine changes nothing.
test.each([
  ['is not there yet', undefined, '1m', 'refused the connection'],
  ['does not answer', () => {}, '50ms', 'no answer within 50 ms'],
  [
    'closes at once',
    (socket: Socket) => socket.destroy(),
    '1m',
    /ends the connection|ECONNRESET|EPIPE/,
  ],
  ['does not speak HTTP', (socket: Socket) => socket.write('220 ready\r\n'), '50ms', /./],
] as const)('a service that %s is down after the first check', async (_, accept, timeout, why) => {
  const server = createServer((socket) => {
    socket.on('error', () => {})
    accept?.(socket)
  })
  const one = await listening(server)
  onTestFinished(() => one.close())
  if (accept === undefined) await one.close()
  const settings = `addr: '127.0.0.1:${one.port}', health: /, health_interval: 1h, health_timeout: ${timeout}`
  const listener = await served(folder, settings)
  await isUp(listener, false)
  const [told] = listener.logger.records
  expect(told).toMatchObject({ fields: { why: expect.stringMatching(why) } })
})

test('connect is enough for a TCP service', async () => {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => sockets.add(socket))
  const one = await listening(server)
  onTestFinished(() => one.close())
  const settings = `addr: '127.0.0.1:${one.port}', protocol: tcp, health: connect, ${OFTEN}`
  const listener = await served(folder, settings)
  await until(() => sockets.size >= 2)
  expect(listener.made.listener.isUp).toBe(true)
  await one.close()
  await isUp(listener, false)
})

test('no check is made behind the end of a listener', async () => {
  let checks = 0
  let connections = 0
  const server = createHttpServer((_, response) => {
    checks += 1
    response.end()
  })
  server.on('connection', () => (connections += 1))
  const port = await portOf(server)
  const one = await served(folder, `addr: ${port}, health: /, ${OFTEN}`)
  await until(() => checks >= 2)
  await one.made.listener.close()
  const before = { checks, connections }
  // Another listener that only connects: for as many of its checks the first one would have made some too.
  await served(folder, `addr: ${port}, health: connect, ${OFTEN}`)
  await until(() => connections >= before.connections + 6)
  expect(checks - before.checks).toBeLessThanOrEqual(1) // one may have been on its way
})

test.each([
  ['addr: 3000, protocol: tcp, health: /ready'],
  ['addr: ./site, health: /'],
  ['addr: 3000, health: ready'],
])('%s is an error of the configuration', async (listener) => {
  const { problems } = await listenerOf(folder, listener)
  expect(problems).toMatchObject([{ key: 'listeners[0].health', severity: 'error' }])
})
