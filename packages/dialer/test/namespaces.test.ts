// Source addresses on a host with two uplinks. Loopback does not show how the kernel uses them, so these
// tests need root; without it they are skipped and reported.
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'

import {
  canMakeNamespaces,
  networkNamespaces,
  type NetworkNamespaces,
} from '@proj/testkit/network-namespaces'
import { Spawned } from '@proj/testkit/spawned'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'

import type { DialOptions, RouteReport } from '../src/index.ts'
import { builtPackage, type BuiltPackage } from './built-package.ts'

const PORT = 4000
const SERVER4 = '10.71.9.1'
const SERVER6 = 'fd71:9::1'

interface Outcome {
  /** Source address that the server saw. */
  readonly seen?: string
  readonly remote?: string
  readonly error?: { readonly code: string; readonly message: string; readonly hint?: string }
}

let net: NetworkNamespaces
let server: Spawned
let built: BuiltPackage

async function run(call: string, input: object): Promise<unknown> {
  const args = [
    'netns',
    'exec',
    net.client,
    process.execPath,
    '--no-warnings',
    join(import.meta.dirname, 'fixtures', 'in-namespace.mjs'),
    built.entry,
    JSON.stringify({ call, ...input }),
  ]
  const { stdout } = await promisify(execFile)('ip', args)
  return JSON.parse(stdout)
}

const dialFrom = async (
  host: string,
  options: DialOptions = {},
  addresses?: readonly object[],
): Promise<Outcome> =>
  (await run('dial', { target: { host, port: PORT }, options, addresses })) as Outcome
const explainFrom = async (host: string, options: DialOptions = {}): Promise<RouteReport> =>
  (await run('explain', { target: { host, port: PORT }, options })) as RouteReport

/** Changes the client's network for the running test. */
function during(change: string, undo: string): void {
  net.inClient(change)
  onTestFinished(() => void net.inClient(undo))
}

/** Makes the server drop packets that arrive through another link than the one its replies use. */
function strict(): void {
  filterBySource(1)
  onTestFinished(() => filterBySource(0))
}

function filterBySource(mode: 0 | 1): void {
  for (const name of ['all', 's0', 's1']) {
    net.inServer(`sysctl -qw net.ipv4.conf.${name}.rp_filter=${mode}`)
  }
}

