// @ts-check
// The benchmark of what many visitors do: a new connection for each request, a thousand connections at once, TLS, and
// small requests while others download. The controls are nginx, one hop and two hops (a tunnel is two).
import { execFile } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { isAditBuilt, startAccess, startAgent, startServer } from '@proj/scripts/adit-processes'
import { missingPrograms } from '@proj/scripts/programs'
import { StartedProcess } from '@proj/scripts/started-process'
import { startNginxProxy, startNginxService } from './nginx.mjs'
import { cpuSeconds } from './process-usage.mjs'

const MIB = 1024 * 1024
const SMALL_BYTES = 1024
const LARGE_BYTES = 100 * MIB
const SMALL = { path: `/${SMALL_BYTES}` }
const AT_ONCE = [16, 64, 1024, 4096]
const BUSY_MS = 1_500
const WARM_UP_MS = 8_000
const WARM_UP_TRANSFERS = 20
const HANDSHAKE_SECONDS = 1
const NEEDED = [
  { name: 'nginx', debian: 'nginx-light', usedFor: 'the benchmark' },
  { name: 'openssl', debian: 'openssl', usedFor: 'certificates and handshakes' },
]

/** @typedef {import('./load-client.mjs').Target} Target */
/** @typedef {import('./measures.mjs').Load} Load */
/** @typedef {Record<string, number>} Values - keyed by the row of the table */

/**
 * @typedef {object} CrowdLeg
 * @property {string} name
 * @property {Target} web
 * @property {Target} sink
 * @property {Target} [secured] - `web` and `sink` by TLS, on both legs
 * @property {Target} [securedSink]
 * @property {number} [raw] - port of the byte source
 * @property {number} [front] - process that visitors connect to
 * @property {number} [securedFront]
 * @property {number} [agent] - process beside the service
 */

const more = /** @type {const} */ ('more')
const less = /** @type {const} */ ('less')

/** @type {Record<string, (leg: CrowdLeg, load: Load, background: Load) => Promise<Values>>} */
const GROUPS = { fresh, many, mixed, tls }

/** Names of the groups of rows. */
export const CROWD_GROUPS = Object.keys(GROUPS)

/** @type {import('./results.mjs').Rows} */
export const CROWD_ROWS = {
  fresh: { title: 'new connection per request, 64 at once', unit: 'req/s', better: more },
  freshCpu: { title: 'the same, CPU of the front', unit: 'us/request', better: less },
  freshRaw: { title: 'new TCP connections (adit access), 64 at once', unit: '/s', better: more },
  ...Object.fromEntries(
    AT_ONCE.flatMap((count) => [
      [`rate${count}`, { title: `${count} connections`, unit: 'req/s', better: more }],
      [`p99${count}`, { title: `${count} connections, p99`, unit: 'ms', better: less }],
      [`shed${count}`, { title: `${count} connections, answered 503`, unit: '%', better: less }],
      [`front${count}`, { title: `${count}, CPU of the front`, unit: 'us/request', better: less }],
      [`agent${count}`, { title: `${count}, CPU of the agent`, unit: 'us/request', better: less }],
    ]),
  ),
  idleP50: { title: '1 connection, p50', unit: 'ms', better: less },
  mixedP50: { title: '1 connection, while a download runs, p50', unit: 'ms', better: less },
  mixedP99: { title: 'the same, p99', unit: 'ms', better: less },
  mixedTimes: { title: 'the same, p50 to that without it', unit: 'times', better: less },
  mixedBulk: { title: 'this download', unit: 'MiB/s', better: more },
  bulkAlone: { title: 'a download alone', unit: 'MiB/s', better: more },
  full: { title: 'TLS 1.3 handshakes, new', unit: '/s', better: more },
  fullCpu: { title: 'the same, CPU of the front', unit: 'us', better: less },
  resumed: { title: 'TLS 1.2 handshakes, resumed', unit: '/s', better: more },
  resumedCpu: { title: 'the same, CPU of the front', unit: 'us', better: less },
  tlsDown: { title: 'TLS on both legs, download', unit: 'MiB/s', better: more },
  tlsUp: { title: 'TLS on both legs, upload', unit: 'MiB/s', better: more },
}

