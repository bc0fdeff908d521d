// A server with several workers is one server: one ready line, one log, one admin port, one end.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { reserveName } from '@proj/tunnel'
import { CountingService, SteadyLoad } from '@proj/testkit/steady-load'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { until } from '@proj/testkit/until'
import { expect, onTestFinished, test } from 'vitest'

import { aditServer, type RunningServer, startAgent, startServer } from './programs.ts'
import { httpService, visit } from './services.ts'

const WORKERS = 3

/** On a busy machine a step takes longer than the limits for visitors: that costs time, never a request. */
const SLOW_MACHINE = [
  // An agent is ready when one worker has it: the others know of it some milliseconds later.
  ['--upstream.start-wait', '60s'],
  ['--upstream.absent-wait', '60s'],
  ['--proxy.first-byte-timeout', '2m'],
  ['--upstream.busy-wait', '1m'],
  ['--upgrade.timeout', '2m'],
  ['--grace-period', '2m'],
].flat()

/** For how long after the kill requests may fail that it had, ms: all of them fail at once, and are read in turn. */
const DEATH_MS = 5_000

interface WorkerNode {
  readonly status: string
  readonly sessions: number
  readonly worker?: { readonly worker: number; readonly pid: number; readonly visitors: number }
}

async function startWorkers(args: readonly string[] = []): Promise<RunningServer> {
  return await startServer(undefined, ['--workers', String(WORKERS), ...SLOW_MACHINE, ...args])
}

/** A page of the admin port. */
async function page({ ports }: RunningServer, path: string): Promise<string> {
  const answer = await fetch(`http://127.0.0.1:${ports.admin}${path}`)
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`)
  return await answer.text()
}

async function nodes(server: RunningServer): Promise<readonly WorkerNode[]> {
  return JSON.parse(await page(server, '/status/cluster/nodes')) as WorkerNode[]
}

/** Process ids by worker, once all of them know one another. */
async function pids(server: RunningServer): Promise<ReadonlyMap<number, number>> {
  return await until(async () => {
    const all = await nodes(server).catch(() => [])
    const active = all.filter(({ status, worker }) => status === 'active' && worker !== undefined)
    if (active.length !== WORKERS || all.length !== WORKERS) return undefined
    return new Map(active.map(({ worker }) => [worker?.worker ?? 0, worker?.pid ?? 0]))
  })
}

/** Whether a process is there. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

async function loaded(server: RunningServer) {
  const service = new CountingService()
  const servicePort = await service.listen()
  onTestFinished(() => service.close())
  await startAgent('http', 'web', servicePort, server)
  const load = new SteadyLoad(service, {
    port: server.ports.proxy,
    host: 'web.localhost',
    perSecond: 100,
    webSockets: 0,
    events: 0,
    uploads: 0,
  })
  load.start()
  return load
}

test('they are one server for visitors, agents and operators', async () => {
  const server = await startWorkers()
  expect(JSON.parse(server.process.stdout)).toMatchObject({ event: 'ready', workers: WORKERS })
  const service = await httpService((_, response) => void response.end('hello'))
  await startAgent('http', 'web', service.port, server)
  const visits = 60
  for (let count = 0; count < visits; count += 1) {
    expect((await visit(server.ports.proxy)).body.toString()).toBe('hello')
  }
  await pids(server)
  const edge = JSON.parse(await page(server, '/status/edge')) as { requests: number }
  expect(edge.requests).toBe(visits)
  const endpoints = JSON.parse(await page(server, '/status/upstream/endpoints')) as object
  const sessions = JSON.parse(await page(server, '/status/upstream/sessions')) as unknown[]
  expect(endpoints).toEqual({ web: sessions.length })
  const metrics = await page(server, '/metrics')
  const answered = [...metrics.matchAll(/^piko_proxy_requests_total\{.*worker="(\d)".*\} (\d+)$/gm)]
  expect(answered.reduce((sum, [, , count]) => sum + Number(count), 0)).toBe(visits)
  expect(metrics).toMatch(/^adit_worker_deaths_total 0$/m)
  const rss = metrics.match(/^process_resident_memory_bytes\{worker="\d"\} \d+$/gm)
  expect(rss).toHaveLength(WORKERS)
  const status = aditServer(['status', '--url', `http://127.0.0.1:${server.ports.admin}`])
  expect(await status.exited).toMatchObject({ code: 0 })
  expect(status.stdout).toMatch(/^WORKER +PID +STATE +AGENTS/m)
  expect(status.stdout.match(/^[123] +\d+ +active/gm)).toHaveLength(WORKERS)
  const lines = server.process.stderr.trimEnd().split('\n')
  for (const line of lines) expect(JSON.parse(line)).toHaveProperty('worker')
})

