// @ts-check
// What the inspector costs: the same service through an agent without it (the leg direct), with nothing kept and no
// page open, with the defaults, and with a page open. `pnpm bench --inspect [--rounds 15] [--json]`.
import { once } from 'node:events'
import { request } from 'node:http'
import { join } from 'node:path'
import { startAgent, startServer } from '@proj/scripts/adit-processes'
import { LARGE_BYTES, SMALL_BYTES } from './measures.mjs'
import { startNginxService } from './nginx.mjs'
import { cpuSeconds } from './process-usage.mjs'

/** @typedef {import('@proj/scripts/started-process').StartedProcess} StartedProcess */
/** @typedef {import('./measures.mjs').Load} Load */
/** @typedef {{ name: string, web: import('./load-client.mjs').Target, agent: number }} InspectLeg */

const MIB = 1024 * 1024
const BUSY_CONNECTIONS = 64
const BUSY_MS = 1_500
const WARM_UP_MS = 5_000

/** Flags of the legs, and whether a page is open. */
const LEGS = {
  direct: { flags: ['--no-inspect'], isOpen: false },
  'nothing kept': { flags: ['--inspect', '--inspector.keep', '0'], isOpen: false },
  defaults: { flags: ['--inspect'], isOpen: false },
  'page open': { flags: ['--inspect'], isOpen: true },
}

/**
 * Goal: with nothing kept and no page open 0.98 or more of the rates without; the others are reported.
 *
 * @type {import('./results.mjs').Rows}
 */
export const INSPECT_ROWS = {
  busyRate: { title: '1 KiB, 64 connections', unit: 'req/s', better: 'more' },
  download: { title: 'HTTP download, 100 MiB', unit: 'MiB/s', better: 'more' },
  cpuRequests: { title: 'CPU of the agent per 100 k requests', unit: 's', better: 'less' },
}

/**
 * Starts a server and an agent for each leg, and warms them up.
 *
 * @param {string} folder - for files
 * @param {Load} load
 * @returns {Promise<{ legs: InspectLeg[], stop: () => Promise<void> }>}
 */
export async function startInspect(folder, load) {
  /** @type {StartedProcess[]} */
  const started = []
  const pages = new AbortController()
  const stop = async () => {
    pages.abort()
    for (const process_ of started.toReversed()) await process_.stop()
  }
  try {
    const service = await startNginxService(join(folder, 'service'), [SMALL_BYTES, LARGE_BYTES])
    started.push(service.process)
    const legs = []
    for (const [name, { flags, isOpen }] of Object.entries(LEGS)) {
      const server = await startServer('127.0.0.1:0')
      started.push(server.process)
      const place = { flags: [...flags, '--inspector.bind-addr', '127.0.0.1:0'] }
      const agent = await startAgent(
        'http',
        'web',
        service.port,
        server.ports.upstream,
        undefined,
        place,
      )
      started.push(agent)
      if (isOpen) await openPage(String((await agent.event('ready'))['inspect']), pages.signal)
      const web = { port: server.ports.proxy, host: 'web.localhost' }
      await load('requests', requestsOn(web, WARM_UP_MS))
      legs.push({ name, web, agent: agent.pid })
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
 * @param {InspectLeg} leg
 * @param {Load} load
 * @returns {Promise<Record<string, number>>}
 */
export async function measureInspect({ web, agent }, load) {
  const before = cpuSeconds(agent)
  const busy = await load('requests', requestsOn(web, BUSY_MS))
  const cpu = cpuSeconds(agent) - before
  const path = `/${LARGE_BYTES}`
  const down = await load('download', { ...web, path, bytes: LARGE_BYTES })
  return {
    busyRate: busy.perSecond,
    download: down.bytesPerSecond / MIB,
    cpuRequests: (cpu / busy.requests) * 100_000,
  }
}

/**
 * Reads the stream of changes, as a page does.
 *
 * @param {string} openUrl
 * @param {AbortSignal} signal
 */
async function openPage(openUrl, signal) {
  const { port, hash } = new URL(openUrl)
  const headers = { 'x-adit-token': hash.slice('#t='.length) }
  const asked = request({ port, host: '127.0.0.1', path: '/api/stream', headers, signal })
  asked.on('error', () => {})
  asked.end()
  const [response] = await once(asked, 'response')
  if (response.statusCode !== 200) throw new Error(`the inspector answered ${response.statusCode}`)
  response.on('error', () => {})
  response.resume()
}

/**
 * @param {import('./load-client.mjs').Target} web
 * @param {number} durationMs
 */
function requestsOn(web, durationMs) {
  return { ...web, path: `/${SMALL_BYTES}`, connections: BUSY_CONNECTIONS, durationMs }
}
