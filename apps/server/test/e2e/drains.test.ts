import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { connectRaw } from '@proj/testkit/raw-http'
import type { Spawned } from '@proj/testkit/spawned'
import { CountingService, SteadyLoad } from '@proj/testkit/steady-load'
import { until } from '@proj/testkit/until'

import { adit, type RunningServer, startAccess, startAgent, startServer } from './programs.ts'
import { download, httpService, type Service, tcpService, visit } from './services.ts'

/** A server that stops accepting this long after SIGTERM. */
const DELAY_MS = 2_000

/**
 * Does something that has to be done before a time is over: on a machine that was too slow for it nothing was shown,
 * and it is done again with three times the time.
 *
 * @param attempt - returns whether it was done in time.
 */
async function inTime(
  firstMs: number,
  attempt: (delayMs: number) => Promise<boolean>,
): Promise<void> {
  for (let delayMs = firstMs; !(await attempt(delayMs)); delayMs *= 3) continue
}

/** Waits until the server says that it stops. */
async function notReady({ ports }: RunningServer): Promise<void> {
  const url = `http://127.0.0.1:${ports.admin}/ready`
  await until(async () => (await fetch(url)).status === 503)
}

/** Waits until the server routes nothing to an agent any more. */
async function noAgent({ ports }: RunningServer): Promise<void> {
  const url = `http://127.0.0.1:${ports.admin}/status/upstream/endpoints`
  await until(async () => (await (await fetch(url)).text()) === '{}\n')
}

/** A service whose answer to `/slow` goes on for as long as the test wants. */
async function slowService(): Promise<Service & { finish: () => void }> {
  const answers: ServerResponse[] = []
  const service = await httpService((request, response) => {
    if (request.url !== '/slow') {
      response.end()
      return
    }
    answers.push(response)
    response.write('begun, ')
  })
  return { ...service, finish: () => answers.forEach((answer) => answer.end('finished')) }
}

test('a download that runs when the server is stopped finishes, and the server ends with 0', async () => {
  const service = await slowService()
  const server = await startServer(undefined, ['--drain.delay', '0s'])
  await startAgent('http', 'web', service.port, server)
  const response = await download(server.ports.proxy, '/slow')
  response.setEncoding('utf8')
  expect((await once(response, 'data'))[0]).toBe('begun, ')
  server.process.kill('SIGTERM')
  await server.process.line(/stopping/)
  const admin = `http://127.0.0.1:${server.ports.admin}/ready`
  expect((await fetch(admin)).status).toBe(503)
  await expect(visit(server.ports.proxy)).rejects.toThrow(/ECONNREFUSED/)
  service.finish()
  expect((await response.toArray()).join('')).toBe('finished')
  expect(response.complete).toBe(true)
  expect(await server.process.exited).toEqual({ code: 0, signal: null })
})

test('a download that runs when the agent is stopped finishes, and the agent ends with 0', async () => {
  const service = await slowService()
  const server = await startServer()
  const agent = await startAgent('http', 'web', service.port, server)
  const response = await download(server.ports.proxy, '/slow')
  response.setEncoding('utf8')
  expect((await once(response, 'data'))[0]).toBe('begun, ')
  agent.kill('SIGTERM')
  await agent.line(/stopping/)
  const { headers } = await until(async () => {
    const answer = await visit(server.ports.proxy)
    return answer.status === 503 && answer
  })
  expect(headers['adit-error']).toBe('no_upstream')
  service.finish()
  expect((await response.toArray()).join('')).toBe('finished')
  expect(response.complete).toBe(true)
  expect(await agent.exited).toEqual({ code: 0, signal: null })
})

test('a connection that runs when the consumer is stopped finishes, and it ends with 0', async () => {
  const service = await tcpService((socket) => socket.pipe(socket))
  const server = await startServer()
  await startAgent('tcp', 'pg', service.port, server)
  const access = await startAccess('pg', server)
  using connection = await connectRaw(access.port)
  await connection.send('one')
  expect((await connection.read(3)).toString()).toBe('one')
  access.process.kill('SIGTERM')
  await access.process.line(/stopping/)
  await connection.send('two')
  expect((await connection.read(3)).toString()).toBe('two')
  connection.end()
  expect(await connection.ended).toBe('fin')
  expect(await access.process.exited).toEqual({ code: 0, signal: null })
})

