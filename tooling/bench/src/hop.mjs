// @ts-check
// What a hop between two nodes of a cluster costs: the same service and agent, asked through the node that has the
// agent (the leg direct) and through the other one (a hop). `pnpm bench --cluster [--rounds 11] [--json] [--database-url URL]`; without a URL it starts a
// PostgreSQL of its own, which the way of a request never asks.
import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { register } from 'tsx/esm/api'
import { startAgent, startServer } from '@proj/scripts/adit-processes'
import { SMALL_BYTES } from './measures.mjs'
import { startNginxService } from './nginx.mjs'
import { cpuSeconds } from './process-usage.mjs'

/** @typedef {import('@proj/scripts/started-process').StartedProcess} StartedProcess */
/** @typedef {import('./legs.mjs').Leg} Leg */
/** @typedef {import('./measures.mjs').Load} Load */

const BUSY_CONNECTIONS = 64
const BUSY_MS = 1_500
const SINGLE_MS = 700
const WARM_UP_MS = 8_000
const FOUND_WITHIN_MS = 20_000
const HOST = 'web.localhost'

/**
 * Goals: with a hop 0.6 of the rate without or more, and 0.3 ms more at most.
 *
 * @type {import('./results.mjs').Rows}
 */
export const HOP_ROWS = {
  busyRate: { title: '1 KiB, 64 connections', unit: 'req/s', better: 'more' },
  singleP50: { title: '1 KiB, 1 connection, p50', unit: 'ms', better: 'less' },
  cpuRequests: { title: 'CPU per 100 k requests', unit: 's', better: 'less' },
}

/**
 * Starts two nodes with an agent at the first, and warms both ways up.
 *
 * @param {string} folder - for files
 * @param {Load} load
 * @param {string | undefined} databaseUrl
 * @returns {Promise<{ legs: Leg[], stop: () => Promise<void> }>}
 */
export async function startHop(folder, load, databaseUrl) {
  /** @type {StartedProcess[]} */
  const started = []
  const database = databaseUrl === undefined ? await startDatabase() : undefined
  const stop = async () => {
    for (const process_ of started.toReversed()) await process_.stop()
    await database?.[Symbol.asyncDispose]()
  }
  try {
    const file = join(folder, 'database-url')
    writeFileSync(file, databaseUrl ?? (await database?.createDatabase()) ?? '', { mode: 0o600 })
    const service = await startNginxService(join(folder, 'service'), [SMALL_BYTES])
    started.push(service.process)
    const near = await startNode(file, started)
    const far = await startNode(file, started)
    const agent = await startAgent('http', 'web', service.port, near.ports.upstream)
    started.push(agent)
    const processes = [
      { name: 'adit-server, with the agent', pid: near.process.pid },
      { name: 'adit-server, with the visitors', pid: far.process.pid },
      { name: 'adit http web', pid: agent.pid },
    ]
    const legs = [
      legOf('direct', near.ports.proxy, processes),
      legOf('a hop', far.ports.proxy, processes),
    ]
    for (const { web } of legs) {
      await untilServed(web.port)
      await load('requests', requestsOn(web, BUSY_CONNECTIONS, WARM_UP_MS))
    }
    return { legs, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

/**
 * Runs everything once on one leg.
 *
 * @param {Leg} leg
 * @param {Load} load
 * @returns {Promise<Record<string, number>>}
 */
export async function measureHop({ web, processes }, load) {
  const cpu = () => processes.reduce((sum, { pid }) => sum + cpuSeconds(pid), 0)
  const before = cpu()
  const busy = await load('requests', requestsOn(web, BUSY_CONNECTIONS, BUSY_MS))
  const spent = cpu() - before
  const single = await load('requests', requestsOn(web, 1, SINGLE_MS))
  const requests = (busy.perSecond * BUSY_MS) / 1_000
  return {
    busyRate: busy.perSecond,
    singleP50: single.p50Ms,
    cpuRequests: (spent / requests) * 100_000,
  }
}

/**
 * @param {string} name
 * @param {number} port
 * @param {Leg['processes']} processes
 * @returns {Leg}
 */
function legOf(name, port, processes) {
  const web = { port, host: HOST }
  return { name, web, sink: web, raw: undefined, processes }
}

/**
 * @param {Leg['web']} target
 * @param {number} connections
 * @param {number} durationMs
 */
function requestsOn(target, connections, durationMs) {
  return { ...target, path: `/${SMALL_BYTES}`, connections, durationMs }
}

/**
 * @param {string} file
 * @param {StartedProcess[]} started
 */
async function startNode(file, started) {
  const id = `bench-${randomBytes(3).toString('hex')}`
  const flags = ['--cluster.database-url-file', file, '--cluster.node-id', id]
  const at = ['--cluster.bind-addr', '127.0.0.1:0']
  const node = await startServer('127.0.0.1:0', undefined, { flags: [...flags, ...at] })
  started.push(node.process)
  return node
}

/** The tests' own PostgreSQL is TypeScript, which Node 20 does not read. */
async function startDatabase() {
  register()
  const { postgresMissing, PostgresServer } = await import('@proj/testkit/postgres-server')
  const missing = postgresMissing()
  if (missing !== undefined) throw new Error(`${missing}; give a --database-url`)
  return await PostgresServer.start()
}

/** @param {number} port */
async function untilServed(port) {
  const untilMs = performance.now() + FOUND_WITHIN_MS
  for (;;) {
    const status = await new Promise((resolve) => {
      const headers = { host: HOST }
      const sent = request({ port, headers, path: `/${SMALL_BYTES}` }, (response) => {
        response.resume()
        resolve(response.statusCode)
      })
      sent.on('error', () => resolve(undefined))
      sent.end()
    })
    if (status === 200) return
    if (performance.now() > untilMs) throw new Error(`the endpoint is answered with ${status}`)
    await delay(50)
  }
}
