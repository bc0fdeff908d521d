// @ts-check
// Checks the archives of the executables of this platform: in a root directory that holds what is in them and the C library and nothing
// else, both say their version, a request goes through them, a token is made, and the server is upgraded in place.
// Needs root for chroot.
import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { firstAnswer, sendRequest } from './check-installed.mjs'

const STATE = '/var/lib/adit'

/** For `chroot` alone: certificates and settings of this machine are not in the directory. */
const PATH = '/usr/sbin:/usr/bin:/sbin:/bin'

/**
 * Rejects if an executable does not work.
 *
 * @param {readonly string[]} archives - as they are in a release
 * @param {readonly string[]} programs - that are in them
 * @param {string | undefined} commit - that they were built from
 * @returns {Promise<string>} what was tried, for people
 */
export async function checkExecutables(archives, programs, commit) {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) {
    return 'executables were not started: a bare root directory needs chroot, and that needs root'
  }
  const root = mkdtempSync(join(tmpdir(), 'adit-root-'))
  try {
    mkdirSync(join(root, STATE), { recursive: true, mode: 0o700 })
    mkdirSync(join(root, 'dev'))
    writeFileSync(join(root, 'dev/null'), '') // standard input of a successor
    const beganAt = performance.now()
    for (const archive of archives) execFileSync('tar', ['-xJf', archive, '-C', root])
    for (const library of programs.flatMap((program) => librariesOf(join(root, program)))) {
      mkdirSync(join(root, dirname(library)), { recursive: true })
      copyFileSync(library, join(root, library))
    }
    const commandOf = (/** @type {string} */ program) => ['chroot', root, `/${program}`]
    const output = (/** @type {string} */ program, /** @type {string[]} */ args) => {
      const [command = '', ...rest] = commandOf(program)
      return execFileSync(command, [...rest, ...args], { encoding: 'utf8', env: { PATH } })
    }
    for (const program of programs) {
      const version = JSON.parse(output(program, ['version', '--json']))
      if (version.commit !== commit) throw new Error(`${program} says ${JSON.stringify(version)}`)
    }
    const more = async () => {
      // beside the running server, so the store is open twice
      const rights = ['--endpoints', '*', '--data-dir', STATE]
      const token = output('adit-server', ['token', 'create', ...rights])
      if (!/\S{20}/.test(token)) throw new Error(`no token: ${token}`)
      const holder = () => JSON.parse(readFileSync(join(root, STATE, 'adit.holder'), 'utf8')).pid
      const before = holder()
      output('adit-server', ['upgrade', '--data-dir', STATE])
      if (holder() === before) throw new Error('the upgrade has replaced nothing')
      process.kill(holder(), 'SIGTERM')
    }
    const time = firstAnswer(beganAt, await sendRequest(commandOf, STATE, { meanwhile: more }))
    return `executables: in a bare root directory, ${time}, a token and an upgrade`
  } finally {
    rmSync(root, { recursive: true, force: true })
  }
}

/**
 * The libraries that a program of this machine is linked with.
 *
 * @param {string} file
 */
export function librariesOf(file) {
  const lines = execFileSync('ldd', [file], { encoding: 'utf8' })
  return [...lines.matchAll(/(\/\S+) \(0x/g)].map(([, path = '']) => path)
}