test('an agent serves on for drain.delay, and is not ready meanwhile', async () => {
  const service = await httpService((_, response) => response.end('hello'))
  const server = await startServer()
  const times = [
    '--drain.delay',
    '10m',
    '--grace-period',
    '20m',
    '--admin.bind-addr',
    '127.0.0.1:0',
  ]
  const agent = await startAgent('http', 'web', service.port, server, times)
  const address = /127\.0\.0\.1:\d+/.exec(await agent.line(/admin port open/))?.[0]
  const ready = `http://${address}/ready`
  expect((await fetch(ready)).status).toBe(200)
  agent.kill('SIGTERM')
  await agent.line(/stopping/)
  expect((await fetch(ready)).status).toBe(503)
  expect((await visit(server.ports.proxy)).status).toBe(200)
  agent.kill('SIGTERM') // the second signal ends the wait too
  expect(await agent.exited).toEqual({ code: 0, signal: null })
})

test.for(['server', 'agent'] as const)('a second signal ends the %s at once', async (who) => {
  const service = await slowService()
  const server = await startServer()
  const agent = await startAgent('http', 'web', service.port, server)
  const response = await download(server.ports.proxy, '/slow')
  const broken = once(response, 'error')
  response.resume()
  const stopped = who === 'server' ? server.process : agent
  stopped.kill('SIGTERM')
  await stopped.line(/stopping/)
  stopped.kill('SIGTERM')
  expect((await stopped.exited).signal).toBe(null)
  await broken
  expect(response.complete).toBe(false)
})

test('the grace period ends what does not end by itself', async () => {
  const service = await slowService()
  const server = await startServer(undefined, ['--grace-period', '50ms'])
  await startAgent('http', 'web', service.port, server)
  const response = await download(server.ports.proxy, '/slow')
  const broken = once(response, 'error')
  response.resume()
  server.process.kill('SIGTERM')
  expect(await server.process.exited).toEqual({ code: 0, signal: null })
  await broken
})

test('a stopping server accepts visitors for drain.delay, and loses none of them', async () => {
  const service = new CountingService()
  onTestFinished(() => service.close())
  // On a busy machine nothing is rejected, and no GET is sent to a second session.
  const patience = ['--proxy.max-loop-delay', 'inf', '--grace-period', '5m']
  const server = await startServer(undefined, ['--drain.delay', `${DELAY_MS}ms`, ...patience])
  await startAgent('http', 'web', await service.listen(), server, ['--connect.connections', '1'])
  const load = new SteadyLoad(service, {
    port: server.ports.proxy,
    host: 'web.localhost',
    perSecond: 100,
    maxFresh: 50,
  })
  load.start()
  await until(() => load.answered > 50)
  const stoppedAt = Date.now()
  const before = load.answered
  server.process.kill('SIGTERM')
  await notReady(server)
  // Nothing else listens on the port, so those that come later are refused. No other request fails, but the
  // kernel resets those that it accepts between the last look at its queue and the close of the port.
  await until(() => load.failed > 0)
  const { answered, failed, doubled } = await load.stop()
  expect(answered).toBeGreaterThan(before)
  expect(doubled).toBe(0)
  const others = failed.filter((line) => !line.includes('ECONNREFUSED'))
  expect(others.filter((line) => !line.includes('ECONNRESET'))).toEqual([])
  const firstAt = Date.parse(failed[0]?.split(' ')[0] ?? '')
  expect(firstAt - stoppedAt).toBeGreaterThanOrEqual(DELAY_MS)
  expect(await server.process.exited).toEqual({ code: 0, signal: null })
})

test('visitors that come out of the queue when the ports are closed have their agent', async () => {
  const service = await httpService((_, response) => response.end('hello'))
  const other = await startServer()
  const url = (one: RunningServer): string => `http://127.0.0.1:${one.ports.upstream}`
  await inTime(2_000, async (delayMs) => {
    const times = ['--drain.delay', `${delayMs}ms`, '--drain.idle', '0s', '--grace-period', '5m']
    const server = await startServer(undefined, [...times, '--upstream.absent-wait', '0s'])
    const urls = [server, other].flatMap((one) => ['--connect.url', url(one)])
    const agent = adit(['http', 'web', String(service.port), '--json', ...urls])
    await until(async () => (await visit(server.ports.proxy)).status === 200)
    await until(async () => (await visit(other.ports.proxy)).status === 200)
    const stoppedAtMs = performance.now()
    server.process.kill('SIGTERM')
    await server.process.line(/stopping/)
    await agent.line(/session ended, reconnecting/) // it was asked to move
    await agent.line((line) => line.includes('connected to server') && line.includes(url(other)))
    server.process.kill('SIGSTOP')
    if (performance.now() - stoppedAtMs > delayMs) return false
    const visits = Array.from({ length: 20 }, async () => await connectRaw(server.ports.proxy))
    const visitors = await Promise.all(visits)
    const head = 'GET / HTTP/1.1\r\nhost: web.localhost\r\nconnection: close\r\n\r\n'
    await Promise.all(visitors.map(async (one) => await one.send(head)))
    await delay(stoppedAtMs + delayMs + 500 - performance.now()) // its time to accept is over when it goes on
    server.process.kill('SIGCONT')
    const answers = await Promise.all(visitors.map(async (one) => await one.readResponse()))
    expect(answers.map(({ status }) => status)).toEqual(visitors.map(() => 200))
    for (const one of visitors) one.socket.destroy()
    return true
  })
})

