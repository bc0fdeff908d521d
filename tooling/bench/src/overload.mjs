// @ts-check
// What becomes of twice the requests that the path can carry? The capacity is measured with a closed loop of
// connections, then as many requests as the factor says begin, whatever becomes of the ones before, from many
// addresses; a visitor gives up after `--patience`. Prints how many were answered, how fast the surplus was, and
// what was carried in relation to the capacity. Before and after, closed loops of patient visitors, which are
// no overload: none of them may get 503.
//
// Twice the rate of this path is more than a generator in Node can make, and on few cores the load would take
// the CPU time of what it measures. So `--slow` gives one program a part of a core (`--share`), on a core of its own
// where `taskset` is: it is slower than everything else, and what it does in an overload is what is seen. Where there
// can be no control group it runs without a compiler instead, in which code of JavaScript costs many times more than
// system calls. `--slow none` gives the load a core of its own. `--nginx` is a control: nginx with `limit_conn` in place of server
// and agent. Another control is the least that a process of Node spends on a rejected request (bare-rejection.mjs),
// from which follows what a server that answers the whole surplus can carry at most. Needs the programs built.
// `node overload.mjs [--slow server|agent|none] [--share 0.3] [--factor 2] [--seconds 10] [--connections 2000]
//   [--patience 2000] [--closed 64,256,800,1024] [--nginx] [--checkout DIR]`
import { execFile, execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs, promisify } from 'node:util'
import { startAgent, startServer } from '@proj/scripts/adit-processes'
import { StartedProcess } from '@proj/scripts/started-process'
import { cpuGroup } from './cpu-group.mjs'
import { requests } from './load-client.mjs'
import { startNginxProxy } from './nginx.mjs'
import { cpuSeconds } from './process-usage.mjs'

/** Of the closed loop that the capacity is measured with. */
const CONNECTIONS = 64
/** Compiling takes CPU time too: with a part of a core it takes so much longer. */
const WARM_UP_MS = 10_000
const CAPACITY_MS = 3000
const CLOSED_MS = 3000
const MAX_CONNECTIONS = 12_000
const SOURCES = 250
/** nginx serves so many requests at once in the control. */
const CONTROL_LIMIT = 128

const { values: given } = parseArgs({
  options: {
    factor: { type: 'string', default: '2' },
    seconds: { type: 'string', default: '10' },
    connections: { type: 'string', default: '2000' },
    patience: { type: 'string', default: '2000' },
    closed: { type: 'string', default: '' },
    slow: { type: 'string', default: 'server' },
    share: { type: 'string', default: '0.3' },
    nginx: { type: 'boolean', default: false },
    checkout: { type: 'string' },
  },
})
const factor = Number(given.factor)
const seconds = Number(given.seconds)

const run = promisify(execFile)
const hasCores = availableParallelism() > 1 && pin(process.pid, 1)
const group = given.slow === 'none' ? undefined : cpuGroup(Number(given.share))
const folder = mkdtempSync(join(tmpdir(), 'adit-overload-'))

/**
 * @typedef {object} Path - what carries the requests
 * @property {{ port: number, host: string }} target
 * @property {number} pid - of the proxy
 * @property {StartedProcess} [slow] - the program that is slower than the others
 */

/** @type {StartedProcess[]} */
const started = []
try {
  const services = new StartedProcess('services', process.execPath, [
    join(import.meta.dirname, 'services.mjs'),
  ])
  started.push(services)
  const { http } = await services.event('ready')
  const path = given.nginx ? await nginx(http) : await adit(http)
  const alone = path.slow === undefined ? started : [path.slow]
  if (hasCores) for (const { pid } of alone) pin(pid, 0)
  if (given.slow !== 'none' && group === undefined) {
    print('no control group can be made: the slow program runs without a compiler')
  }
  if (!hasCores) print('no `taskset`, or one core: the load takes CPU time from the path')
  const closed = { ...path.target, connections: CONNECTIONS, path: '/1024' }
  await requests({ ...closed, durationMs: WARM_UP_MS })
  const before = cpuSeconds(path.pid)
  const capacity = await watched('capacity', CAPACITY_MS, path.pid, () =>
    requests({ ...closed, durationMs: CAPACITY_MS }),
  )
  const servedUs = ((cpuSeconds(path.pid) - before) / capacity.requests) * 1e6
  print(`capacity ${Math.round(capacity.perSecond)} req/s with ${CONNECTIONS} connections`)
  await bareRejection(servedUs)
  const loops = given.closed.split(',').filter(Boolean).map(Number)
  for (const connections of loops) await loop({ ...closed, connections })
  const perSecond = Math.round(capacity.perSecond * factor)
  const load = {
    ...path.target,
    perSecond,
    durationMs: seconds * 1000,
    warmUpMs: WARM_UP_MS,
    timeoutMs: Number(given.patience),
    connections: Number(given.connections),
    maxConnections: MAX_CONNECTIONS,
    sources: SOURCES,
  }
  const { stdout } = await watched('overload', seconds * 1000 + WARM_UP_MS, path.pid, () =>
    run(process.execPath, [join(import.meta.dirname, 'open-load.mjs'), JSON.stringify(load)]),
  )
  report(JSON.parse(stdout), perSecond, capacity.perSecond)
  const after = await requests({ ...closed, durationMs: CAPACITY_MS })
  print(`afterwards ${(after.perSecond / capacity.perSecond).toFixed(2)} of the capacity`)
} finally {
  for (const one of started.toReversed()) await one.stop()
  group?.remove()
  rmSync(folder, { recursive: true, force: true })
}

/**
 * Measures the CPU time of a rejection where nothing else is done, and prints what that leaves of the capacity
 * when only the CPU time of the server is short and it answers the whole surplus.
 *
 * @param {number} servedUs - CPU time of the proxy for a request that it serves
 */
