// @ts-check
// Checks what `npm install -g` gives: installs the tarballs of all packages as a release has them, and the
// programs from the checkout as the README says; asks each program for its version, sends a request through
// the two, and holds what an installation of each program weighs to INSTALLED_LIMITS.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { packRelease } from './release-packages.mjs'
import { startSampleService, visit } from './sample-service.mjs'
import { StartedProcess } from './started-process.mjs'
import { ROOT } from './workspace.mjs'

/**
 * The most that an installation of a program alone may have: packages, and MB (10^6 bytes) of files. The
 * server has one binary of libsql, 9.5 MB.
 *
 * @type {Readonly<Record<string, { packages: number, megabytes: number }>>}
 */
export const INSTALLED_LIMITS = {
  agent: { packages: 3, megabytes: 5 },
  server: { packages: 4, megabytes: 15 },
}

const COMMIT = '0123456789abcdef0123456789abcdef01234567'

/** How long a program may take to start on a busy machine, ms. */
const READY_MS = 60_000

/** The scope is another one, so that a name that is not renamed is found. */
const SCOPE = '@adit-release'

/**
 * Rejects if a package does not install, start or serve. Needs a build.
 *
 * @param {string} root
 * @returns {Promise<string[]>} what was found, for people
 */
export async function checkInstalled(root) {
  const folder = mkdtempSync(join(tmpdir(), 'adit-installed-'))
  try {
    const tarballs = await packRelease(root, folder, { commit: COMMIT, scope: SCOPE })
    const all = join(folder, 'all')
    install(all, Object.values(tarballs), folder)
    for (const program of ['adit', 'adit-server']) {
      const version = JSON.parse(output(join(all, 'bin', program), ['version', '--json']))
      if (version.program !== program || version.commit !== COMMIT) {
        throw new Error(`${program} says ${JSON.stringify(version)}`)
      }
    }
    output(join(all, 'bin/portcheck'), ['--version'])
    await sendRequest((program) => [join(all, 'bin', program)], join(folder, 'state'))
    const linked = join(folder, 'linked')
    install(linked, ['./apps/agent', './apps/server'], root)
    for (const program of ['adit', 'adit-server']) {
      output(join(linked, 'bin', program), ['--version'])
    }
    return Object.keys(INSTALLED_LIMITS).map((name) => {
      const prefix = join(folder, name)
      install(prefix, [tarballs[`${SCOPE}/${name}`] ?? ''], folder)
      return checkWeight(name, join(prefix, 'lib/node_modules'))
    })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/**
 * @param {string} name
 * @param {string} modules
 */
export function checkWeight(name, modules, limits = INSTALLED_LIMITS) {
  const files = readdirSync(modules, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
  const bytes = files.reduce((sum, file) => sum + statSync(file).size, 0)
  const packages = files.filter((file) =>
    /node_modules\/(?:@[^/]+\/)?[^/]+\/package\.json$/.test(file),
  ).length
  const megabytes = Math.ceil(bytes / 1e5) / 10
  const most = limits[name]
  const found = `${name}: ${packages} packages, ${megabytes} MB`
  if (most === undefined || packages > most.packages || megabytes > most.megabytes) {
    throw new Error(`${found}, and check-installed.mjs allows ${JSON.stringify(most)}`)
  }
  return found
}

/**
 * Installs the programs as packages of npm and sends a request through them.
 *
 * @param {readonly string[]} tarballs
 * @returns {Promise<string>} what was tried, for people
 */
export async function checkNpmInstallation(tarballs) {
  const folder = mkdtempSync(join(tmpdir(), 'adit-npm-'))
  try {
    const beganAt = performance.now()
    install(folder, [...tarballs], folder)
    const commandOf = (/** @type {string} */ program) => [join(folder, 'bin', program)]
    const answeredAt = await sendRequest(commandOf, join(folder, 'state'))
    return `packages of npm: ${firstAnswer(beganAt, answeredAt)}`
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/**
 * Says how long a user waits for the first answer, once the files of a release are there.
 *
 * @param {number} beganAt - when they were, `performance.now()`
 * @param {number} answeredAt
 */
export function firstAnswer(beganAt, answeredAt) {
  return `first answer ${((answeredAt - beganAt) / 1000).toFixed(1)} s after the download`
}

/**
 * @param {string} prefix
 * @param {string[]} what
 * @param {string} cwd
 */
function install(prefix, what, cwd) {
  const quiet = ['--no-audit', '--no-fund', '--prefer-offline', '--ignore-scripts', '--silent']
  execFileSync('npm', ['install', '--global', '--prefix', prefix, ...quiet, ...what], {
    cwd,
    stdio: ['ignore', 'ignore', 'inherit'],
  })
}

/**
 * @param {string} program
 * @param {string[]} args
 */
function output(program, args) {
  return execFileSync(program, args, { encoding: 'utf8' })
}

/**
 * @typedef {object} Running - what `sendRequest` has started
 * @property {StartedProcess} server
 * @property {StartedProcess} agent
 * @property {string} adminUrl - of the server
 * @property {number} proxyPort - where visitors of `web.localhost` come
 */

/**
 * Starts both programs and sends a request through them. Rejects unless it is answered.
 *
 * @param {(program: string) => string[]} commandOf - command and arguments that start a program
 * @param {string | undefined} state - state directory, as the server sees it; undefined: the command sets it
 * @param {object} [options]
 * @param {(running: Running) => Promise<void>} [options.meanwhile] - does more while both run
 * @param {{ port: number, close: () => void }} [options.service] - closed at the end. Default: a sample
 * @returns {Promise<number>} when the answer came, `performance.now()`
 */
export async function sendRequest(commandOf, state, options = {}) {
  const { meanwhile, service = await startSampleService() } = options
  const started = (/** @type {string} */ program, /** @type {string[]} */ args) => {
    const [command = '', ...rest] = commandOf(program)
    const env = state === undefined ? {} : { STATE_DIRECTORY: state }
    return new StartedProcess(program, command, [...rest, ...args, '--json'], env)
  }
  const binds = ['proxy', 'upstream', 'admin'].flatMap((name) => [
    `--${name}.bind-addr`,
    '127.0.0.1:0',
  ])
  const server = started('adit-server', binds)
  try {
    const { listeners } = await server.event('ready', READY_MS)
    const port = (/** @type {string} */ name) =>
      listeners
        .find((/** @type {any} */ one) => one.name === name)
        .addresses[0].split(':')
        .at(-1)
    const url = `http://127.0.0.1:${port('upstream')}`
    const agent = started('adit', ['http', 'web', String(service.port), '--connect.url', url])
    try {
      await agent.event('ready', READY_MS)
      const proxyPort = Number(port('proxy'))
      const { status } = await visit(proxyPort, `http://web.localhost:${proxyPort}/`)
      if (status !== 200) throw new Error(`the installed programs answered ${status}`)
      const answeredAt = performance.now()
      await meanwhile?.({ server, agent, adminUrl: `http://127.0.0.1:${port('admin')}`, proxyPort })
      return answeredAt
    } finally {
      await agent.stop()
    }
  } finally {
    await server.stop()
    service.close()
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  for (const line of await checkInstalled(ROOT)) console.log(`check installed: ${line}`)
}