test('a kept-alive visitor is told to connect again, and an idle one is closed', async () => {
  const service = await httpService((_, response) => response.end('hello'))
  const ask = 'GET / HTTP/1.1\r\nhost: web.localhost\r\n\r\n'
  await inTime(1_000, async (delayMs) => {
    const times = ['--drain.delay', `${delayMs}ms`, '--drain.idle', '0s']
    const server = await startServer(undefined, times)
    await startAgent('http', 'web', service.port, server)
    using idle = await connectRaw(server.ports.proxy)
    using busy = await connectRaw(server.ports.proxy)
    for (const one of [idle, busy]) {
      await one.send(ask)
      expect(await one.readTo('hello')).not.toMatch(/connection: close/i)
    }
    const stoppedAtMs = performance.now()
    server.process.kill('SIGTERM')
    await server.process.line(/stopping/)
    const answer = busy.send(ask).then(async () => await busy.readTo('hello'))
    const told = await answer.catch(() => 'closed')
    if (performance.now() - stoppedAtMs > delayMs) return false
    expect(told).toMatch(/connection: close/i)
    expect(await idle.ended).toBe('fin')
    expect(await server.process.exited).toEqual({ code: 0, signal: null })
    return true
  })
})

test('Ctrl-C does not wait for load balancers', async () => {
  const service = await httpService((_, response) => response.end('hello'))
  const server = await startServer(undefined, ['--drain.delay', '10m', '--grace-period', '20m'])
  await startAgent('http', 'web', service.port, server)
  server.process.kill('SIGINT')
  expect(await server.process.exited).toEqual({ code: 0, signal: null })
})

test('a server without agents does not wait for load balancers', async () => {
  const server = await startServer(undefined, ['--drain.delay', '10m', '--grace-period', '20m'])
  server.process.kill('SIGTERM')
  expect(await server.process.exited).toEqual({ code: 0, signal: null })
})

/** Long-lived connections are closed at once when such a server stops. */
const CLOSES_AT_ONCE = ['--drain.delay', '0s', '--drain.long-lived', '0s', '--grace-period', '2m']

/** Starts a server and an agent, one of which is to stop and closes long-lived connections at once then. */
async function startPair(
  who: 'server' | 'agent',
  kind: 'http' | 'tcp',
  endpoint: string,
  port: number,
): Promise<{ readonly server: RunningServer; readonly stopped: Spawned }> {
  const server = await startServer(undefined, who === 'server' ? CLOSES_AT_ONCE : [])
  const own = ['--drain.long-lived', '0s', '--grace-period', '2m']
  const agent = await startAgent(kind, endpoint, port, server, who === 'agent' ? own : [])
  return { server, stopped: who === 'server' ? server.process : agent }
}

test.for(['server', 'agent'] as const)(
  'a WebSocket of a %s that stops is closed with 1001 behind the last whole frame, at both ends',
  async (who) => {
    const fromVisitor: Buffer[] = []
    const service = await tcpService((socket) => {
      socket.once('data', () => {
        socket.write(
          'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n',
        )
        socket.write(Buffer.from('820568656c6c6f8203', 'hex')) // a whole frame, and the head of another
        socket.on('data', (bytes) => fromVisitor.push(bytes))
      })
    })
    const { server, stopped } = await startPair(who, 'http', 'web', service.port)
    using visitor = await connectRaw(server.ports.proxy)
    await visitor.send(
      'GET / HTTP/1.1\r\nhost: web.localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n',
    )
    await visitor.readTo('\r\n\r\n')
    expect((await visitor.read(9)).toString('hex')).toBe('820568656c6c6f8203')
    stopped.kill('SIGTERM')
    await (who === 'server' ? notReady(server) : noAgent(server))
    const [socket] = service.sockets
    socket?.write(Buffer.from('616263820164', 'hex')) // its rest, and another
    const reason = `${who} restarts, connect again`
    expect(await visitor.readTo('again')).toBe(
      `abc\x88${String.fromCharCode(2 + reason.length)}\x03\xe9${reason}`,
    )
    await visitor.send(Buffer.from('88820000000003e9', 'hex')) // the visitor's answer
    visitor.end()
    await until(() => Buffer.concat(fromVisitor).toString('hex') === '88820000000003e9')
    socket?.end()
    expect(await visitor.ended).toBe('fin')
    expect(await stopped.exited).toEqual({ code: 0, signal: null })
  },
)