async function bareRejection(servedUs) {
  const file = join(import.meta.dirname, 'bare-rejection.mjs')
  const start = () => new StartedProcess('bare', process.execPath, [file])
  const bare = await slowly('server', start, (one) => one)
  started.push(bare)
  const { port } = await bare.event('ready')
  if (hasCores) pin(bare.pid, 0)
  const load = { port, host: 'bare', path: '/', connections: CONNECTIONS, takesErrors: true }
  await requests({ ...load, durationMs: WARM_UP_MS })
  const before = cpuSeconds(bare.pid)
  const { requests: count } = await requests({ ...load, durationMs: CAPACITY_MS })
  const rejectedUs = ((cpuSeconds(bare.pid) - before) / count) * 1e6
  started.pop()
  await bare.stop()
  const part = rejectedUs / servedUs
  const most = Math.max(0, (1 - factor * part) / (1 - part))
  print(
    `CPU time of a request: ${servedUs.toFixed(0)} us served, ${rejectedUs.toFixed(0)} us rejected by a bare socket; so goodput is ${most.toFixed(2)} at most where only the server is short of it`,
  )
}

/**
 * @param {number} service
 * @returns {Promise<Path>}
 */
async function adit(service) {
  const server = await slowly(
    'server',
    () => startServer('127.0.0.1:0', given.checkout),
    (one) => one.process,
  )
  started.push(server.process)
  const { proxy, upstream } = server.ports
  const agent = await slowly(
    'agent',
    () => startAgent('http', 'web', service, upstream, given.checkout),
    (one) => one,
  )
  started.push(agent)
  const slow = { server: server.process, agent }[given.slow]
  const target = { port: proxy, host: 'web.localhost' }
  return { target, pid: server.process.pid, ...(slow && { slow }) }
}

/**
 * @param {number} service
 * @returns {Promise<Path>}
 */
async function nginx(service) {
  const proxy = await startNginxProxy(
    folder,
    { web: service, sink: service },
    {
      maxRequests: CONTROL_LIMIT,
    },
  )
  started.push(proxy.process)
  return { target: { port: proxy.port, host: 'web.localhost' }, pid: proxy.process.pid }
}

/**
 * Starts a program, with less CPU time than the others if it is to be the slow one.
 *
 * @template T
 * @param {string} name
 * @param {() => Promise<T> | T} start
 * @param {(one: T) => StartedProcess} processOf
 */
async function slowly(name, start, processOf) {
  const isSlow = given.slow === name
  if (isSlow && group === undefined) process.env['NODE_OPTIONS'] = '--jitless'
  const one = await start()
  delete process.env['NODE_OPTIONS']
  if (isSlow) group?.add(processOf(one).pid)
  return one
}

/** @param {Omit<Parameters<typeof requests>[0], 'durationMs'>} closed */
async function loop(closed) {
  const counts = await requests({ ...closed, durationMs: CLOSED_MS, takesErrors: true })
  const { connections } = closed
  const { perSecond, p50Ms, p99Ms, errors } = counts
  print(
    `closed loop of ${connections}: ${Math.round(perSecond)} req/s, p50 ${p50Ms.toFixed(0)} ms, p99 ${p99Ms.toFixed(0)} ms, not 200: ${errors}`,
  )
}

/**
 * @param {import('./open-load.mjs').Tally} tally
 * @param {number} perSecond
 * @param {number} capacity
 */
function report(tally, perSecond, capacity) {
  const share = (/** @type {number} */ part) => (part / tally.sent).toFixed(3)
  const times = (/** @type {import('./open-load.mjs').Percentiles} */ { p50, p95, p99 }) =>
    `p50 ${p50.toFixed(1)}, p95 ${p95.toFixed(1)}, p99 ${p99.toFixed(1)} ms`
  const { sent, ok, shed, timedOut, broken, other, unsent, opened } = tally
  const goodput = ok / tally.seconds
  print(
    `sent ${sent} of ${perSecond * seconds} in ${seconds} s (${factor} x capacity), ${opened} connections opened, ${unsent} without a connection`,
  )
  print(
    `200: ${share(ok)}, 503: ${share(shed)}, timed out ${share(timedOut)}, broken ${share(broken)}, other ${other}`,
  )
  print(`200: ${times(tally.okMs)}`)
  print(`503: ${times(tally.shedMs)}; on new connections: ${times(tally.newShedMs)}`)
  print(`load late: ${times(tally.lateMs)}`)
  print(`goodput ${Math.round(goodput)} req/s, ${(goodput / capacity).toFixed(2)} of the capacity`)
}

/**
 * Prints which share of a core the proxy and the other processes used meanwhile.
 *
 * @template T
 * @param {string} what
 * @param {number} ms
 * @param {number} pid
 * @param {() => Promise<T>} act
 */
async function watched(what, ms, pid, act) {
  const pids = [pid, ...started.map((one) => one.pid).filter((one) => one !== pid)]
  const before = pids.map(cpuSeconds)
  const result = await act()
  const used = pids.map((one, at) => ((cpuSeconds(one) - (before[at] ?? 0)) / ms) * 1000)
  print(`${what}: CPU of the proxy and the others ${used.map((one) => one.toFixed(2)).join(', ')}`)
  return result
}

/** @param {string} line */
function print(line) {
  process.stdout.write(`${line}\n`)
}

/**
 * Keeps a process on one core.
 *
 * @param {number} pid
 * @param {number} core
 * @returns {boolean} whether it could be done
 */
function pin(pid, core) {
  try {
    execFileSync('taskset', ['-acp', String(core), String(pid)], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}
