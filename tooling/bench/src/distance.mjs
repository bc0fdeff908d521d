// @ts-check
// The benchmark over a distance: a visitor and the server are here, the service and the agent are at the other
// end of a line with a round trip time, a loss and a rate. The control is the visitor's own TCP connection
// over the same line; two relays of Node show what two processes in between cost at least; OpenSSH, if it is
// installed, is a tunnel that is not ours.
import { execFile, execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { isAditBuilt, startAgent, startServer } from '@proj/scripts/adit-processes'
import { missingPrograms } from '@proj/scripts/programs'
import { StartedProcess } from '@proj/scripts/started-process'
import { register } from 'tsx/esm/api'
import { startLoader } from './loader.mjs'

const MIB = 1024 * 1024
const STREAM_BYTES = 16_384 * MIB // far more than can be read meanwhile
const SMALL_BYTES = 1024
const STREAM_MS = 5_000
const OBJECT_MS = 2_000
const FAST_MS = 2_000
const WARM_UP_MS = 2_000
const FAST_RTTS_MS = [50, 100]
const SSH = [
  { name: 'ssh', debian: 'openssh-client', usedFor: 'a tunnel to compare with' },
  { name: 'sshd', debian: 'openssh-server', usedFor: 'a tunnel to compare with' },
]

/** @typedef {import('./load-client.mjs').Target} Target */
/** @typedef {import('./measures.mjs').Load} Load */

/**
 * A way over the lines. `load` runs where its visitors are, `background` is another process there.
 *
 * @typedef {{ target: Target, load: Load, background: Load }} Way
 *
 * @typedef {object} DistanceLeg
 * @property {string} name
 * @property {Way} lossy - over the line as it was asked for
 * @property {Way} clean - over the same without loss
 * @property {readonly Way[]} fast - without loss, at any rate, in order of FAST_RTTS_MS
 */

/**
 * A line with a service at its far end, and how to reach that.
 *
 * @typedef {object} Line
 * @property {() => Promise<Way>} direct
 * @property {() => Promise<Way>} relays
 * @property {(folder: string) => Promise<Way>} [ssh] - with the keys in that folder
 * @property {(checkout: string | undefined) => Promise<Way>} adit
 *
 * @typedef {(() => Promise<void>)[]} Stops - in order of the start
 */

/**
 * @param {{ rttMs: number, lossPercent: number, mbitPerSecond: number }} line
 * @returns {import('./results.mjs').Rows}
 */
export function distanceRows({ rttMs, lossPercent, mbitPerSecond }) {
  const line = `${rttMs} ms, ${mbitPerSecond} Mbit/s`
  const unit = 'MB/s'
  const better = 'more'
  return {
    lossy: { title: `download, ${line}, ${lossPercent} % loss`, unit, better },
    clean: { title: `download, ${line}, no loss`, unit, better },
    object: { title: `1 MiB again and again, ${line}, no loss`, unit, better },
    small: {
      title: `1 KiB while a download runs, p50, ${line}, no loss`,
      unit: 'ms',
      better: 'less',
    },
    smallP99: { title: 'the same, p99', unit: 'ms', better: 'less' },
    ...Object.fromEntries(
      FAST_RTTS_MS.map((ms) => [
        `fast${ms}`,
        { title: `first ${FAST_MS / 1000} s of a download, ${ms} ms, any rate`, unit, better },
      ]),
    ),
  }
}

/**
 * @param {DistanceLeg} leg
 * @returns {Promise<Record<string, number>>}
 */
export async function measureDistance({ lossy, clean, fast }) {
  const path = `/${STREAM_BYTES}`
  const rate = async (/** @type {Way} */ { target, load }, /** @type {number} */ durationMs) => {
    const { bytesPerSecond } = await load('stream', { ...target, path, durationMs })
    return bytesPerSecond / 1e6
  }
  const objects = { ...clean.target, path: `/${MIB}`, connections: 1, durationMs: OBJECT_MS }
  /** @type {Record<string, number>} */
  const values = { lossy: await rate(lossy, STREAM_MS), clean: await rate(clean, STREAM_MS) }
  const { p50Ms } = await clean.load('requests', objects)
  values['object'] = MIB / 1000 / p50Ms
  const bulk = { ...clean.target, path, durationMs: OBJECT_MS }
  const [small] = await Promise.all([
    clean.load('requests', { ...objects, path: `/${SMALL_BYTES}` }),
    clean.background('stream', bulk),
  ])
  values['small'] = small.p50Ms
  values['smallP99'] = small.p99Ms
  for (const [index, way] of fast.entries()) {
    values[`fast${FAST_RTTS_MS[index]}`] = await rate(way, FAST_MS)
  }
  return values
}

/**
 * @param {string} folder - for files
 * @param {{ rttMs: number, lossPercent: number, mbitPerSecond: number }} line
 * @param {string} [previous] - folder of another built checkout, for a leg through that build
 * @returns {Promise<{ legs: DistanceLeg[], notes: string[], stop: () => Promise<void> }>}
 */
export async function startDistance(folder, line, previous) {
  register() // the link is TypeScript
  const { netnsMissing } = await import('@proj/testkit/netns')
  const { FAR_ADDRESS, NEAR_ADDRESS, shapedLink } = await import('@proj/testkit/shaped-link')
  const missing = netnsMissing()
  if (missing !== undefined) throw new Error(`--distance: ${missing}`)

  /** @type {Stops} */
  const stops = []
  const stop = async () => {
    for (const end of stops.toReversed()) await end()
  }
  try {
    /** @type {Line[]} */
    const lines = []
    for (const shape of [line, { ...line, lossPercent: 0 }]) {
      const link = await shapedLink(shape)
      stops.push(() => link[Symbol.asyncDispose]())
      lines.push(await overLink(link, { near: NEAR_ADDRESS, far: FAR_ADDRESS }, stops))
    }
    const builds = [
      ...(previous === undefined ? [] : [['previous', previous]]),
      ['adit', undefined],
    ]
    for (const [, checkout] of builds) {
      if (!isAditBuilt(checkout)) throw new Error(`${checkout ?? 'adit'} is not built`)
    }
    const loads = startLoads([], stops)
    const services = await startServices([], '127.0.0.1', stops)
    for (const rttMs of FAST_RTTS_MS) lines.push(overProxy(rttMs, services, loads, stops))

    /** @type {DistanceLeg[]} */
    const legs = []
    const add = async (/** @type {string} */ name, /** @type {readonly Way[]} */ ways) => {
      const [lossy, clean, ...fast] = ways
      if (lossy === undefined || clean === undefined) return
      legs.push({ name, lossy, clean, fast })
      for (const { target, load } of ways) {
        await load('stream', { ...target, path: `/${STREAM_BYTES}`, durationMs: WARM_UP_MS })
      }
    }
    /** @param {(line: Line) => Promise<Way | undefined>} start */
    const each = async (start) => {
      const ways = []
      for (const one of lines) ways.push(await start(one))
      return ways.filter((way) => way !== undefined)
    }
    const notes = [`line: ${JSON.stringify(line)}, congestion control ${congestionControl()}`]
    await add('direct', await each((one) => one.direct()))
    await add('relays', await each((one) => one.relays()))
    if (missingPrograms(SSH).length === 0) {
      makeKeys(folder)
      await add('ssh', await each(async (one) => one.ssh?.(folder)))
    } else notes.push('OpenSSH (client and server) is not installed, so there is no leg through it')
    for (const [name = '', checkout] of builds) {
      await add(name, await each((one) => one.adit(checkout)))
    }
    return { legs, notes, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

/**
 * @param {import('@proj/testkit/shaped-link').ShapedLink} link
 * @param {{ near: string, far: string }} addresses
 * @param {Stops} stops
 * @returns {Promise<Line>}
 */
async function overLink({ near, far }, addresses, stops) {
  const loads = startLoads(near.prefix, stops)
  const service = await startServices(far.prefix, '0.0.0.0', stops)
  return {
    direct: async () => ({
      target: { port: service, host: 'direct', address: addresses.far },
      ...loads,
    }),
    async relays() {
      const there = await startRelay(far.prefix, ['0.0.0.0', '127.0.0.1', `${service}`], stops)
      const here = ['127.0.0.1', addresses.far, `${there}`]
      return {
        target: { port: await startRelay(near.prefix, here, stops), host: 'relays' },
        ...loads,
      }
    },
    async ssh(folder) {
      const [port, visitors] = [2222, 2223] // in namespaces of our own: always free
      const files = ['-o', `HostKey=${folder}/key`, '-o', `AuthorizedKeysFile=${folder}/key.pub`]
      const server = ['/usr/sbin/sshd', '-D', '-e', '-f', '/dev/null', '-p', `${port}`, ...files]
      startWithin(
        'sshd',
        near.prefix,
        [...server, '-o', 'StrictModes=no', '-o', 'UsePAM=no'],
        stops,
      )
      await waitForPort(near.prefix, '127.0.0.1', port)
      const options = ['StrictHostKeyChecking=no', 'UserKnownHostsFile=/dev/null', 'BatchMode=yes']
      const client = ['ssh', '-N', '-F', 'none', '-i', `${folder}/key`, '-p', `${port}`]
      for (const option of options) client.push('-o', option)
      client.push('-R', `127.0.0.1:${visitors}:127.0.0.1:${service}`, addresses.near)
      startWithin('ssh', far.prefix, client, stops)
      await waitForPort(near.prefix, '127.0.0.1', visitors)
      return { target: { port: visitors, host: 'ssh' }, ...loads }
    },
    async adit(checkout) {
      const flags = ['--insecure-open']
      const server = await startServer(`${addresses.near}:0`, checkout, {
        prefix: near.prefix,
        flags,
      })
      stops.push(() => server.process.stop())
      const { proxy, upstream } = server.ports
      const place = { prefix: far.prefix, host: addresses.near }
      const agent = await startAgent('http', 'web', service, upstream, checkout, place)
      stops.push(() => agent.stop())
      return { target: { port: proxy, host: 'web.localhost', address: addresses.near }, ...loads }
    },
  }
}

/**
 * @param {number} rttMs
 * @param {number} service - port
 * @param {{ load: Load, background: Load }} loads
 * @param {Stops} stops
 * @returns {Line}
 */
function overProxy(rttMs, service, loads, stops) {
  const startProxy = async (/** @type {number} */ port) => {
    const args = [join(import.meta.dirname, 'delay-proxy.mjs'), `${port}`, `${rttMs}`]
    const proxy = startWithin('delay proxy', [], [process.execPath, ...args], stops)
    const { port: own } = await proxy.event('ready')
    return own
  }
  return {
    direct: async () => ({ target: { port: await startProxy(service), host: 'direct' }, ...loads }),
    async relays() {
      const there = await startRelay([], ['127.0.0.1', '127.0.0.1', `${service}`], stops)
      const here = ['127.0.0.1', '127.0.0.1', `${await startProxy(there)}`]
      return { target: { port: await startRelay([], here, stops), host: 'relays' }, ...loads }
    },
    async adit(checkout) {
      const server = await startServer('127.0.0.1:0', checkout)
      stops.push(() => server.process.stop())
      const { proxy, upstream } = server.ports
      const agent = await startAgent('http', 'web', service, await startProxy(upstream), checkout)
      stops.push(() => agent.stop())
      return { target: { port: proxy, host: 'web.localhost' }, ...loads }
    },
  }
}

/**
 * @param {readonly string[]} prefix
 * @param {Stops} stops
 * @returns {{ load: Load, background: Load }}
 */
function startLoads(prefix, stops) {
  const [load, background] = [startLoader(prefix), startLoader(prefix)]
  stops.push(async () => {
    load.stop()
    background.stop()
  })
  return { load: load.load, background: background.load }
}

/**
 * @param {readonly string[]} prefix
 * @param {readonly string[]} args - of relay.mjs
 * @param {Stops} stops
 * @returns {Promise<number>} its port
 */
async function startRelay(prefix, args, stops) {
  const line = [process.execPath, join(import.meta.dirname, 'relay.mjs'), ...args]
  const { port } = await startWithin('relay', prefix, line, stops).event('ready')
  return port
}

/**
 * @param {readonly string[]} prefix
 * @param {string} address
 * @param {Stops} stops
 * @returns {Promise<number>} the port of the HTTP service
 */
async function startServices(prefix, address, stops) {
  const line = [process.execPath, join(import.meta.dirname, 'services.mjs'), address]
  const { http } = await startWithin('services', prefix, line, stops).event('ready')
  return http
}

/**
 * @param {string} name
 * @param {readonly string[]} prefix
 * @param {readonly string[]} line
 * @param {Stops} stops
 */
function startWithin(name, prefix, line, stops) {
  const [command = '', ...args] = [...prefix, ...line]
  const process_ = new StartedProcess(name, command, args)
  stops.push(() => process_.stop())
  return process_
}

/** @param {string} folder */
function makeKeys(folder) {
  mkdirSync('/run/sshd', { recursive: true }) // where sshd wants it, before it starts
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(folder, 'key')])
}

/**
 * Waits until a port answers, in the namespace of the prefix.
 *
 * @param {readonly string[]} prefix
 * @param {string} address
 * @param {number} port
 */
async function waitForPort(prefix, address, port) {
  const script = `const { connect } = require('node:net')
    const attempt = () => connect(${port}, '${address}')
      .on('connect', () => process.exit())
      .on('error', () => setTimeout(attempt, 50))
    attempt()
    setTimeout(() => process.exit(1), 10_000)`
  const [command, ...args] = [...prefix, process.execPath, '-e', script]
  await promisify(execFile)(command, args)
}

function congestionControl() {
  return readFileSync('/proc/sys/net/ipv4/tcp_congestion_control', 'utf8').trim()
}