test('while a long-lived connection keeps the process, it accepts visitors', async () => {
  const service = new CountingService()
  onTestFinished(() => service.close())
  const times = ['--drain.delay', '0s', '--drain.long-lived', '10m', '--grace-period', '20m']
  const server = await startServer(undefined, [...times, '--drain.idle', '0s'])
  await startAgent('http', 'web', await service.listen(), server)
  const load = new SteadyLoad(service, {
    port: server.ports.proxy,
    host: 'web.localhost',
    webSockets: 1,
    events: 1,
    uploads: 1,
  })
  const finish = await load.open()
  server.process.kill('SIGTERM')
  await notReady(server)
  for (let count = 0; count < 10; count += 1) {
    expect((await visit(server.ports.proxy)).status).toBe(200)
  }
  await finish()
  expect((await load.stop()).failed).toEqual([])
  expect(await server.process.exited).toEqual({ code: 0, signal: null })
})

test.for(['server', 'agent'] as const)(
  'server-sent events of a %s that stops end behind an event',
  async (who) => {
    const events: ServerResponse[] = []
    const service = await httpService((_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write('data: one\n')
      events.push(response)
    })
    const { server, stopped } = await startPair(who, 'http', 'web', service.port)
    const response = await download(server.ports.proxy, '/')
    response.setEncoding('utf8')
    expect((await once(response, 'data'))[0]).toBe('data: one\n')
    stopped.kill('SIGTERM')
    await (who === 'server' ? notReady(server) : noAgent(server))
    events[0]?.write('data: two\n\n')
    expect((await response.toArray()).join('')).toBe('data: two\n\n')
    expect(response.complete).toBe(true)
    expect(await stopped.exited).toEqual({ code: 0, signal: null })
  },
)

test.for(['server', 'agent', 'access'] as const)(
  'TCP connections of a %s that stops are reset, and the others hear why',
  async (who) => {
    const service = await tcpService((socket) => socket.pipe(socket))
    const { server, stopped: first } = await startPair(
      who === 'access' ? 'server' : who,
      'tcp',
      'pg',
      service.port,
    )
    const own = who === 'access' ? ['--drain.long-lived', '0s', '--grace-period', '2m'] : []
    const access = await startAccess('pg', server, ['--log.level', 'debug', ...own])
    const stopped = who === 'access' ? access.process : first
    using connection = await connectRaw(access.port)
    await connection.send('one')
    expect((await connection.read(3)).toString()).toBe('one')
    stopped.kill('SIGTERM')
    expect(await connection.ended).toBe('reset')
    await until(() => service.sockets.size === 0)
    if (who !== 'access') await access.process.line(/shutting down|draining/)
    expect(await stopped.exited).toEqual({ code: 0, signal: null })
  },
)

test.for(['server', 'access'] as const)(
  'TCP connections that begin in drain.delay, after drain.long_lived of a %s, are reset as well',
  async (who) => {
    const service = await tcpService((socket) => socket.pipe(socket))
    await inTime(1_000, async (delayMs) => {
      const times = ['--drain.delay', `${delayMs}ms`, '--drain.long-lived', '0s']
      const own = (one: string) => (one === who ? [...times, '--grace-period', '10m'] : [])
      const server = await startServer(undefined, own('server'))
      await startAgent('tcp', 'pg', service.port, server)
      const access = await startAccess('pg', server, own('access'))
      const stopped = who === 'access' ? access.process : server.process
      const stoppedAtMs = performance.now()
      stopped.kill('SIGTERM')
      await stopped.line(/stopping/)
      const connection = await connectRaw(access.port).catch(() => undefined)
      const echo = connection?.send('one').then(async () => await connection.read(3))
      const heard = await echo?.catch(() => undefined)
      if (performance.now() - stoppedAtMs > delayMs) {
        connection?.socket.destroy()
        return false
      }
      expect(heard?.toString()).toBe('one')
      expect(await connection?.ended).toBe('reset')
      expect(await stopped.exited).toEqual({ code: 0, signal: null })
      return true
    })
  },
)