test('a worker that is killed is started again, and visitors of the others do not notice', async () => {
  const server = await startWorkers()
  const load = await loaded(server)
  const before = await pids(server)
  const kills: number[] = []
  for (const worker of [2, 3]) {
    kills.push(Date.now())
    process.kill(before.get(worker) ?? -1, 'SIGKILL')
    await server.process.line(new RegExp(`"number":${worker}\\b.*worker started`))
    const now = await pids(server)
    expect(now.get(worker)).not.toBe(before.get(worker))
    expect(now.get(1)).toBe(before.get(1))
  }
  const report = await load.stop()
  // Those that the killed worker had: its own visitors see a reset, those of others that had sent a POST there 502.
  const other = report.failed.filter((line) => !/ECONNRESET|socket hang up|POST: +502/.test(line))
  expect(other).toEqual([])
  expect(report).toMatchObject({ refused: 0, wrong: 0, doubledPosts: 0 })
  const late = report.failed.filter((line) => {
    const at = Date.parse(line.split(' ')[0] ?? '')
    return !kills.some((killed) => at >= killed && at < killed + DEATH_MS)
  })
  expect(late).toEqual([])
  expect(report.answered).toBeGreaterThan(report.sent / 2)
  expect(await page(server, '/metrics')).toMatch(/^adit_worker_deaths_total 2$/m)
  expect(server.process.stderr).toContain('worker ended: it is started again')
})

test('SIGHUP replaces them one by one to new settings, and no request fails', async () => {
  using directory = temporaryDirectory()
  const file = join(directory.path, 'server.yaml')
  writeFileSync(file, 'proxy:\n  max_hops: 10\n')
  const server = await startWorkers(['--config', file])
  const load = await loaded(server)
  const before = await pids(server)
  writeFileSync(file, 'proxy:\n  max_hopss: 10\n')
  server.process.kill('SIGHUP')
  await server.process.line(/new configuration refused/)
  expect(await pids(server)).toEqual(before)
  writeFileSync(file, 'proxy:\n  max_hops: 11\n')
  server.process.kill('SIGHUP')
  await server.process.line(/all workers replaced/)
  const now = await until(async () => {
    const found = await pids(server)
    return [...found.values()].some((pid) => [...before.values()].includes(pid)) ? undefined : found
  })
  expect([...now.keys()]).toEqual([1, 2, 3])
  const report = await load.stop()
  expect(report).toMatchObject({ failed: [], refused: 0, wrong: 0, doubledPosts: 0 })
  expect(report.answered).toBe(report.sent)
  for (const pid of before.values()) await until(() => !isAlive(pid))
  // The parent says what happened to a worker: once, and in fields that a line has once.
  expect(server.process.stderr).toMatch(/"worker":0,"number":1,.*worker replaced/)
  expect(server.process.stderr).not.toMatch(/"worker":\d+,"worker"/)
  expect(server.process.stderr).not.toMatch(/node joined|node left|link to a node|link of a node/)
})