describe.skipIf(!canMakeNamespaces())('two uplinks', () => {
  beforeAll(async () => {
    built = builtPackage()
    net = networkNamespaces()
    const code = `require('net').createServer((s) => { s.on('error', () => {}); s.end(s.remoteAddress.replace('::ffff:', '')) }).listen(${PORT}, '::', () => console.log('ready'))`
    server = new Spawned('ip', ['netns', 'exec', net.server, process.execPath, '-e', code])
    await server.line(/ready/)
  })
  afterAll(async () => {
    await server?.stop()
    net?.[Symbol.dispose]()
    built?.remove()
  })

  it('uses the route of the route table without a source', async () => {
    expect((await dialFrom(SERVER4)).seen).toBe('10.71.1.2')
    expect((await dialFrom(SERVER6)).seen).toBe('fd71:1::2')
  })

  it('binds one source per family, and the addresses of an interface', async () => {
    const localAddress = ['10.71.2.2', 'fd71:2::2']
    for (const options of [{ localAddress }, { interface: 'a1' }]) {
      expect((await dialFrom(SERVER4, options)).seen).toBe('10.71.2.2')
      expect((await dialFrom(SERVER6, options)).seen).toBe('fd71:2::2')
    }
  })

  it('explains that a source does not choose the interface, and the commands that change it', async () => {
    for (const [host, source, gateway, ip] of [
      [SERVER4, '10.71.2.2', '10.71.2.1', 'ip'],
      [SERVER6, 'fd71:2::2', 'fd71:2::1', 'ip -6'],
    ] as const) {
      const { egress, warnings } = await explainFrom(host, { localAddress: source })
      expect(egress[0]).toEqual({
        destination: host,
        source,
        sourceInterface: 'a1',
        interface: 'a0',
        remedy: [
          `${ip} route add default via ${gateway} dev a1 table 100`,
          `${ip} rule add from ${source} table 100`,
        ],
      })
      expect(warnings[0]).toContain('would leave by a0')
    }
    const fine = await explainFrom(SERVER4, { localAddress: '10.71.1.2' })
    expect(fine.egress[0]).toEqual({
      destination: SERVER4,
      source: '10.71.1.2',
      sourceInterface: 'a0',
      interface: 'a0',
    })
  })

  it('times out where the network filters by source address, and works after the printed commands', async () => {
    strict()
    const options = { localAddress: '10.71.2.2', timeouts: { connectMs: 300 } }
    const lost = await dialFrom(SERVER4, options)
    expect(lost.error?.code).toBe('DIAL_CONNECT_TIMEOUT')
    expect(lost.error?.message).toContain('from 10.71.2.2 gave no answer')
    const { egress } = await explainFrom(SERVER4, options)
    for (const command of egress[0]?.remedy ?? []) {
      during(command, command.replace(' add ', ' del '))
    }
    expect((await dialFrom(SERVER4, options)).seen).toBe('10.71.2.2')
    const after = await explainFrom(SERVER4, options)
    expect(after.egress[0]?.interface).toBe('a1')
    expect(after.warnings).toEqual([])
  })

  it('tries the next source when the first gets no answer', async () => {
    strict()
    const localAddress = ['10.71.2.2', '10.71.1.2']
    const { seen } = await dialFrom(SERVER4, { localAddress, timeouts: { connectMs: 600 } })
    expect(seen).toBe('10.71.1.2')
  })

  it('reaches a target on the link of the source', async () => {
    // The default route of the host uses the other link; a target on the link of the source still works.
    expect((await dialFrom('10.71.1.1', { localAddress: '10.71.1.2' })).seen).toBe('10.71.1.2')
  })

  it('reports an interface that is down or unknown, and works when it is up again', async () => {
    const unknown = await dialFrom(SERVER4, { interface: 'eth9' })
    expect(unknown.error?.code).toBe('DIAL_BIND_INTERFACE_UNKNOWN')
    expect(unknown.error?.hint).toContain('a0, a1')
    net.inClient('ip link set a1 down')
    const down = await dialFrom(SERVER4, { interface: 'a1' })
    expect(down.error?.code).toBe('DIAL_BIND_INTERFACE_DOWN')
    net.inClient('ip link set a1 up')
    net.inClient('ip route add default via 10.71.2.1 dev a1 metric 200')
    net.inClient('ip addr replace fd71:2::2/64 dev a1 nodad')
    net.inClient('ip -6 route replace default via fd71:2::1 dev a1 metric 200')
    expect((await dialFrom(SERVER4, { interface: 'a1' })).seen).toBe('10.71.2.2')
  })

  it('uses the address that an interface has at the moment of the dial', async () => {
    during('ip addr add 10.71.2.77/24 dev a1', 'ip addr del 10.71.2.77/24 dev a1')
    during('ip addr del 10.71.2.2/24 dev a1', 'ip addr add 10.71.2.2/24 dev a1')
    expect((await dialFrom(SERVER4, { interface: 'a1' })).seen).toBe('10.71.2.77')
    const gone = await dialFrom(SERVER4, { localAddress: '10.71.2.2' })
    expect(gone.error?.code).toBe('DIAL_BIND_NOT_LOCAL')
    expect(gone.error?.hint).toContain('a1 10.71.2.77')
  })

  it('reports a loopback source for a remote target, and a missing route', async () => {
    const loopback = await dialFrom(SERVER4, { localAddress: '127.0.0.1' })
    expect(loopback.error?.code).toBe('DIAL_BIND_LOOPBACK')
    during('ip route del default dev a0', 'ip route add default via 10.71.1.1 dev a0 metric 100')
    during('ip route del default dev a1', 'ip route add default via 10.71.2.1 dev a1 metric 200')
    for (const options of [{}, { localAddress: '10.71.1.2' }]) {
      expect((await dialFrom(SERVER4, options)).error?.code).toBe('DIAL_CONNECT_UNREACHABLE')
    }
    expect((await explainFrom(SERVER4)).warnings[0]).toContain('no route')
  })

  it('checks the zone of a link-local source and reaches a link-local target with it', async () => {
    const linkLocal = (text: string): string => /fe80::[0-9a-f:]+/.exec(text)?.[0] ?? ''
    const mine = linkLocal(net.inClient('ip -6 addr show dev a0 scope link'))
    const theirs = linkLocal(net.inServer('ip -6 addr show dev s0 scope link'))
    const wrong = await dialFrom(`${theirs}%a0`, { localAddress: `${mine}%eth9` })
    expect(wrong.error?.code).toBe('DIAL_BIND_ZONE')
    expect(wrong.error?.hint).toContain('%a0')
    const right = await dialFrom(`${theirs}%a0`, { localAddress: `${mine}%a0` })
    expect(right.seen?.split('%')[0]).toBe(mine)
    const byName = await dialFrom(`${theirs}%a0`, { interface: 'a0' })
    expect(byName.seen?.split('%')[0]).toBe(mine)
  })

  it('reaches one family while the other gets no answer, in both directions', async () => {
    const four = { address: SERVER4, family: 4 }
    const six = { address: SERVER6, family: 6 }
    // No host on the first link has these addresses, so there is no answer.
    const silent6 = { address: 'fd71:1::99', family: 6 }
    const silent4 = { address: '10.71.1.99', family: 4 }
    expect((await dialFrom('both.test', {}, [silent6, four])).remote).toBe(SERVER4)
    expect((await dialFrom('both.test', {}, [silent4, six])).remote).toBe(SERVER6)
    const bound = { localAddress: ['10.71.1.2', 'fd71:1::2'] }
    expect((await dialFrom('both.test', bound, [silent6, four])).seen).toBe('10.71.1.2')
    expect((await dialFrom('both.test', { family: 4 }, [six, four])).remote).toBe(SERVER4)
  })

  it('reaches the last address while none of the others gets an answer', async () => {
    const silent = (count: number, family: 4 | 6): readonly object[] =>
      Array.from({ length: count }, (_, index) => ({
        address: family === 4 ? `10.71.1.${100 + index}` : `fd71:1::${100 + index}`,
        family,
      }))
    const good = { address: SERVER4, family: 4 }
    // The kernel reports a silent neighbour after 3 s, which is later than this limit.
    const options = { attemptDelayMs: 20, timeouts: { connectMs: 2_500 } }
    for (const addresses of [
      [...silent(4, 4), good],
      [...silent(4, 6), ...silent(2, 4), good],
      [...silent(20, 4), good],
    ]) {
      expect((await dialFrom('many.test', options, addresses)).remote).toBe(SERVER4)
    }
    const fixedPort = { ...options, localPort: 41_234 }
    const one = await dialFrom('many.test', fixedPort, [...silent(4, 4), good])
    expect(one.remote).toBe(SERVER4)
  })

  const canTie = Number(process.versions.node.split('.')[0]) >= 26
  it('binds the socket to a device, so that packets leave through it', async ({ skip }) => {
    skip(!canTie, 'this Node cannot tie a socket to a device')
    strict()
    expect((await dialFrom(SERVER4, { device: 'a1' })).seen).toBe('10.71.2.2')
    expect((await dialFrom(SERVER6, { device: 'a1' })).seen).toBe('fd71:2::2')
    const bound = { device: 'a1', localAddress: '10.71.2.2' }
    expect((await dialFrom(SERVER4, bound)).seen).toBe('10.71.2.2')
    for (const device of ['eth9', 'a-name-that-is-too-long']) {
      expect((await dialFrom(SERVER4, { device })).error?.code).toBe('DIAL_BIND_DEVICE')
    }
  })

  it('fails to bind a socket to a device where Node cannot do it', async ({ skip }) => {
    skip(canTie, 'this Node can')
    const { error } = await dialFrom(SERVER4, { device: 'a1' })
    expect(error?.code).toBe('DIAL_BIND_DEVICE')
    expect(error?.hint).toContain('26.4')
  })
})
