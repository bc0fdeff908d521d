// @ts-check
// The two programs as processes: from the build, started the way a user does, and from the sources.
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { StartedProcess } from './started-process.mjs'
import { ROOT } from './workspace.mjs'

const SERVER = 'apps/server/bin/adit-server.js'
const AGENT = 'apps/agent/bin/adit.js'

/** @type {string[]} folders of servers, removed when the script ends */
const states = []
process.on('exit', () => {
  for (const state of states) rmSync(state, { recursive: true, force: true })
})

/**
 * @typedef {object} Place - where a program runs
 * @property {readonly string[]} [prefix] - put before its command line, such as `ip netns exec NAME`
 * @property {string} [host] - address of the server for agents. Default: 127.0.0.1
 * @property {string} [scheme] - of the server's URL for agents, `http` or `https`. Default: http
 * @property {readonly string[]} [flags] - further flags
 */

/** Default ports of a server: proxy, upstream, admin. */
export const DEFAULT_PORTS = [8000, 8001, 8002]

/**
 * Tells whether all of these ports are free at this moment.
 *
 * @param {readonly number[]} ports
 */
export async function areFree(ports) {
  for (const port of ports) {
    const probe = createServer().listen(port)
    const free = await once(probe, 'listening').then(
      () => true,
      () => false,
    )
    probe.close()
    if (!free) return false
  }
  return true
}

/** Options of Node with which it runs from the sources of all packages. */
export const SOURCE_OPTIONS = ['--conditions=@proj/source', '--import', import.meta.resolve('tsx')]

/**
 * Arguments of Node that run a program from its sources.
 *
 * @param {string} name - folder of the program: `agent` or `server`
 */
export function sourceArguments(name) {
  const main = join(ROOT, 'apps', name, 'src/main.ts')
  return [...SOURCE_OPTIONS, main]
}

/**
 * Tells whether both programs have been built.
 *
 * @param {string} [checkout] - folder of the project; this one without it
 */
export function isAditBuilt(checkout = ROOT) {
  return ['apps/server/dist/main.js', 'apps/agent/dist/main.js'].every((file) =>
    existsSync(join(checkout, file)),
  )
}

/**
 * Starts a server and waits until it listens. Its state directory is temporary: a demo never writes
 * where a server of the user does.
 *
 * @param {string} [bind] - address for all three listeners; the defaults of the server without it
 * @param {string} [checkout] - folder of the project; this one without it
 * @param {Place} [place]
 */
export async function startServer(bind, checkout = ROOT, place = {}) {
  const listeners = bind === undefined ? [] : ['proxy', 'upstream', 'admin']
  const flags = listeners.flatMap((name) => [`--${name}.bind-addr`, String(bind)])
  const state = mkdtempSync(join(tmpdir(), 'adit-demo-'))
  states.push(state)
  const args = [join(checkout, SERVER), ...flags, ...(place.flags ?? []), '--json']
  const process_ = start('adit-server', args, place, { STATE_DIRECTORY: state })
  const ready = await process_.event('ready')
  const portOf = (/** @type {string} */ name) => {
    const listener = ready['listeners'].find((/** @type {any} */ l) => l.name === name)
    return lastPort(listener.addresses[0])
  }
  return {
    process: process_,
    ports: { proxy: portOf('proxy'), upstream: portOf('upstream'), admin: portOf('admin') },
  }
}

/**
 * Starts an agent that serves one endpoint and waits until it is registered.
 *
 * @param {'http' | 'tcp'} kind
 * @param {string} endpoint
 * @param {number} servicePort
 * @param {number} upstreamPort
 * @param {string} [checkout] - folder of the project; this one without it
 * @param {Place} [place]
 */
export async function startAgent(
  kind,
  endpoint,
  servicePort,
  upstreamPort,
  checkout = ROOT,
  place = {},
) {
  const agent = join(checkout, AGENT)
  const url = `${place.scheme ?? 'http'}://${place.host ?? '127.0.0.1'}:${upstreamPort}`
  const flags = ['--connect.url', url, ...(place.flags ?? []), '--json']
  const args = [agent, kind, endpoint, String(servicePort), ...flags]
  const process_ = start(`adit ${kind} ${endpoint}`, args, place)
  await process_.event('ready')
  return process_
}

/**
 * Starts an agent with a file of settings, and waits until its listeners are ready.
 *
 * @param {string} file
 */
export async function startConfiguredAgent(file) {
  const process_ = start('adit start', [join(ROOT, AGENT), 'start', '--config', file, '--json'], {})
  await process_.event('ready')
  return process_
}

/**
 * Starts the consumer's side of a TCP endpoint and waits until it listens.
 *
 * @param {string} endpoint
 * @param {number} proxyPort
 * @param {string} [checkout] - folder of the project; this one without it
 */
export async function startAccess(endpoint, proxyPort, checkout = ROOT) {
  const agent = join(checkout, AGENT)
  const url = `http://127.0.0.1:${proxyPort}`
  const args = [agent, 'access', endpoint, '--bind', '127.0.0.1:0', '--connect.url', url, '--json']
  const process_ = new StartedProcess(`adit access ${endpoint}`, process.execPath, args)
  const ready = await process_.event('ready')
  return { process: process_, port: lastPort(ready['accesses'][0].addresses[0]) }
}

/**
 * @param {string} name
 * @param {readonly string[]} args - of Node
 * @param {Place} place
 * @param {Record<string, string>} [env]
 */
function start(name, args, { prefix = [] }, env = {}) {
  const [command = '', ...rest] = [...prefix, process.execPath, ...args]
  return new StartedProcess(name, command, rest, env)
}

/** @param {string} address - as `127.0.0.1:8000` or `[::]:8000` */
function lastPort(address) {
  return Number(address.slice(address.lastIndexOf(':') + 1))
}