test('SIGTERM lets requests finish at all of them, and nothing is left', async () => {
  const server = await startWorkers()
  const waiting: (() => void)[] = []
  const service = await httpService((_, response) => waiting.push(() => response.end('late')))
  await startAgent('http', 'web', service.port, server)
  const before = await pids(server)
  const visits = Array.from({ length: 12 }, async () => await visit(server.ports.proxy))
  await until(() => waiting.length === visits.length)
  server.process.kill('SIGTERM')
  await server.process.line(/stopping: open connections may finish/)
  for (const answer of waiting) answer()
  for (const { body } of await Promise.all(visits)) expect(body.toString()).toBe('late')
  expect(await server.process.exited).toEqual({ code: 0, signal: null })
  for (const pid of before.values()) expect(isAlive(pid)).toBe(false)
})

test('they end when their parent is killed, and its ports are free', async () => {
  const server = await startWorkers()
  const before = await pids(server)
  server.process.kill('SIGKILL')
  for (const pid of before.values()) await until(() => !isAlive(pid))
  const next = await startServer(server.ports)
  expect(next.ports).toEqual(server.ports)
})

test('names and tokens are the same at all of them', async () => {
  using directory = temporaryDirectory()
  const data = ['--data-dir', directory.path]
  const token = async (...words: string[]): Promise<Record<string, string>> => {
    const run = aditServer(['token', ...words, ...data, '--json'])
    expect(await run.exited).toMatchObject({ code: 0 })
    return JSON.parse(run.stdout) as Record<string, string>
  }
  const one = await token('create', '--endpoints', '*', '--may', 'listen')
  const other = await token('create', '--endpoints', '*', '--may', 'listen')
  const server = await startWorkers(data)
  const url = `http://127.0.0.1:${server.ports.upstream}`
  const reserve = async ({ token: own = '' }: Record<string, string>): Promise<unknown> => {
    // Each on a connection of its own, to any of the workers.
    const asked = Array.from(
      { length: 12 },
      async () => await reserveName({ url, token: own }, 'web'),
    )
    const codes = (await Promise.allSettled(asked)).map((one) => {
      return one.status === 'fulfilled' ? 'done' : (one.reason as { code: string }).code
    })
    expect(new Set(codes).size).toBe(1)
    return codes[0]
  }
  expect(await reserve(one)).toBe('done')
  expect(await reserve(other)).toBe('TUNNEL_NAME_TAKEN')
  await token('revoke', one['id'] ?? '')
  await until(async () => (await reserve(one)) === 'TUNNEL_UNAUTHORIZED')
})

test.each([
  [['--cluster.database-url', 'postgres://u:p@h/d'], 'cluster.database_url'],
  [['--public-ports.range', '9900-9999'], 'public_ports.range'],
])('they are refused together with %s', async (args, named) => {
  const run = aditServer(['--workers', '2', ...args])
  expect(await run.exited).toEqual({ code: 2, signal: null })
  expect(run.stderr).toContain(`workers: a server with several workers cannot have ${named}`)
  const check = aditServer(['config', 'check', '--json', '--workers', '2', ...args])
  await check.exited
  const { problems } = JSON.parse(check.stdout) as { problems: readonly { code: string }[] }
  expect(problems.map(({ code }) => code)).toContain('WORKERS_NOT_POSSIBLE')
})

test('the command upgrade says that it cannot be done', async () => {
  using directory = temporaryDirectory()
  await startWorkers(['--data-dir', directory.path])
  const run = aditServer(['upgrade', '--data-dir', directory.path])
  expect(await run.exited).toMatchObject({ code: 1 })
  expect(run.stderr).toContain('workers')
})

test('folders of sockets are removed at the end', async () => {
  const server = await startServer(undefined, ['--workers', '2', '--log.level', 'debug'])
  const socket = /unix:(\S+?\.sock)/.exec(await server.process.line(/unix:/))?.[1] ?? ''
  expect(existsSync(socket)).toBe(true)
  server.process.kill('SIGTERM')
  await server.process.exited
  const folder = socket.slice(tmpdir().length + 1).split('/')[0] ?? ''
  expect(readdirSync(tmpdir())).not.toContain(folder)
})
