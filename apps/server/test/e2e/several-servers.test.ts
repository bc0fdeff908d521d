// Two servers and what the kill of one of them costs: visitors that take turns between both as a balancer
// has them do, and the local connections of an access.
import { once } from 'node:events'
import { Agent, createServer, request } from 'node:http'
import { connect, createServer as createTcpServer } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { listening } from '@proj/testkit/listening'
import { until } from '@proj/testkit/until'
import { expect, onTestFinished, test } from 'vitest'

import { adit, lastingPorts, type RunningServer, startServer } from './programs.ts'

const REQUESTS = 800
const PAUSE_MS = 10
const KILL_AT = 200
const RETURN_AT = 400

/** Agent sessions of an endpoint at a server. */
async function sessionsOf(server: RunningServer, endpoint: string): Promise<number> {
  const url = `http://127.0.0.1:${server.ports.admin}/status/upstream/endpoints`
  const answer = await fetch(url)
  const endpoints = (await answer.json()) as Record<string, number>
  return endpoints[endpoint] ?? 0
}

/** Ports of a server, for its successor. */
async function killed(server: RunningServer): Promise<RunningServer['ports']> {
  server.process.kill('SIGKILL')
  await server.process.exited
  return server.ports
}

const urlsOf = (port: 'upstream' | 'proxy', ...servers: readonly RunningServer[]): string[] =>
  servers.flatMap(({ ports }) => ['--connect.url', `http://127.0.0.1:${ports[port]}`])

interface Outcome {
  readonly status: number
  /** Whether the server has no agent, or no connection was made at all: a balancer takes the other server then. */
  readonly isElsewhere: boolean
}

async function send(port: number, method: string, tag: string, agent: Agent): Promise<Outcome> {
  return await new Promise((resolve) => {
    const visitor = request({ port, host: '127.0.0.1', path: `/${tag}`, method, agent })
    visitor.setHeader('host', 'web.localhost')
    visitor.on('response', (response) => {
      response.resume().on('close', () => {
        const isWhole = response.complete
        const isElsewhere = response.statusCode === 503
        resolve({ status: isWhole ? (response.statusCode ?? 0) : 0, isElsewhere })
      })
    })
    visitor.on('error', (error: NodeJS.ErrnoException) => {
      resolve({ status: 0, isElsewhere: error.code === 'ECONNREFUSED' })
    })
    visitor.end(method === 'POST' ? tag : undefined)
  })
}

test('kill -9 of one of two servers fails at most what it was carrying, and it is used again when it is back', async ({
  annotate,
}) => {
  const executed = new Map<string, number>()
  const service = createServer((visit, response) => {
    const tag = `${visit.method} ${visit.url}`
    executed.set(tag, (executed.get(tag) ?? 0) + 1)
    visit.resume().on('end', () => response.end('ok'))
  })
  const listen = await listening(service)
  onTestFinished(() => listen.close())
  const servers: [RunningServer, RunningServer] = [
    await startServer(await lastingPorts()),
    await startServer(),
  ]
  const intervals = ['--connect.spread-interval', '100ms']
  const urls = urlsOf('upstream', ...servers)
  const publisher = adit(['http', 'web', String(listen.port), ...urls, ...intervals, '--json'])
  await publisher.event('ready')
  await until(async () => (await sessionsOf(servers[0], 'web')) === 1)
  await until(async () => (await sessionsOf(servers[1], 'web')) === 1)

  const keepAlive = [new Agent({ keepAlive: true }), new Agent({ keepAlive: true })] as const
  onTestFinished(() => {
    for (const agent of keepAlive) agent.destroy()
  })
  const failures: { readonly method: string; readonly index: number }[] = []
  const running: Promise<void>[] = []
  let elsewhere = 0
  /** Requests that the first server has and has not answered. */
  const open = new Set<number>()
  /** Those that it has while it is killed, and those that come before it is gone. */
  const carried = new Set<number>()
  let isDying = false
  const visit = async (index: number): Promise<void> => {
    // Each half of the requests of each server is POST.
    const method = index % 4 < 2 ? 'GET' : 'POST'
    const first = index % 2
    for (const at of [first, 1 - first] as const) {
      const port = servers[at as 0 | 1].ports.proxy
      if (at === 0) {
        open.add(index)
        if (isDying) carried.add(index)
      }
      const { status, isElsewhere } = await send(port, method, `r${index}`, keepAlive[at as 0 | 1])
      if (at === 0) open.delete(index)
      if (status === 200) return
      if (isElsewhere) elsewhere += 1
      // What may have reached the service is repeated only where that does no harm.
      if (!isElsewhere && method === 'POST') break
    }
    failures.push({ index, method })
  }
  let returned: Promise<unknown> = Promise.resolve()
  for (let index = 0; index < REQUESTS; index++) {
    running.push(visit(index))
    if (index === KILL_AT) {
      for (const one of open) carried.add(one)
      isDying = true
      servers[0].process.kill('SIGKILL')
      // Behind its end, the ends of its connections are read in the same turn or the next.
      void servers[0].process.exited.then(async () => {
        await delay(0)
        isDying = false
      })
    }
    if (index === RETURN_AT) {
      const ports = await killed(servers[0])
      returned = startServer(ports).then(async (again) => {
        servers[0] = again
        await until(async () => (await sessionsOf(again, 'web')) === 1)
      })
    }
    await delay(PAUSE_MS)
  }
  await Promise.all(running)
  await returned
  await annotate(
    `failed ${failures.length} of ${REQUESTS}, ${carried.size} were on their way; served by the other server ${elsewhere}`,
  )
  expect(elsewhere).toBeGreaterThan(0) // the server was away
  // A GET that it had is sent to the other server.
  const others = failures.filter(({ index, method }) => !carried.has(index) || method !== 'POST')
  expect(others).toEqual([])
  const twice = [...executed].filter(([tag, count]) => tag.startsWith('POST') && count > 1)
  expect(twice).toEqual([])
  await until(async () => (await sessionsOf(servers[1], 'web')) === 1)
})

test('an access opens its next connection at the server that is left', async () => {
  const printer = createTcpServer((socket) => socket.on('error', () => {}).end('ready'))
  const listen = await listening(printer)
  onTestFinished(() => listen.close())
  const servers = [await startServer(), await startServer()] as const
  const urls = { offered: urlsOf('upstream', ...servers), reached: urlsOf('proxy', ...servers) }
  const office = adit(['tcp', 'printer', String(listen.port), '--json', ...urls.offered])
  await office.event('ready')
  for (const server of servers) {
    await until(async () => (await sessionsOf(server, 'printer')) === 1)
  }
  const local = ['--bind', '127.0.0.1:0', '--json']
  const desk = adit(['access', 'printer', ...local, ...urls.reached])
  const ready = (await desk.event('ready')) as {
    accesses: readonly { addresses: readonly string[] }[]
    servers: readonly { server: string; serverId: string }[]
  }
  const port = Number(ready.accesses[0]?.addresses[0]?.split(':').at(-1))
  const print = async (): Promise<string> => {
    const socket = connect({ port, host: '127.0.0.1' })
    let text = ''
    socket.on('data', (chunk) => (text += String(chunk)))
    socket.on('error', () => {})
    await once(socket, 'close')
    return text
  }
  expect(await print()).toBe('ready')
  await killed(servers[0])
  for (let job = 0; job < 20; job++) expect(await print()).toBe('ready')
})
