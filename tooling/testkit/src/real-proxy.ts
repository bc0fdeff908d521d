// Proxies that people really run, started for one test file each with a configuration of its own.
// They cannot listen on port 0, so they get an address of their own instead: on Linux the whole of
// 127.0.0.0/8 is this host, and an address made from the process id is not used by others.
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, chmodSync, constants } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { temporaryDirectory } from './temporary-directory.ts'
import { until } from './until.ts'

/** A proxy that runs. */
export interface RealProxy {
  /** `host:port` of its plain port. */
  readonly authority: string
  /** `host:port` of its TLS port, if it has one. */
  readonly tlsAuthority: string
  /** What it wrote so far. */
  readonly output: () => string
  /** Ends it. */
  stop(): Promise<void>
}

/** A file the proxy needs: its name and its content. */
export type ProxyFiles = Readonly<Record<string, string>>

const FOLDERS = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin']

/** Returns the path of a program of the system, or undefined after a warning on standard error. */
export function findProgram(name: string, debianPackage: string): string | undefined {
  for (const folder of FOLDERS) {
    const path = join(folder, name)
    try {
      accessSync(path, constants.X_OK)
      return path
    } catch {
      // the next folder may have it
    }
  }
  process.stderr.write(`SKIPPED: ${name} is missing (Debian package ${debianPackage})\n`)
  return undefined
}

// Some proxies wait for their connections to end: after this grace they are killed.
const STOP_GRACE_MS = 1_000

let started = 0
const running = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of running) killGroup(child)
})

/**
 * Starts a proxy and waits until its port answers.
 * @param program - path of the program
 * @param command - makes its arguments from its folder, its address and the paths of its files
 * @param files - makes its files
 */
export async function realProxy(
  program: string,
  files: (folder: string, host: string) => ProxyFiles,
  command: (folder: string, host: string) => readonly string[],
  port = 3128,
): Promise<RealProxy> {
  const folder = temporaryDirectory()
  // The programs give up root for an account that must still reach their files.
  chmodSync(folder.path, 0o777)
  const host = ownAddress()
  for (const [name, content] of Object.entries(files(folder.path, host))) {
    folder.write(name, content, name.endsWith('.sh') ? 0o755 : 0o644)
  }
  const child = spawn(program, command(folder.path, host), {
    // A group of its own: some of these fork children that outlive them.
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  running.add(child)
  let written = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => (written = (written + chunk.toString()).slice(-64_000)))
  }
  const output = (): string => written
  const stop = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) {
      const exited = once(child, 'exit')
      const timer = setTimeout(() => killGroup(child), STOP_GRACE_MS)
      child.kill('SIGTERM')
      await exited
      clearTimeout(timer)
    }
    killGroup(child)
    running.delete(child)
    child.stdout.destroy()
    child.stderr.destroy()
    folder[Symbol.dispose]()
  }
  try {
    await until(() => accepts(host, port), { timeoutMs: 20_000, what: `${program} answers` })
  } catch (error) {
    await stop()
    throw new Error(`${program} does not start:\n${output()}`, { cause: error })
  }
  return { authority: `${host}:${port}`, tlsAuthority: `${host}:${port + 1}`, output, stop }
}

/** Makes a hash for files of passwords: `apr1` as for htpasswd, `6` as for /etc/shadow. */
export function passwordHash(kind: 'apr1' | '6', password: string): string {
  const { stdout } = spawnSync('openssl', ['passwd', `-${kind}`, '-stdin'], { input: password })
  return stdout.toString().trim()
}

function ownAddress(): string {
  started += 1
  // 19 bits of process id and five of count fill the three bytes behind 127, above 127.1.
  const id = (process.pid % 2 ** 19) * 32 + (started % 32)
  return `127.${1 + ((id >> 16) % 254)}.${(id >> 8) & 0xff}.${id & 0xff}`
}

function accepts(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port })
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, 'SIGKILL')
  } catch {
    // all of it has gone already
  }
}
