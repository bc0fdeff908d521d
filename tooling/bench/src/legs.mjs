// @ts-check
// The ways from the load generator to the services: straight, through nginx, through Adit.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  isAditBuilt,
  startAccess,
  startAgent,
  startConfiguredAgent,
  startServer,
} from '@proj/scripts/adit-processes'
import { missingPrograms } from '@proj/scripts/programs'
import { StartedProcess } from '@proj/scripts/started-process'
import { startNginxProxy, startNginxService } from './nginx.mjs'

/**
 * @typedef {object} Leg
 * @property {string} name
 * @property {import('./load-client.mjs').Target} web - answers GET /<bytes>
 * @property {import('./load-client.mjs').Target} sink - takes POST /upload
 * @property {number | undefined} raw - port of the byte source and sink, if the leg carries TCP
 * @property {{ name: string, pid: number }[]} processes - between the load and the service
 */

/** Rules that are met by every request and limit none of them. */
const RULES = {
  host_header: 'service',
  request_headers: ['X-Visitor: {visitor}'],
  response_headers: ['X-Served-By: {endpoint}'],
  limits: {
    rate: '1000000/s',
    rate_per_visitor: '1000000/s',
    concurrent: 100_000,
    max_body: '1GiB',
    max_time: '1h',
    upload: '100GiB/s',
    download: '100GiB/s',
  },
}

const NGINX = [{ name: 'nginx', debian: 'nginx-light', usedFor: 'the benchmark' }]

/**
 * Starts the services and every leg that can be had here.
 *
 * @param {string} folder - for configuration files
 * @param {readonly number[]} sizes - bytes, of the bodies to be asked for
 * @param {{ previous?: string | undefined, hasRules?: boolean }} [more] - `previous`: folder of another built checkout,
 *   for a leg through that build; `hasRules`: a leg whose listeners have rules and limits
 * @returns {Promise<{ legs: Leg[], notes: string[], stop: () => Promise<void> }>}
 */
export async function startLegs(folder, sizes, { previous, hasRules = false } = {}) {
  /** @type {StartedProcess[]} */
  const started = []
  const stop = async () => {
    for (const process_ of started.toReversed()) await process_.stop()
  }
  const hasNginx = missingPrograms(NGINX).length === 0
  try {
    const services = new StartedProcess('services', process.execPath, [
      join(import.meta.dirname, 'services.mjs'),
    ])
    started.push(services)
    const { http, raw } = await services.event('ready')
    const ports = { web: http, sink: http, raw }
    if (hasNginx) {
      const service = await startNginxService(join(folder, 'service'), sizes)
      started.push(service.process)
      ports.web = service.port
    }

    const legs = [directLeg(ports)]
    const notes = [
      hasNginx
        ? 'service of GET: nginx, one process; of uploads and TCP: minimal Node'
        : 'service: minimal Node; nginx is not installed, so there is no leg through it',
    ]
    if (hasNginx) legs.push(await startNginxLeg(join(folder, 'proxy'), ports, started))
    if (previous !== undefined) {
      if (!isAditBuilt(previous)) throw new Error(`--previous ${previous}: not built there`)
      legs.push(await startAditLeg('previous', ports, started, previous))
    }
    if (hasRules && isAditBuilt()) legs.push(await startRuledLeg(folder, ports, started))
    if (isAditBuilt()) legs.push(await startAditLeg('adit', ports, started))
    else notes.push('adit is not built, so there is no leg through it')
    return { legs, notes, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

/**
 * @param {{ web: number, sink: number, raw: number }} ports
 * @returns {Leg}
 */
function directLeg({ web, sink, raw }) {
  const host = '127.0.0.1'
  return {
    name: 'direct',
    web: { port: web, host },
    sink: { port: sink, host },
    raw,
    processes: [],
  }
}

/**
 * @param {string} folder
 * @param {{ web: number, sink: number }} ports
 * @param {StartedProcess[]} started
 * @returns {Promise<Leg>}
 */
async function startNginxLeg(folder, ports, started) {
  const proxy = await startNginxProxy(folder, ports)
  started.push(proxy.process)
  const target = { port: proxy.port, host: '127.0.0.1' }
  const processes = [{ name: 'nginx', pid: proxy.process.pid }]
  return { name: 'nginx', web: target, sink: target, raw: undefined, processes }
}

/**
 * The leg of HTTP with rules at the agent and limits at the server.
 *
 * @param {string} folder
 * @param {{ web: number, sink: number }} services
 * @param {StartedProcess[]} started
 * @returns {Promise<Leg>}
 */
async function startRuledLeg(folder, services, started) {
  const server = await startServer('127.0.0.1:0')
  started.push(server.process)
  const { proxy, upstream } = server.ports
  const processes = [{ name: 'adit-server with rules', pid: server.process.pid }]
  for (const endpoint of /** @type {const} */ (['web', 'sink'])) {
    const file = join(folder, `${endpoint}.yaml`)
    const listener = { endpoint, addr: `127.0.0.1:${services[endpoint]}`, ...RULES }
    const connect = { url: `http://127.0.0.1:${upstream}` }
    writeFileSync(file, JSON.stringify({ connect, listeners: [listener] }))
    const agent = await startConfiguredAgent(file)
    started.push(agent)
    processes.push({ name: `adit http ${endpoint} with rules`, pid: agent.pid })
  }
  return {
    name: 'with rules',
    web: { port: proxy, host: 'web.localhost' },
    sink: { port: proxy, host: 'sink.localhost' },
    raw: undefined,
    processes,
  }
}

/**
 * @param {string} name
 * @param {{ web: number, sink: number, raw: number }} services
 * @param {StartedProcess[]} started
 * @param {string} [checkout] - folder of the project; this one without it
 * @returns {Promise<Leg>}
 */
async function startAditLeg(name, services, started, checkout) {
  const server = await startServer('127.0.0.1:0', checkout)
  started.push(server.process)
  const { proxy, upstream } = server.ports
  const web = await startAgent('http', 'web', services.web, upstream, checkout)
  started.push(web)
  const sink = await startAgent('http', 'sink', services.sink, upstream, checkout)
  started.push(sink)
  const raw = await startAgent('tcp', 'raw', services.raw, upstream, checkout)
  started.push(raw)
  const access = await startAccess('raw', proxy, checkout)
  started.push(access.process)
  return {
    name,
    web: { port: proxy, host: 'web.localhost' },
    sink: { port: proxy, host: 'sink.localhost' },
    raw: access.port,
    processes: [
      { name: 'adit-server', pid: server.process.pid },
      { name: 'adit http web', pid: web.pid },
      { name: 'adit http sink', pid: sink.pid },
      { name: 'adit tcp raw', pid: raw.pid },
      { name: 'adit access raw', pid: access.process.pid },
    ],
  }
}
