// Load balancers that people really run, with the configuration that docs/operations.md shows: the text there
// is what runs here, with other addresses. On Linux the whole of 127.0.0.0/8 is this host, so each server has an
// address of its own and the ports of the document.
import { chmodSync, readFileSync } from 'node:fs'
import { connect } from 'node:net'

import { findProgram } from './real-proxy.ts'
import { type Spawned, spawned } from './spawned.ts'
import { temporaryDirectory } from './temporary-directory.ts'
import { until } from './until.ts'

/** A load balancer of docs/operations.md. */
export type BalancerName = 'nginx' | 'haproxy' | 'caddy'

/** Ports of each server in the document. */
export const SERVER_PORTS = { proxy: 8000, upstream: 8001, admin: 8002 } as const

/** A load balancer that runs. */
export interface Balancer {
  /** Address of loopback that it listens on. */
  readonly address: string
  readonly port: number
  /** What it wrote so far. */
  readonly process: Spawned
  /** Ends it. */
  stop(): Promise<void>
}

const OPERATIONS = new URL('../../../docs/operations.md', import.meta.url)

/** Of the document; the servers have the last bytes 1, 2 and 3. */
const NETWORK = '10.0.0'
const BALANCER_BYTE = 100

/** How long a load balancer may take to end, ms; its connections are not waited for. */
const STOP_GRACE_MS = 5_000
const PORT = 8080

interface Kind {
  readonly debian: string
  /** Language of its block in the document. */
  readonly language: string
  /** Its address in the document. */
  readonly listen: readonly [text: RegExp, replacement: (address: string) => string]
  /** The whole file around the block. */
  readonly file: (block: string, folder: string) => string
  readonly args: (file: string, folder: string) => readonly string[]
}

const KINDS: Readonly<Record<BalancerName, Kind>> = {
  nginx: {
    debian: 'nginx-light',
    language: 'nginx',
    listen: [/listen 80;/, (address) => `listen ${address};`],
    // what Debian's nginx.conf has around a site, in a folder of this run
    file: (block, folder) =>
      [
        `daemon off; pid ${folder}/pid; worker_processes 1;`,
        'events { worker_connections 768; }',
        'http {',
        '  access_log off;',
        ...['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
          (name) => `  ${name}_temp_path ${folder}/${name};`,
        ),
        block,
        '}',
      ].join('\n'),
    args: (file, folder) => ['-c', file, '-p', folder, '-e', 'stderr'],
  },
  haproxy: {
    debian: 'haproxy',
    language: 'haproxy',
    listen: [/bind :80$/m, (address) => `bind ${address}`],
    file: (block) => block,
    args: (file) => ['-db', '-f', file],
  },
  caddy: {
    debian: 'caddy',
    language: 'caddyfile',
    listen: [/^:80 \{/m, (address) => `http://:${PORT} {\n  bind ${address.split(':')[0]}`],
    file: (block) => `{\n  admin off\n}\n${block}`,
    args: (file) => ['run', '--adapter', 'caddyfile', '--config', file],
  },
}

/** Path of the program; undefined where it is missing, with a warning on standard error. */
export function balancerProgram(name: BalancerName): string | undefined {
  return findProgram(name, KINDS[name].debian)
}

/** The first three bytes of addresses of loopback that no other process of tests uses. */
export function ownNetwork(): string {
  const id = process.pid % (254 * 256)
  return `127.${1 + (id >> 8)}.${id & 0xff}`
}

/** A fenced block of docs/operations.md, by its language; there is one of each. */
export function operationsBlock(language: string): string {
  const text = readFileSync(OPERATIONS, 'utf8')
  const blocks = [...text.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\``, 'gms'))]
  if (blocks.length !== 1) throw new Error(`${blocks.length} blocks of ${language}, not one`)
  return blocks[0]?.[1] ?? ''
}

/**
 * Starts a load balancer in front of servers with the last bytes 1, 2 and 3, and waits until it answers.
 *
 * @param network - see `ownNetwork`.
 * @param offset - of its address, for several in one network.
 */
export async function startBalancer(
  name: BalancerName,
  network: string,
  offset = 0,
): Promise<Balancer> {
  const { language, listen, file, args } = KINDS[name]
  const program = balancerProgram(name)
  if (program === undefined) throw new Error(`${name} is missing`)
  const folder = temporaryDirectory()
  chmodSync(folder.path, 0o711) // nginx gives up root and must still reach its folders
  const address = `${network}.${BALANCER_BYTE + offset}`
  const [found, replacement] = listen
  const shown = operationsBlock(language)
  if (!found.test(shown)) throw new Error(`the block of ${name} does not match ${String(found)}`)
  const block = shown
    .replace(found, replacement(`${address}:${PORT}`))
    .replaceAll(`${NETWORK}.`, `${network}.`)
  const path = folder.write('balancer.conf', file(block, folder.path))
  const state = { XDG_DATA_HOME: folder.path, XDG_CONFIG_HOME: folder.path }
  const process = spawned(program, args(path, folder.path), { env: state, cwd: folder.path })
  const stop = async (): Promise<void> => {
    await process.stop(STOP_GRACE_MS)
    folder[Symbol.dispose]()
  }
  try {
    await until(async () => await accepts(address), { what: `${name} answers` })
  } catch (error) {
    await stop()
    throw new Error(`${name} does not start:\n${process.stderr}${process.stdout}`, { cause: error })
  }
  return { address, port: PORT, process, stop }
}

async function accepts(host: string): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = connect({ host, port: PORT })
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
