// Three nodes as real processes, a real PostgreSQL and agents: what visitors see when a node is killed, when the
// database is away, and when all nodes are replaced one after the other.
import { readFileSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import { freePorts } from '@proj/testkit/free-ports'
import { postgresMissing, PostgresServer } from '@proj/testkit/postgres-server'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { until } from '@proj/testkit/until'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'

import {
  adit,
  aditServer,
  lastingPorts,
  portsOf,
  type RunningServer,
  type ServerPorts,
} from './programs.ts'
import { httpService, visit } from './services.ts'

/** Where the end of a lease is waited for: that is 10 s by default, and must not come while a node is only slow. */
const SHORT_LEASE = ['--cluster.lease', '5s']

let postgres: PostgresServer

interface Node extends RunningServer {
  readonly id: string
  readonly dataDir: string
}

/** Starts a node whose data directory outlives it, on ports of its own or on given ones. */
async function startNode(
  id: string,
  database: string,
  again?: { readonly dataDir: string; readonly ports: ServerPorts },
  more: readonly string[] = [],
): Promise<Node> {
  const folder = again === undefined ? temporaryDirectory() : undefined
  if (folder !== undefined) onTestFinished(() => folder[Symbol.dispose]())
  const dataDir = again?.dataDir ?? folder?.path ?? ''
  const { proxy, upstream, admin } = again?.ports ?? (await lastingPorts())
  const at = (port: number): string => `127.0.0.1:${port}`
  const binds = { proxy: at(proxy), upstream: at(upstream), admin: at(admin), cluster: at(0) }
  const args = Object.entries(binds).flatMap(([name, host]) => [`--${name}.bind-addr`, host])
  args.push('--data-dir', dataDir, '--cluster.node-id', id)
  args.push('--drain.delay', '1s', '--json', ...more)
  const process = aditServer(args, { env: { ADIT_CLUSTER_DATABASE_URL: database } })
  return { process, id, dataDir, ports: portsOf(await process.event('ready')) }
}

/** A step takes longer on a busy machine than visitors wait by default: that costs time, never a request. */
const PATIENT = [
  ['--upstream.absent-wait', '60s'],
  ['--proxy.first-byte-timeout', '2m'],
  ['--upgrade.timeout', '2m'],
  ['--upgrade.delay', '0s'],
].flat()

/** Ends the process that has the data directory of a node last, before the end of the first one is waited for. */
function endLast({ dataDir }: Node): void {
  onTestFinished(() => {
    const holder = readFileSync(join(dataDir, 'adit.holder'), 'utf8')
    const { pid } = JSON.parse(holder) as { readonly pid: number }
    try {
      process.kill(pid, 'SIGKILL')
    } catch {
      // it has ended
    }
  })
}

/** Which run of a node another one sees. */
async function bootOf(node: RunningServer, id: string): Promise<string | undefined> {
  const nodes = ((await page(node, '/status/cluster/nodes')) ?? []) as readonly NodeLine[]
  return nodes.find((one) => one.id === id)?.boot
}

/** An agent of some nodes for the endpoint `web`, or another one. */
async function startPublisher(
  port: number,
  nodes: readonly Node[],
  endpoint = 'web',
  more: readonly string[] = [],
): Promise<ReturnType<typeof adit>> {
  const urls = nodes.flatMap(({ ports }) => ['--connect.url', `http://127.0.0.1:${ports.upstream}`])
  const own = ['http', endpoint, String(port), '--connect.spread-interval', '100ms', '--json']
  const publisher = adit([...own, ...urls, ...more])
  await publisher.event('ready')
  return publisher
}

async function page(node: RunningServer, path: string): Promise<unknown> {
  const answer = await fetch(`http://127.0.0.1:${node.ports.admin}${path}`)
  return answer.ok ? await answer.json() : undefined
}

interface NodeLine {
  readonly id: string
  readonly status: string
  readonly endpoints: number
  readonly boot: string
}

/** Nodes that a node sees as active, with the endpoints on each. */
async function seenBy(node: RunningServer): Promise<Record<string, number>> {
  const nodes = ((await page(node, '/status/cluster/nodes')) ?? []) as readonly NodeLine[]
  const active = nodes.filter(({ status }) => status === 'active')
  return Object.fromEntries(active.map(({ id, endpoints }) => [id, endpoints]))
}

/** Asks for the endpoint `web` until it is told to stop, each time the next node, and counts. */
function visitAll(nodes: () => readonly RunningServer[], pauseMs: number) {
  const outcome = { sent: 0, failed: [] as string[] }
  let isOver = false
  const run = async (): Promise<void> => {
    for (let index = 0; !isOver; index++) {
      const open = nodes()
      const node = open[index % open.length]
      if (node === undefined) throw new Error('no node')
      outcome.sent += 1
      const method = index % 2 === 0 ? 'GET' : 'POST'
      const failed = await ask(node.ports.proxy, method)
      if (failed !== undefined) outcome.failed.push(failed)
      await new Promise((resolve) => setTimeout(resolve, pauseMs))
    }
  }
  const running = run()
  return {
    outcome,
    stop: async () => {
      isOver = true
      await running
      return outcome
    },
  }
}

/** What went wrong; undefined: the service has answered. */
async function ask(port: number, method: string): Promise<string | undefined> {
  return await new Promise((resolve) => {
    const asked = request({ port, host: '127.0.0.1', method, agent: false, timeout: 60_000 })
    asked.setHeader('host', 'web.localhost')
    asked.on('response', (response) => {
      response.resume().on('close', () => {
        const code = String(response.headers['adit-error'])
        const isGood = response.complete && response.statusCode === 200
        resolve(isGood ? undefined : `${method} ${response.statusCode} ${code}`)
      })
    })
    asked.on('timeout', () => asked.destroy(new Error('no answer')))
    asked.on('error', (error) => resolve(`${method} ${error.message}`))
    asked.end(method === 'POST' ? 'body' : undefined)
  })
}

/** Fails with what the nodes have logged last. */
function expectNone(failed: readonly string[], nodes: readonly Node[]): void {
  if (failed.length === 0) return
  const logs = nodes.map(({ id, process }) => `--- ${id}\n${process.stderr.slice(-4_000)}`)
  throw new Error(`${failed.length} failed: ${failed.join(', ')}\n${logs.join('\n')}`)
}

async function untilEach(
  nodes: readonly RunningServer[],
  isSo: (seen: Record<string, number>) => boolean,
): Promise<void> {
  for (const node of nodes) await until(async () => isSo(await seenBy(node)))
}

const why = postgresMissing()
test('a node whose database is away ends when it is told to, also before it has started', async () => {
  using folder = temporaryDirectory()
  const { first: admin } = await freePorts(1)
  const args = ['--proxy.bind-addr', '127.0.0.1:0', '--upstream.bind-addr', '127.0.0.1:0']
  args.push('--admin.bind-addr', `127.0.0.1:${admin}`, '--cluster.bind-addr', '127.0.0.1:0')
  args.push('--data-dir', folder.path, '--cluster.database-url', 'postgres://u@127.0.0.1:1/d')
  const node = aditServer(args)
  await until(async () => (await fetch(`http://127.0.0.1:${admin}/ready`)).status === 200)
  expect(node.stdout).toBe('')
  node.kill('SIGTERM')
  expect(await node.exited).toMatchObject({ code: 0 })
  expect(node.stderr).not.toContain('defect')
})

describe.skipIf(why !== undefined)(`three nodes${why === undefined ? '' : ` (${why})`}`, () => {
  beforeAll(async () => {
    postgres = await PostgresServer.start()
  })
  afterAll(async () => {
    await postgres[Symbol.asyncDispose]()
  })

  test('carry visitors of each to an agent of any, and go on when one is killed or the database is away', async () => {
    const database = await postgres.createDatabase()
    const start = async (id: string): Promise<Node> =>
      await startNode(id, database, undefined, SHORT_LEASE)
    const [a, b, c] = await Promise.all(['a', 'b', 'c'].map(start))
    if (a === undefined || b === undefined || c === undefined) throw new Error('no node')
    const service = await httpService((_, response) => response.end('served'))
    await startPublisher(service.port, [a, b])
    await untilEach([a, b, c], (seen) => seen['a'] === 1 && seen['b'] === 1 && 'c' in seen)
    for (const { ports } of [a, b, c]) {
      const { status, body } = await visit(ports.proxy)
      expect([status, body.toString()]).toEqual([200, 'served'])
    }
    // Secrets of the database are in no log line and in no page.
    expect(a.process.stderr).not.toContain(postgres.password)

    // The database is away: endpoints are served, and an agent that comes back gets its name again.
    await postgres.stop()
    const away = visitAll(() => [a, b, c], 20)
    await until(() => away.outcome.sent > 50)
    expectNone((await away.stop()).failed, [a, b, c])
    expect(await page(c, '/status/cluster/nodes')).toHaveLength(3)
    await postgres.run()

    // A node is killed without a word: its agents have the other one, and its visitors go there.
    const killed = visitAll(() => [b, c], 5)
    await until(() => killed.outcome.sent > 20)
    a.process.kill('SIGKILL')
    await a.process.exited
    await untilEach([b, c], (seen) => !('a' in seen))
    const { failed } = await killed.stop()
    // What was on its way through the node that died.
    if (failed.length > 2) expectNone(failed, [b, c])

    // The same node comes back from its data directory.
    const back = await startNode('a', database, a, SHORT_LEASE)
    await untilEach([back, b, c], (seen) => ['a', 'b', 'c'].every((id) => id in seen))
    expect((await visit(back.ports.proxy)).status).toBe(200)
  })

  test('know the agent of a cookie, whichever node it is connected to', async () => {
    const database = await postgres.createDatabase()
    const folder = temporaryDirectory()
    onTestFinished(() => folder[Symbol.dispose]())
    const file = folder.write('server.yaml', 'endpoints: [{ name: web, balance: cookie }]\n')
    const [a, b, c] = (await Promise.all(
      ['a', 'b', 'c'].map((id) => startNode(id, database, undefined, ['--config', file])),
    )) as [Node, Node, Node]
    const names = ['at a', 'at b', 'also at b'] as const
    for (const [index, name] of names.entries()) {
      const service = await httpService((_, response) => response.end(name))
      await startPublisher(service.port, [index === 0 ? a : b], 'web', [
        '--connect.connections',
        '1',
      ])
    }
    await untilEach([a, b, c], (seen) => seen['a'] === 1 && seen['b'] === 1 && 'c' in seen)
    const ask = async ({ ports }: Node, cookie?: string) => {
      const answer = await fetch(`http://127.0.0.1:${ports.proxy}/`, {
        headers: { 'x-piko-endpoint': 'web', ...(cookie !== undefined && { cookie }) },
      })
      const set = answer.headers.getSetCookie().find((line) => line.startsWith('adit_agent='))
      return { name: await answer.text(), cookie: set?.split(';')[0] }
    }
    // At c nobody is connected: it has its cookies from what the others tell of their agents.
    const cookies = new Map<string, string | undefined>()
    await until(async () => {
      for (const node of [a, b, c]) {
        const { name, cookie } = await ask(node)
        if (cookie !== undefined) cookies.set(name, cookie)
      }
      return names.every((name) => cookies.has(name))
    })
    const atC = new Set<string>()
    await until(async () => {
      const { name, cookie } = await ask(c)
      expect(cookie).toBe(cookies.get(name))
      return atC.add(name).size === names.length
    })
    for (const [name, cookie] of cookies) {
      for (const node of [a, b, c, a, b, c]) {
        expect(await ask(node, cookie)).toEqual({ name, cookie: undefined })
      }
    }
  })

  test('are one server for names: one identity has a name, on whichever node it is asked for', async () => {
    const database = await postgres.createDatabase()
    const [a, b] = await Promise.all(['a', 'b'].map((id) => startNode(id, database)))
    if (a === undefined || b === undefined) throw new Error('no node')
    const service = await httpService((_, response) => response.end('first'))
    const first = await startPublisher(service.port, [a], 'web', ['--exclusive'])
    await untilEach([a, b], (seen) => seen['a'] === 1)
    const exclusive = ['http', 'web', String(service.port), '--exclusive', '--json']
    const url = ['--connect.url', `http://127.0.0.1:${b.ports.upstream}`]
    const second = adit([...exclusive, ...url])
    await second.line(/name-in-use/)
    expect((await visit(b.ports.proxy)).body.toString()).toBe('first')
    await second.stop()
    // It can be had on the other node as soon as the first one is gone.
    await first.stop()
    await until(async () => (await seenBy(b))['a'] === 0)
    await adit([...exclusive, ...url]).event('ready')
    await untilEach([a], (seen) => seen['b'] === 1)
  })

  test('are replaced one after the other without a failed request', async () => {
    const database = await postgres.createDatabase()
    const nodes = await Promise.all(['a', 'b', 'c'].map((id) => startNode(id, database)))
    const service = await httpService((_, response) => response.end('served'))
    await startPublisher(service.port, nodes)
    await startPublisher(service.port, nodes)
    await untilEach(nodes, (seen) => ['a', 'b', 'c'].every((id) => id in seen))
    let open: readonly RunningServer[] = nodes
    const visits = visitAll(() => open, 5)
    for (const [index, node] of nodes.entries()) {
      // A balancer that sees /ready sends no more, and none of what it has sent is lost.
      open = open.filter((one) => one !== node)
      node.process.kill('SIGTERM')
      await node.process.exited
      nodes[index] = await startNode(node.id, database, node)
      open = nodes
      await untilEach(nodes, (seen) => ['a', 'b', 'c'].every((id) => id in seen))
    }
    const { failed, sent } = await visits.stop()
    expectNone(failed, nodes)
    expect(sent).toBeGreaterThan(20)
  })

  test('are upgraded in place without a failed request of visitors of the others', async () => {
    const database = await postgres.createDatabase()
    const start = async (id: string): Promise<Node> =>
      await startNode(id, database, undefined, PATIENT)
    const [a, b] = [await start('a'), await start('b')]
    endLast(a)
    const service = await httpService((_, response) => response.end('served'))
    await startPublisher(service.port, [a])
    await untilEach([a, b], (seen) => seen['a'] === 1 && 'b' in seen)
    const visits = visitAll(() => [b, b], 5)
    await until(() => visits.outcome.sent > 20)
    const before = await bootOf(b, 'a')
    const command = aditServer(['upgrade', '--upgrade.timeout', '2m', '--data-dir', a.dataDir])
    expect(await command.exited).toMatchObject({ code: 0 })
    const isNew = (boot: string | undefined): boolean => boot !== undefined && boot !== before
    await until(async () => isNew(await bootOf(b, 'a')))
    await untilEach([b], (seen) => seen['a'] === 1)
    const { sent } = visits.outcome
    await until(() => visits.outcome.sent > sent + 50)
    expectNone((await visits.stop()).failed, [a, b])
    expect(a.process.stderr).not.toContain('another process has joined as this node')
  })
})
