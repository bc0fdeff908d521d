// A network of one test: a namespace with its own addresses, routes and ports, where a process can be
// started without touching the machine's network. Needs Linux, root and the `ip` program; a test asks
// `netnsMissing()` first and skips itself with the reason it gives.
import { execFileSync, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'

/** A network namespace with a loopback interface that is up. */
export interface NetworkNamespace {
  /** Its name, as `ip netns` shows it. */
  readonly name: string
  /** Put before a command, this runs it inside: `spawned(prefix[0], [...rest, ...command])`. */
  readonly prefix: readonly string[]
  /** Runs `ip` inside, as in `ip('addr', 'add', '192.0.2.1/24', 'dev', 'lo')`, and returns its output. */
  ip(...args: readonly string[]): string
  /** Removes it. What still runs inside keeps it alive unseen, so stop that first. */
  [Symbol.dispose](): void
}

const existing = new Set<string>()
process.on('exit', () => {
  for (const name of existing) spawnSync('ip', ['netns', 'del', name])
})

/** Tells why namespaces cannot be made here; undefined where they can. */
export function netnsMissing(): string | undefined {
  if (process.platform !== 'linux') return 'network namespaces are a thing of Linux'
  if (process.getuid?.() !== 0) return 'making network namespaces takes root'
  try {
    using probe = netns()
    probe.ip('addr')
    return undefined
  } catch (error) {
    return `network namespaces cannot be made here: ${error instanceof Error ? error.message : ''}`
  }
}

/** Makes a namespace: `using network = netns()`. */
export function netns(): NetworkNamespace {
  const name = `adit-${process.pid}-${randomBytes(4).toString('hex')}`
  ip('netns', 'add', name)
  existing.add(name)
  ip('-n', name, 'link', 'set', 'lo', 'up')
  return {
    name,
    prefix: ['ip', 'netns', 'exec', name],
    ip: (...args) => ip('-n', name, ...args),
    [Symbol.dispose]() {
      if (existing.delete(name)) ip('netns', 'del', name)
    },
  }
}

/** Connects two namespaces with a cable: interface `eth0` in each, with an address such as `192.0.2.1/24`. */
export function connectNetns(
  a: NetworkNamespace,
  addressA: string,
  b: NetworkNamespace,
  addressB: string,
): void {
  a.ip('link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', b.name)
  for (const [namespace, address] of [[a, addressA] as const, [b, addressB] as const]) {
    // nodad: an IPv6 address is usable at once, without the check for duplicates
    const flags = address.includes(':') ? ['nodad'] : []
    namespace.ip('addr', 'add', address, 'dev', 'eth0', ...flags)
    namespace.ip('link', 'set', 'eth0', 'up')
  }
}

function ip(...args: readonly string[]): string {
  return execFileSync('ip', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}
