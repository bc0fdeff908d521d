// One configuration, the default ports open to all, on hosts with both IP families, with one, and without the other
// even in the kernel. Each host is a network namespace with ports of its own, which takes root.
import { execFileSync } from 'node:child_process'
import { expect, test } from 'vitest'
import { type NetworkNamespace, netns, netnsMissing } from '@proj/testkit/netns'
import { spawned } from '@proj/testkit/spawned'
import { withoutFamily, withoutFamilyMissing } from '@proj/testkit/without-family'

import { adit, aditServer } from './programs.ts'

/** A host and what is expected of it. */
interface World {
  /** What kind of host. */
  readonly what: string
  /** Changes a fresh namespace, which has both loopback addresses, into it. */
  readonly make?: (network: NetworkNamespace) => void
  /** Put before the server's command. */
  readonly prefix?: () => readonly string[]
  /** Why it cannot be made here. */
  readonly missing?: () => string | undefined
  /** What start-up prints of addresses and families. */
  readonly bound: readonly (readonly [address: string, families: string])[]
  /** Codes of the warnings, each for the listeners in order. */
  readonly warnings: readonly string[]
  /** Addresses that must reach all three ports from here; [::] as a target is this host. */
  readonly reachedBy: readonly string[]
}

const DUAL = [
  ['[::]:8000', 'IPv6 + IPv4'],
  ['[::]:8001', 'IPv6 + IPv4'],
  ['127.0.0.1:8002', 'IPv4'],
  ['[::1]:8002', 'IPv6'],
] as const

const WORLDS: readonly World[] = [
  {
    what: 'with both families',
    make: (network) => network.ip('addr', 'add', '2001:db8::1/64', 'dev', 'lo', 'nodad'),
    bound: DUAL,
    warnings: [],
    reachedBy: ['127.0.0.1', '[::1]', '[::]'],
  },
  {
    what: 'with bindv6only switched on',
    make: (network) => sysctl(network, 'net.ipv6.bindv6only=1'),
    bound: DUAL,
    warnings: [],
    reachedBy: ['127.0.0.1', '[::1]', '[::]'],
  },
  {
    what: 'with IPv6 switched off',
    make: (network) => sysctl(network, 'net.ipv6.conf.all.disable_ipv6=1'),
    bound: DUAL.slice(0, 3),
    warnings: ['PC151', 'PC151', 'PC150'],
    reachedBy: ['127.0.0.1'],
  },
  {
    what: 'with IPv6 alone',
    make: (network) => network.ip('addr', 'del', '127.0.0.1/8', 'dev', 'lo'),
    bound: [DUAL[0], DUAL[1], DUAL[3]],
    warnings: ['PC150'],
    reachedBy: ['[::1]', '[::]'],
  },
  {
    what: 'whose kernel has no IPv6',
    prefix: () => withoutFamily('ipv6'),
    missing: withoutFamilyMissing,
    bound: [
      ['0.0.0.0:8000', 'IPv4'],
      ['0.0.0.0:8001', 'IPv4'],
      ['127.0.0.1:8002', 'IPv4'],
    ],
    warnings: ['PC150', 'PC150', 'PC150'],
    reachedBy: ['127.0.0.1'],
  },
]

const noNamespaces = netnsMissing()

test.for(WORLDS.map((world) => [world.what, world] as const))(
  'adit-server with the default ports, open to all, on a host %s',
  async ([, world], { skip, annotate }) => {
    const missing = noNamespaces ?? world.missing?.()
    skip(missing !== undefined, missing)
    using network = netns()
    world.make?.(network)
    const prefix = [...network.prefix, ...(world.prefix?.() ?? [])]
    const server = aditServer(['--insecure-open'], { prefix })
    await server.line(/operators/)
    // The warnings come in the same write as the addresses.
    await annotate(server.stdout)
    const printed = [...server.stdout.matchAll(/(\S+:\d+) +(IPv\d(?: \+ IPv\d)?)/g)]
    expect(printed.map(([, address, families]) => [address, families])).toEqual(world.bound)
    const warnings = [...server.stdout.matchAll(/^warning: .* \((PC\d+)\)$/gm)]
    expect(warnings.map(([, code]) => code)).toEqual(world.warnings)

    const urls = world.reachedBy.flatMap((host) => [
      `http://${host}:8000/`,
      `http://${host}:8001/`,
      `http://${host}:8002/health`,
    ])
    // No endpoint is served (502 to a request as Piko makes it), no agent asks for a WebSocket, and the server is well.
    expect(statuses(network, urls)).toEqual(world.reachedBy.flatMap(() => [502, 404, 200]))

    // An agent reaches a service by its port alone, whichever loopback there is.
    const [host = ''] = world.reachedBy
    const code = `require('http').createServer((_, response) => response.end()).listen(3000, '${host.replaceAll(/[[\]]/g, '')}', () => console.log('listens'))`
    const [command, ...line] = [...prefix, process.execPath, '-e', code]
    await spawned(command, line).line(/listens/)
    const agent = adit(['http', 'web', '3000', '--connect.url', `http://${host}:8001`, '--json'], {
      prefix,
    })
    await agent.event('ready')
    expect(statuses(network, [`http://${host}:8000/`])).toEqual([200])
    await agent.stop()
    await server.stop()
  },
)

function sysctl({ prefix }: NetworkNamespace, setting: string): void {
  const [command, ...line] = [...prefix, 'sysctl', '-qw', setting]
  execFileSync(command, line)
}

/** Asks for pages from inside a namespace. */
function statuses({ prefix }: NetworkNamespace, urls: readonly string[]): unknown {
  const script = `
    const found = await Promise.all(${JSON.stringify(urls)}.map(async (url) =>
      (await fetch(url, { headers: { 'x-piko-endpoint': 'web' } })).status))
    console.log(JSON.stringify(found))`
  const [command, ...line] = [...prefix, process.execPath, '--input-type=module', '-e', script]
  return JSON.parse(execFileSync(command, line, { encoding: 'utf8' }))
}