/**
 * @param {string} folder - for files
 * @param {string} [previous] - folder of another built checkout, for a leg through that build
 * @returns {Promise<{ legs: CrowdLeg[], stop: () => Promise<void> }>}
 */
export async function startCrowds(folder, previous) {
  const missing = missingPrograms(NEEDED)
  if (missing.length > 0) {
    throw new Error(`--crowds needs ${missing.map(({ name }) => name).join()}`)
  }
  for (const checkout of [undefined, previous]) {
    if (!isAditBuilt(checkout)) throw new Error(`${checkout ?? 'adit'} is not built`)
  }
  /** @type {StartedProcess[]} */
  const started = []
  const stop = async () => {
    for (const process_ of started.toReversed()) await process_.stop()
  }
  try {
    const tls = await certificate(folder)
    const services = new StartedProcess('services', process.execPath, [
      join(import.meta.dirname, 'services.mjs'),
    ])
    started.push(services)
    const { http, raw } = await services.event('ready')
    const service = await startNginxService(join(folder, 'service'), [SMALL_BYTES, LARGE_BYTES])
    started.push(service.process)
    const ports = { web: service.port, sink: http, raw }
    const legs = [
      leg('direct', ports.web, ports.sink, { raw }),
      await nginxLeg('nginx', 1, join(folder, 'one'), ports, tls, started),
      await nginxLeg('nginx x 2', 2, join(folder, 'two'), ports, tls, started),
    ]
    if (previous !== undefined) legs.push(await aditLeg('previous', ports, tls, started, previous))
    legs.push(await aditLeg('adit', ports, tls, started))
    return { legs, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

/**
 * @param {CrowdLeg} leg
 * @param {Load} load
 * @param {readonly string[]} groups
 */
export async function warmUpCrowd(leg, load, groups) {
  const small = { ...leg.web, ...SMALL, connections: 64, durationMs: WARM_UP_MS }
  await load('requests', small)
  if (groups.includes('fresh')) await fresh(leg, load)
  if (!groups.includes('tls') && !groups.includes('mixed')) return
  const large = { path: `/${LARGE_BYTES}`, bytes: LARGE_BYTES }
  for (let transfer = 0; transfer < WARM_UP_TRANSFERS; transfer++) {
    await load('download', { ...leg.web, ...large })
    if (leg.secured !== undefined) await load('download', { ...leg.secured, ...large })
  }
}

/**
 * @param {CrowdLeg} leg
 * @param {Load} load
 * @param {Load} background - of another process
 * @param {readonly string[]} groups
 */
export async function measureCrowd(leg, load, background, groups) {
  /** @type {Values} */
  const values = {}
  for (const group of groups) Object.assign(values, await GROUPS[group]?.(leg, load, background))
  return values
}

/**
 * @param {CrowdLeg} leg
 * @param {Load} load
 */
async function fresh({ web, raw, front }, load) {
  const small = { ...web, ...SMALL, bytes: SMALL_BYTES, connections: 64, durationMs: BUSY_MS }
  const [result, [cpu]] = await withCpu([front], () => load('connects', small))
  /** @type {Values} */
  const values = { fresh: result.perSecond, freshCpu: microseconds(cpu, result.requests) }
  if (raw !== undefined) {
    const plain = await load('connects', { ...small, port: raw, isRaw: true })
    values['freshRaw'] = plain.perSecond
  }
  return values
}

/**
 * @param {CrowdLeg} leg
 * @param {Load} load
 */
async function many({ web, front, agent }, load) {
  /** @type {Values} */
  const values = {}
  for (const connections of AT_ONCE) {
    const small = { ...web, ...SMALL, connections, takesErrors: true }
    // The first requests open the streams and the connections to the service.
    await load('requests', { ...small, durationMs: 300 })
    const [result, [atFront, atAgent]] = await withCpu([front, agent], () =>
      load('requests', { ...small, durationMs: BUSY_MS }),
    )
    values[`rate${connections}`] = result.perSecond * (1 - result.errors / result.requests)
    values[`shed${connections}`] = (result.errors / result.requests) * 100
    values[`p99${connections}`] = result.p99Ms
    values[`front${connections}`] = microseconds(atFront, result.requests)
    values[`agent${connections}`] = microseconds(atAgent, result.requests)
  }
  return values
}

/**
 * @param {CrowdLeg} leg
 * @param {Load} load
 * @param {Load} background
 */
async function mixed({ web }, load, background) {
  const small = { ...web, ...SMALL, connections: 1, durationMs: BUSY_MS }
  const idle = await load('requests', small)
  const bulk = { ...web, path: `/${LARGE_BYTES}`, durationMs: BUSY_MS }
  const [one, other] = await Promise.all([background('stream', bulk), load('requests', small)])
  const alone = await background('stream', bulk)
  return {
    idleP50: idle.p50Ms,
    mixedP50: other.p50Ms,
    mixedP99: other.p99Ms,
    mixedTimes: other.p50Ms / idle.p50Ms,
    mixedBulk: one.bytesPerSecond / MIB,
    bulkAlone: alone.bytesPerSecond / MIB,
  }
}

/**
 * @param {CrowdLeg} leg
 * @param {Load} load
 * @returns {Promise<Values>}
 */
async function tls({ secured, securedSink, securedFront }, load) {
  if (secured === undefined || securedSink === undefined) return {}
  const [full, [fullCpu]] = await withCpu([securedFront], () =>
    handshakes(secured, ['-new', '-tls1_3']),
  )
  const [resumed, [resumedCpu]] = await withCpu([securedFront], () =>
    handshakes(secured, ['-reuse', '-tls1_2']),
  )
  const large = { path: `/${LARGE_BYTES}`, bytes: LARGE_BYTES }
  const down = await load('download', { ...secured, ...large })
  const up = await load('upload', { ...securedSink, path: '/upload', bytes: LARGE_BYTES })
  return {
    full: full / HANDSHAKE_SECONDS,
    fullCpu: microseconds(fullCpu, full),
    resumed: resumed / HANDSHAKE_SECONDS,
    resumedCpu: microseconds(resumedCpu, resumed),
    tlsDown: down.bytesPerSecond / MIB,
    tlsUp: up.bytesPerSecond / MIB,
  }
}

/**
 * Makes handshakes one after the other, in four processes of a client that costs little.
 *
 * @param {Target} target
 * @param {readonly string[]} flags
 * @returns {Promise<number>} how many
 */
async function handshakes({ port }, flags) {
  const time = ['-time', String(HANDSHAKE_SECONDS)]
  const line = ['s_time', '-connect', `127.0.0.1:${port}`, ...time, ...flags]
  const runs = await Promise.all(
    Array.from({ length: 4 }, () => promisify(execFile)('openssl', line)),
  )
  return runs.reduce((sum, { stdout }) => sum + Number(/(\d+) connections in/.exec(stdout)?.[1]), 0)
}

/**
 * @param {string} folder
 * @returns {Promise<{ cert: string, key: string }>} files
 */
async function certificate(folder) {
  const files = { cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem') }
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost']
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  const out = ['-keyout', files.key, '-out', files.cert, '-days', '1']
  await promisify(execFile)('openssl', ['req', '-x509', ...key, ...subject, ...out])
  return files
}

/**
 * @param {string} name
 * @param {number} web
 * @param {number} sink
 * @param {Partial<CrowdLeg>} rest
 * @returns {CrowdLeg}
 */
function leg(name, web, sink, rest) {
  const host = '127.0.0.1'
  return { name, web: { port: web, host }, sink: { port: sink, host }, ...rest }
}

/**
 * @param {string} name
 * @param {number} hops
 * @param {string} folder
 * @param {{ web: number, sink: number }} services
 * @param {{ cert: string, key: string }} tls
 * @param {StartedProcess[]} started
 * @returns {Promise<CrowdLeg>}
 */
async function nginxLeg(name, hops, folder, services, tls, started) {
  mkdirSync(folder)
  const chain = async (/** @type {string} */ kind, /** @type {boolean} */ isSecured) => {
    let ports = services
    let front = 0
    for (let hop = 0; hop < hops; hop++) {
      const proxy = await startNginxProxy(join(folder, `${kind}${hop}`), ports, {
        keepAlive: 4096,
        ...(isSecured && { tls, isToTls: hop > 0 }),
      })
      started.push(proxy.process)
      ports = { web: proxy.port, sink: proxy.port }
      front = proxy.process.pid
    }
    return { port: ports.web, front }
  }
  const plain = await chain('plain', false)
  const secured = await chain('tls', true)
  const target = { port: secured.port, host: '127.0.0.1', isTls: true }
  return leg(name, plain.port, plain.port, {
    front: plain.front,
    secured: target,
    securedSink: target,
    securedFront: secured.front,
  })
}

/**
 * @param {string} name
 * @param {{ web: number, sink: number, raw: number }} services
 * @param {{ cert: string, key: string }} tls
 * @param {StartedProcess[]} started
 * @param {string} [checkout] - folder of the project; this one without it
 * @returns {Promise<CrowdLeg>}
 */
async function aditLeg(name, services, { cert, key }, started, checkout) {
  const server = await startServer('127.0.0.1:0', checkout)
  started.push(server.process)
  const { proxy, upstream } = server.ports
  const web = await startAgent('http', 'web', services.web, upstream, checkout)
  const sink = await startAgent('http', 'sink', services.sink, upstream, checkout)
  const raw = await startAgent('tcp', 'raw', services.raw, upstream, checkout)
  const access = await startAccess('raw', proxy, checkout)
  started.push(web, sink, raw, access.process)
  const flags = ['proxy', 'upstream'].flatMap((port) => {
    const of = `--${port}.tls`
    return [`${of}.cert`, cert, `${of}.key`, key]
  })
  const securedServer = await startServer('127.0.0.1:0', checkout, { flags })
  started.push(securedServer.process)
  for (const [endpoint, service] of [
    ['web', services.web],
    ['sink', services.sink],
  ]) {
    const place = { scheme: 'https', flags: ['--connect.tls.root-cas', cert] }
    const port = securedServer.ports.upstream
    started.push(await startAgent('http', String(endpoint), Number(service), port, checkout, place))
  }
  const secured = { port: securedServer.ports.proxy, isTls: true }
  return {
    name,
    web: { port: proxy, host: 'web.localhost' },
    sink: { port: proxy, host: 'sink.localhost' },
    secured: { ...secured, host: 'web.localhost' },
    securedSink: { ...secured, host: 'sink.localhost' },
    raw: access.port,
    front: server.process.pid,
    securedFront: securedServer.process.pid,
    agent: web.pid,
  }
}

/**
 * @param {readonly (number | undefined)[]} pids
 * @param {() => Promise<any>} work
 * @returns {Promise<[result: any, cpuSeconds: number[]]>}
 */
async function withCpu(pids, work) {
  const used = () => pids.map((pid) => (pid === undefined ? 0 : cpuSeconds(pid)))
  const before = used()
  const result = await work()
  return [result, used().map((seconds, index) => seconds - (before[index] ?? 0))]
}

/**
 * @param {number | undefined} seconds
 * @param {number} count
 */
function microseconds(seconds = 0, count) {
  return (seconds / count) * 1e6
}
