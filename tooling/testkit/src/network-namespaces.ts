// Two hosts on one machine: a client with two uplinks and a server that both lead to.
//
//   client  a0 10.71.1.2  ---- s0 10.71.1.1  server    better default route, metric 100
//           a1 10.71.2.2  ---- s1 10.71.2.1            worse default route, metric 200
//                                lo 10.71.9.1          what the client wants to reach
//
// The same with fd71:1::, fd71:2:: and fd71:9::1. Needs root and iproute2; everything lies in
// its own namespaces, so the network of the machine is not touched.
import { execFileSync } from 'node:child_process'

/** Two network namespaces. */
export interface NetworkNamespaces {
  /** Name of the client's namespace. */
  readonly client: string
  /** Name of the server's namespace. */
  readonly server: string
  /** Runs a command line in the client's namespace and returns its output. */
  inClient(commandLine: string): string
  /** Runs a command line in the server's namespace and returns its output. */
  inServer(commandLine: string): string
  /** Removes both. */
  [Symbol.dispose](): void
}

/** Tells whether namespaces can be made here; warns on standard error when not. */
export function canMakeNamespaces(): boolean {
  const name = `adit-${process.pid}-probe`
  try {
    run(`ip netns add ${name}`)
    run(`ip netns del ${name}`)
    return true
  } catch {
    process.stderr.write('SKIPPED: network namespaces need root and iproute2\n')
    return false
  }
}

let made = 0

/** Makes the two hosts of the picture above. */
export function networkNamespaces(): NetworkNamespaces {
  made += 1
  const client = `adit-${process.pid}-${made}-c`
  const server = `adit-${process.pid}-${made}-s`
  const inClient = (commandLine: string): string => run(`ip netns exec ${client} ${commandLine}`)
  const inServer = (commandLine: string): string => run(`ip netns exec ${server} ${commandLine}`)
  const dispose = (): void => {
    for (const name of [client, server]) {
      try {
        run(`ip netns del ${name}`)
      } catch {
        // it was never made
      }
    }
  }
  try {
    run(`ip netns add ${client}`)
    run(`ip netns add ${server}`)
    // Addresses are used at once, not after the second of duplicate address detection.
    for (const inside of [inClient, inServer]) {
      inside('sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0')
      inside('sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0')
      // A second address of a subnet stays when the first goes.
      inside('sysctl -qw net.ipv4.conf.all.promote_secondaries=1')
      inside('ip link set lo up')
    }
    for (const [link, metric] of [
      [1, 100],
      [2, 200],
    ] as const) {
      const [a, s] = [`a${link - 1}`, `s${link - 1}`]
      inClient(`ip link add ${a} type veth peer name ${s} netns ${server}`)
      inClient(`ip addr add 10.71.${link}.2/24 dev ${a}`)
      inClient(`ip addr add fd71:${link}::2/64 dev ${a} nodad`)
      inServer(`ip addr add 10.71.${link}.1/24 dev ${s}`)
      inServer(`ip addr add fd71:${link}::1/64 dev ${s} nodad`)
      inServer(`ip link set ${s} up`)
      inClient(`ip link set ${a} up`)
      inClient(`ip route add default via 10.71.${link}.1 dev ${a} metric ${metric}`)
      inClient(`ip -6 route add default via fd71:${link}::1 dev ${a} metric ${metric}`)
    }
    inServer('ip addr add 10.71.9.1/32 dev lo')
    inServer('ip addr add fd71:9::1/128 dev lo nodad')
  } catch (error) {
    dispose()
    throw error
  }
  return { client, server, inClient, inServer, [Symbol.dispose]: dispose }
}

function run(commandLine: string): string {
  const [command = '', ...args] = commandLine.split(' ')
  return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}
