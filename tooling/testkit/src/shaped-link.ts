// Two networks with a line between them that has a round trip time, a loss and a rate: what `tc netem` does,
// for machines whose kernel does not have it. TCP on the line is the kernel's own.
//
//   near 192.0.2.1  ==== VXLAN ==== relay ==== VXLAN ====  192.0.2.2 far
//
// Each side has a VXLAN interface, so every packet of the line is a UDP datagram, and these go to a process in
// a third namespace. Needs Linux with VXLAN, root and iproute2; ask `netnsMissing()` of netns.ts first.
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

import { netns, type NetworkNamespace } from './netns.ts'

/** What a line does to its packets. */
export interface LineShape {
  /** Round trip time of a packet that does not queue, ms. Half of it is spent in each direction. */
  readonly rttMs: number
  /** Packets lost in each direction, percent. Default 0. */
  readonly lossPercent?: number
  /** Rate of each direction. One process carries up to about 400 Mbit/s. Default 200. */
  readonly mbitPerSecond?: number
  /** Congestion control of both ends, such as `cubic`. Default: that of the machine. */
  readonly congestionControl?: string
}

/** A line and the networks at its ends. */
export interface ShapedLink {
  readonly near: NetworkNamespace
  readonly far: NetworkNamespace
  /** Ends the process in the middle and removes the networks; what runs in them has to be stopped first. */
  [Symbol.asyncDispose](): Promise<void>
}

/** Addresses of the two ends. */
export const NEAR_ADDRESS = '192.0.2.1'
export const FAR_ADDRESS = '192.0.2.2'

const RELAY = fileURLToPath(new URL('shaped-link-relay.mjs', import.meta.url))
const VXLAN_PORT = 4789
const MTU = 1500
/** Of the outer IP, UDP and VXLAN headers and the inner Ethernet header. */
const VXLAN_BYTES = 50
/** Queue of a line: as much as is under way on it, but no less than this. */
const MIN_QUEUE_BYTES = 256 * 1024

/** Makes a line: `await using link = await shapedLink({ rttMs: 50, lossPercent: 1 })`. */
export async function shapedLink(shape: LineShape): Promise<ShapedLink> {
  const { rttMs, lossPercent = 0, mbitPerSecond = 200, congestionControl } = shape
  const middle = netns()
  const [near, far] = [netns(), netns()]
  const namespaces = [near, far, middle]
  const dispose = (): void => {
    for (const namespace of namespaces) namespace[Symbol.dispose]()
  }
  try {
    join(middle, near, 1)
    join(middle, far, 2)
    for (const end of [near, far]) {
      // What one connection learns of the line must not help the next one.
      const settings = ['net.ipv4.tcp_no_metrics_save=1']
      if (congestionControl !== undefined) {
        settings.push(`net.ipv4.tcp_congestion_control=${congestionControl}`)
      }
      execFileSync('ip', ['netns', 'exec', end.name, 'sysctl', '-qw', ...settings])
    }
    const options = {
      port: VXLAN_PORT,
      sides: [1, 2].map((side) => ({ here: outer(side, 1), there: outer(side, 2) })),
      delayMs: rttMs / 2,
      lossPercent,
      mbitPerSecond,
      queueBytes: Math.max(MIN_QUEUE_BYTES, mbitPerSecond * 125 * rttMs),
    }
    const [command = '', ...prefix] = middle.prefix
    const relay = spawn(command, [...prefix, process.execPath, RELAY, JSON.stringify(options)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const kill = (): void => void relay.kill('SIGKILL')
    process.once('exit', kill)
    const exited = once(relay, 'exit').finally(() => process.off('exit', kill))
    await Promise.race([
      once(relay.stdout, 'data'),
      exited.then(() => Promise.reject(new Error('the relay of the link did not start'))),
    ])
    return {
      near,
      far,
      async [Symbol.asyncDispose]() {
        kill()
        await exited
        dispose()
      },
    }
  } catch (error) {
    dispose()
    throw error
  }
}

/** Address of one side (1 or 2) in the network that carries the datagrams; 1: in the middle, 2: at the end. */
function outer(side: number, host: number): string {
  return `198.18.${side}.${host}`
}

function join(middle: NetworkNamespace, end: NetworkNamespace, side: number): void {
  const mtu = String(MTU + VXLAN_BYTES)
  const cable = `side${side}`
  middle.ip('link', 'add', cable, 'mtu', mtu, 'type', 'veth', 'peer', 'cable', 'netns', end.name)
  middle.ip('addr', 'add', `${outer(side, 1)}/24`, 'dev', cable)
  middle.ip('link', 'set', cable, 'up')
  end.ip('link', 'set', 'cable', 'mtu', mtu, 'up')
  // Behind a bridge, because a cable alone would leave the checksums of the inner packets to the hardware.
  end.ip('link', 'add', 'bridge', 'mtu', mtu, 'type', 'bridge')
  end.ip('link', 'set', 'cable', 'master', 'bridge')
  end.ip('addr', 'add', `${outer(side, 2)}/24`, 'dev', 'bridge')
  end.ip('link', 'set', 'bridge', 'up')
  const addresses = ['local', outer(side, 2), 'remote', outer(side, 1), 'dev', 'bridge']
  const ports = ['dstport', String(VXLAN_PORT), 'srcport', String(VXLAN_PORT), `${VXLAN_PORT + 1}`]
  const line = ['link', 'add', 'line', 'mtu', String(MTU), 'address', mac(side), 'type', 'vxlan']
  end.ip(...line, 'id', '1', ...addresses, ...ports, 'noudpcsum')
  end.ip('addr', 'add', `${side === 1 ? NEAR_ADDRESS : FAR_ADDRESS}/24`, 'dev', 'line')
  // One packet at a time: a loss is that of one packet.
  end.ip('link', 'set', 'line', 'gso_max_segs', '1', 'addrgenmode', 'none', 'up')
  const other = side === 1 ? FAR_ADDRESS : NEAR_ADDRESS
  end.ip('neigh', 'add', other, 'lladdr', mac(3 - side), 'dev', 'line')
}

function mac(side: number): string {
  return `02:00:00:00:00:0${side}`
}
