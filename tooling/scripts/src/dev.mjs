// @ts-check
// `pnpm dev`: a server, an agent and a sample service, run from the sources. A change of a source file
// restarts the programs that use it. Ctrl-C ends all. (package.json starts this with `exec`: a shell in
// between would die of Ctrl-C, and pnpm would report a failed command.)
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { areFree, DEFAULT_PORTS, sourceArguments } from './adit-processes.mjs'
import { RestartingProgram } from './restarting-program.mjs'
import { startSampleService, visit } from './sample-service.mjs'
import { watchSources } from './watch-sources.mjs'
import { ROOT, workspacePackages } from './workspace.mjs'

const ENDPOINT = 'web'
const LOOK_MS = 100
const STATE = mkdtempSync(join(tmpdir(), 'adit-dev-'))

const end = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => end.abort())
process.on('exit', () => rmSync(STATE, { recursive: true, force: true }))

const service = await startSampleService()
const [proxyPort, upstreamPort, adminPort] = await choosePorts()
const url = `http://${ENDPOINT}.localhost:${proxyPort}/`
const programs = {
  server: program(
    'server',
    `--proxy.bind-addr 127.0.0.1:${proxyPort} --upstream.bind-addr 127.0.0.1:${upstreamPort} --admin.bind-addr 127.0.0.1:${adminPort}`,
  ),
  agent: program(
    'agent',
    `http ${ENDPOINT} ${service.port} --connect.url http://127.0.0.1:${upstreamPort}`,
  ),
}

programs.server.start()
void isListening(upstreamPort).then(() => end.signal.aborted || programs.agent.start())
const sources = workspacePackages()
  .map(({ path }) => join(path, 'src'))
  .filter((folder) => /\/(?:apps|packages)\/[^/]+\/src$/.test(folder) && existsSync(folder))
const unwatch = watchSources(sources, restart)
void announce(`
Open ${url}   (curl ${url})
     http://localhost:${adminPort}/status/upstream/endpoints   what the server knows
A change below apps/*/src or packages/*/src restarts what uses it. Ctrl-C ends all.
`)

if (!end.signal.aborted) await once(end.signal, 'abort')
unwatch()
await Promise.all([programs.agent.stop(), programs.server.stop()])
service.close()
process.exit(0)

/**
 * @param {'agent' | 'server'} name
 * @param {string} args
 */
function program(name, args) {
  const log = ['--log.format', 'text']
  const env = { STATE_DIRECTORY: STATE }
  return new RestartingProgram(
    {
      name,
      command: process.execPath,
      args: [...sourceArguments(name), ...args.split(' '), ...log],
      env,
    },
    (line) => console.log(line),
  )
}

/** @param {string[]} files */
function restart(files) {
  const names = files.map((file) => relative(ROOT, file))
  const touched = Object.entries(programs).filter(([name]) =>
    names.some((file) => file.startsWith('packages/') || file.startsWith(`apps/${name}/`)),
  )
  const [first = '', ...others] = names
  const more = others.length > 0 ? ` and ${others.length} more` : ''
  const which = touched.map(([name]) => name).join(' and ')
  console.log(`\n${first}${more} changed: restarting ${which}`)
  const started = performance.now()
  void restartInOrder(touched.map(([, restarted]) => restarted)).then(() =>
    announce(() => `${url} answers again after ${Math.round(performance.now() - started)} ms\n`),
  )
}

/** @param {readonly RestartingProgram[]} touched */
async function restartInOrder(touched) {
  if (touched.includes(programs.server)) await programs.server.restart()
  if (!touched.includes(programs.agent)) return
  await isListening(upstreamPort)
  await programs.agent.restart()
}

/**
 * Resolves as soon as a port accepts connections: an agent that is started before that only warns.
 *
 * @param {number} port
 */
async function isListening(port) {
  while (!end.signal.aborted) {
    const probe = connect(port, '127.0.0.1')
    const accepted = await once(probe, 'connect').then(
      () => true,
      () => false,
    )
    probe.destroy()
    if (accepted) return
    await delay(LOOK_MS)
  }
}

/**
 * Prints a text as soon as the service answers through the tunnel.
 *
 * @param {string | (() => string)} text
 */
async function announce(text) {
  while (!end.signal.aborted) {
    const answer = await visit(proxyPort, url).catch(() => undefined)
    if (answer?.status === 200) return console.log(typeof text === 'string' ? text : text())
    await delay(LOOK_MS)
  }
}

/**
 * The same ports for every restart: the usual ones if they are free, else three free ones.
 *
 * @returns {Promise<[proxy: number, upstream: number, admin: number]>}
 */
async function choosePorts() {
  const [proxy = 0, upstream = 0, admin = 0] = DEFAULT_PORTS
  if (await areFree(DEFAULT_PORTS)) return [proxy, upstream, admin]
  console.log(`One of the ports ${DEFAULT_PORTS.join(', ')} is taken: others are used.`)
  const probes = DEFAULT_PORTS.map(() => createServer().listen(0, '127.0.0.1'))
  await Promise.all(probes.map((probe) => once(probe, 'listening')))
  const [a = 0, b = 0, c = 0] = probes.map((probe) => {
    const address = probe.address()
    return typeof address === 'object' ? (address?.port ?? 0) : 0
  })
  await Promise.all(probes.map((probe) => once(probe.close(), 'close')))
  return [a, b, c]
}
