// @ts-check
// What becomes of twice the requests that the path can carry? The capacity is measured with a closed loop of
// connections, then as many requests as the factor says begin, whatever becomes of the ones before. Prints
// how many were answered, how fast the surplus was, and what was carried in relation to the capacity.
// Needs the programs built. `--slow` runs the server without a compiler: then it is slower than everything
// else on a machine with few cores.
// `node overload.mjs [--factor 2] [--seconds 20] [--connections 2000 (0: one per request)] [--slow] [--checkout DIR]`
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { parseArgs, promisify } from 'node:util'
import { startAgent, startServer } from '@proj/scripts/adit-processes'
import { StartedProcess } from '@proj/scripts/started-process'
import { requests } from './load-client.mjs'
import { cpuSeconds } from './process-usage.mjs'

const CONNECTIONS = 64
const TIMEOUT_MS = 5000
const WARM_UP_MS = 3000
const CAPACITY_MS = 3000

const { values: given } = parseArgs({
  options: {
    factor: { type: 'string', default: '2' },
    seconds: { type: 'string', default: '20' },
    connections: { type: 'string', default: '2000' },
    slow: { type: 'boolean', default: false },
    checkout: { type: 'string' },
  },
})
const factor = Number(given.factor)
const seconds = Number(given.seconds)
const kept = Number(given.connections)

const run = promisify(execFile)

/** @type {StartedProcess[]} */
const started = []
try {
  const services = new StartedProcess('services', process.execPath, [
    join(import.meta.dirname, 'services.mjs'),
  ])
  started.push(services)
  const { http } = await services.event('ready')
  if (given.slow) process.env['NODE_OPTIONS'] = '--jitless'
  const server = await startServer('127.0.0.1:0', given.checkout)
  delete process.env['NODE_OPTIONS']
  started.push(server.process)
  const agent = await startAgent('http', 'web', http, server.ports.upstream, given.checkout)
  started.push(agent)
  const target = { port: server.ports.proxy, host: 'web.localhost' }
  const closed = { ...target, connections: CONNECTIONS, path: '/1024' }
  await requests({ ...closed, durationMs: WARM_UP_MS })
  const cpu0 = cpuSeconds(server.process.pid)
  const capacity = await requests({ ...closed, durationMs: CAPACITY_MS })
  const cpu1 = cpuSeconds(server.process.pid)
  process.stdout.write(
    `capacity ${Math.round(capacity.perSecond)} req/s, server CPU ${((cpu1 - cpu0) / (CAPACITY_MS / 1000)).toFixed(2)}\n`,
  )
  const perSecond = Math.round(capacity.perSecond * factor)
  const load = {
    ...target,
    perSecond,
    durationMs: seconds * 1000,
    timeoutMs: TIMEOUT_MS,
    connections: kept,
  }
  const { stdout } = await run(process.execPath, [
    join(import.meta.dirname, 'open-load.mjs'),
    JSON.stringify(load),
  ])
  const cpu2 = cpuSeconds(server.process.pid)
  const tally = JSON.parse(stdout)
  const share = (/** @type {number} */ part) => (part / tally.sent).toFixed(3)
  const after = await requests({ ...closed, durationMs: 3000 })
  process.stdout.write(
    [
      `sent ${tally.sent} of ${perSecond * seconds} in ${seconds} s (${factor} x capacity), ${kept > 0 ? `${kept} connections` : 'one connection each'}`,
      `answered ${share(tally.ok + tally.shed)} (200: ${share(tally.ok)}, 503: ${share(tally.shed)}), timed out ${share(tally.timedOut)}, broken ${share(tally.broken)}, other ${tally.other}`,
      `200: p50 ${tally.okMs[0].toFixed(1)} ms, p99 ${tally.okMs[1].toFixed(1)} ms; 503: p50 ${tally.shedMs[0].toFixed(1)} ms, p99 ${tally.shedMs[1].toFixed(1)} ms; generator late p99 ${tally.lateMs.toFixed(1)} ms`,
      `goodput ${Math.round(tally.ok / tally.seconds)} req/s, ${(tally.ok / tally.seconds / capacity.perSecond).toFixed(2)} of the capacity; afterwards ${(after.perSecond / capacity.perSecond).toFixed(2)}; server CPU ${((cpu2 - cpu1) / seconds).toFixed(2)}`,
      '',
    ].join('\n'),
  )
} finally {
  for (const one of started.toReversed()) await one.stop()
}
