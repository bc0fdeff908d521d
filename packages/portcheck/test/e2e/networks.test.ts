// Tests on machines with other networks: each test has its own network namespace.
import { foreignSocket, type ForeignSocketOptions } from '@proj/testkit/foreign-socket'
import { netns, netnsMissing, type NetworkNamespace } from '@proj/testkit/netns'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { withoutFamily, withoutFamilyMissing } from '@proj/testkit/without-family'
import { execFileSync } from 'node:child_process'
import { describe, expect, it, onTestFinished } from 'vitest'

import { portcheck, type Run } from './command.ts'

const noNetworks = netnsMissing()
const noFilter = noNetworks ?? withoutFamilyMissing()

const LIBRARY = new URL('../../dist/index.js', import.meta.url).href

const LAN4 = '192.0.2.5'
const LAN6 = '2001:db8::5'

describe.skipIf(noNetworks !== undefined)(`with both families${because(noNetworks)}`, () => {
  it('is dual-stack, also when the kernel defaults to IPv6 only', async () => {
    const network = own()
    sysctl(network, 'net.ipv6.bindv6only=1')
    const { code, reports } = await portcheck(['3000', '--verify', '--json'], network.prefix)
    expect([code, reports[0]?.endpoints]).toEqual([0, [{ host: '::', port: 3000, dual: true }]])
    expect(reports[0]?.reached).toMatchObject([
      { host: '127.0.0.1', outcome: 'mine' },
      { host: '::1', outcome: 'mine' },
    ])
    expect(codes({ code, reports })).toEqual([])
  })

  // new -> holder: no warning, because the addresses of the two have no name in common
  it.each([
    ['127.0.0.1', { host: LAN4 }],
    ['127.0.0.1', { host: '127.0.0.2' }],
    ['127.0.0.1', { host: LAN6 }],
    ['127.0.0.2', { host: '127.0.0.1' }],
    ['127.0.0.2', { host: '::1' }],
    [LAN4, { host: '127.0.0.1' }],
    [LAN4, { host: '::', v6only: true }],
    [LAN4, { host: '::1' }],
    [`[${LAN6}]`, { host: '127.0.0.1' }],
    [`[${LAN6}]`, { host: '::1' }],
    [`[${LAN6}]`, { host: '0.0.0.0' }],
    ['[::1]', { host: LAN6 }],
    ['[::1]', { host: LAN4 }],
    ['0.0.0.0', { host: LAN6 }],
    ['tcp6://[::]', { host: LAN4 }],
    ['127.0.0.1', { host: '::1', mode: 'bound' }],
  ] satisfies [string, ForeignSocketOptions][])(
    'says nothing of %s beside %o',
    async (host, holder) => {
      const network = own()
      addLan(network)
      const { port } = await heldIn(network, holder)
      const args = [`${host}:${port}`, '--json', '--strict']
      const run = await portcheck(args, network.prefix)
      expect([run.code, run.reports[0]?.bind, codes(run)]).toEqual([0, 'free', []])
    },
  )

  it.each([
    [':', { host: LAN4 }],
    [':', { host: LAN6 }],
    ['0.0.0.0:', { host: LAN4 }],
    ['tcp6://[::]:', { host: LAN6 }],
    ['localhost:', { host: '::', v6only: true }],
  ] satisfies [string, ForeignSocketOptions][])(
    'is busy for %s beside %o',
    async (host, holder) => {
      const network = own()
      addLan(network)
      const { port, pid } = await heldIn(network, holder)
      const { code, reports } = await portcheck([`${host}${port}`, '--json'], network.prefix)
      expect([code, reports[0]?.holders.map((one) => one.pid)]).toEqual([1, [pid]])
    },
  )

  it('accepts a link-local address only with its interface', async () => {
    const network = own()
    addLan(network)
    network.ip('addr', 'add', 'fe80::5/64', 'dev', 'lan0', 'nodad')
    const { code, reports } = await portcheck(['[fe80::5%lan0]:3000', '--json'], network.prefix)
    expect([code, reports[0]?.endpoints[0]?.host]).toEqual([0, 'fe80::5%lan0'])
    const without = await portcheck(['[fe80::5]:3000'], network.prefix)
    expect([without.code, without.stderr]).toEqual([2, expect.stringContaining('interface')])
  })

  it('reports to a user without rights what a low port needs, and binds where the kernel allows it', async () => {
    const network = own()
    const prefix = [...network.prefix, 'setpriv', '--reuid', '65534', '--clear-groups']
    sysctl(network, 'net.ipv4.ip_unprivileged_port_start=1024')
    const denied = await portcheck(['80', '--explain', '--json'], prefix)
    expect([denied.code, codes(denied)]).toEqual([4, ['PC141']])
    sysctl(network, 'net.ipv4.ip_unprivileged_port_start=80')
    expect((await portcheck(['80'], prefix)).code).toBe(0)
  })

  it('warns about a fixed port in the range of outgoing connections, unless it is reserved', async () => {
    const network = own()
    sysctl(network, 'net.ipv4.ip_local_port_range=50000 50019')
    const explain = async (): Promise<string[]> =>
      codes(await portcheck(['50007', '--explain', '--json'], network.prefix))
    expect(await explain()).toEqual(['PC140'])
    sysctl(network, 'net.ipv4.ip_local_reserved_ports=50007')
    expect(await explain()).toEqual([])
  })

  it('chooses another port when the second loopback cannot have the first one', async () => {
    const network = own()
    sysctl(network, 'net.ipv4.ip_local_port_range=50000 50001')
    await heldIn(network, { host: '::1', port: 50_000 })
    const { code, reports } = await portcheck(['localhost:0', '--json'], network.prefix)
    expect([code, reports[0]?.endpoints.map((one) => one.port)]).toEqual([0, [50_001, 50_001]])
  })

  it('reports that a process is in another container', async () => {
    const network = own()
    const { port } = await heldIn(network, { host: '127.0.0.1' })
    const prefix = [...network.prefix, 'unshare', '--pid', '--fork', '--mount-proc']
    const { reports } = await portcheck([`127.0.0.1:${port}`, '--json'], prefix)
    expect(reports[0]?.holders).toMatchObject([{ uid: 0, hiddenBecause: 'namespace' }])
    expect(reports[0]?.holders[0]).not.toHaveProperty('pid')
  })

  it.each([1, 2])('reports that a process is not visible, with hidepid=%d', async (hidepid) => {
    const network = own()
    const { port } = await heldIn(network, { host: '127.0.0.1' })
    const mount = `mount -t proc -o hidepid=${hidepid} proc /proc && exec setpriv --reuid 65534 --regid 65534 --clear-groups "$@"`
    const prefix = [...network.prefix, 'unshare', '--mount', 'sh', '-c', mount, 'sh']
    const { reports } = await portcheck([`127.0.0.1:${port}`, '--json'], prefix)
    expect(reports[0]?.holders).toMatchObject([{ uid: 0, hiddenBecause: 'permission' }])
  })

  it('listens on every address of a name that this machine has', async () => {
    const network = own()
    const hosts = [
      '127.0.0.1 both.example',
      '::1 both.example',
      '127.0.0.1 partly.example',
      '192.0.2.77 partly.example',
      'fe80::1 link.example',
    ]
    const prefix = [...network.prefix, ...withHosts(hosts)]
    const ask = async (want: string) => (await portcheck([want, '--json'], prefix)).reports[0]
    const both = await ask('both.example:3000')
    expect(both?.endpoints.map((one) => one.host).toSorted()).toEqual(['127.0.0.1', '::1'])
    expect([both?.bind, both?.warnings]).toEqual(['free', []])
    expect(await ask('partly.example:3000')).toMatchObject({
      bind: 'no-address',
      failed: { host: '192.0.2.77' },
    })
    expect((await ask('link.example:3000'))?.bind).toBe('bad-address')
  })

  it('finds a redirect of the packet filter only with verify', async (context) => {
    const network = own()
    try {
      nft(network, 'add table ip nat')
      nft(network, 'add chain ip nat output { type nat hook output priority -100 ; }')
      nft(network, 'add rule ip nat output tcp dport 8080 redirect to :9090')
    } catch (error) {
      context.skip(`no redirect can be made here: ${String(error).split('\n')[0]}`)
    }
    await heldIn(network, { host: '127.0.0.1', port: 9090 })
    const blind = await portcheck(['127.0.0.1:8080', '--json'], network.prefix)
    expect([blind.code, codes(blind)]).toEqual([0, []])
    const run = await portcheck(
      ['127.0.0.1:8080', '--verify', '--strict', '--json'],
      network.prefix,
    )
    expect([run.code, codes(run)]).toEqual([3, ['PC120']])
  })
})

describe.skipIf(noNetworks !== undefined)(`with IPv6 switched off${because(noNetworks)}`, () => {
  it('serves IPv4 on the dual-stack socket, with a warning', async () => {
    const network = own()
    sysctl(network, 'net.ipv6.conf.all.disable_ipv6=1')
    const run = await portcheck(['3000', '--verify', '--json'], network.prefix)
    expect([run.code, codes(run)]).toEqual([0, ['PC151']])
    expect(run.reports[0]?.reached?.filter((one) => one.outcome !== 'no-address')).toMatchObject([
      { host: '127.0.0.1', outcome: 'mine' },
    ])
  })

  it('opens localhost only on IPv4, and does not open [::1]', async () => {
    const network = own()
    sysctl(network, 'net.ipv6.conf.all.disable_ipv6=1')
    const run = await portcheck(['localhost:3000', '[::1]:3000', '--json'], network.prefix)
    const [localhost, loopback] = run.reports
    expect(run.code).toBe(4)
    expect(localhost?.endpoints).toEqual([{ host: '127.0.0.1', port: 3000, dual: false }])
    expect(localhost?.warnings.map((one) => one.code)).toEqual(['PC150'])
    expect(loopback).toMatchObject({ bind: 'no-address', errno: 'EADDRNOTAVAIL' })
  })
})

describe.skipIf(noNetworks !== undefined)(`with IPv6 alone${because(noNetworks)}`, () => {
  it('opens localhost on IPv6, and does not open 127.0.0.1', async () => {
    const network = own()
    network.ip('addr', 'del', '127.0.0.1/8', 'dev', 'lo')
    const args = ['localhost:3000', '127.0.0.1:3000', ':3000', '--json']
    const { code, reports } = await portcheck(args, network.prefix)
    expect(code).toBe(4)
    expect(reports[0]?.endpoints).toEqual([{ host: '::1', port: 3000, dual: false }])
    expect(reports[0]?.warnings.map((one) => one.code)).toEqual(['PC150'])
    expect(reports[1]).toMatchObject({ bind: 'no-address', errno: 'EADDRNOTAVAIL' })
    expect(reports[2]?.endpoints).toEqual([{ host: '::', port: 3000, dual: true }])
  })
})

describe.skipIf(noFilter !== undefined)(
  `with a kernel that has no IPv6${because(noFilter)}`,
  () => {
    it.each(['3000', '*:3000', '[::]:3000', '0.0.0.0:3000', 'localhost:3000'])(
      'listens for %s on IPv4',
      async (want) => {
        const prefix = [...own().prefix, ...withoutFamily('ipv6')]
        const run = await portcheck([want, '--verify', '--json'], prefix)
        const host = want === 'localhost:3000' ? '127.0.0.1' : '0.0.0.0'
        expect([run.code, run.reports[0]?.endpoints]).toEqual([
          0,
          [{ host, port: 3000, dual: false }],
        ])
        expect(codes(run)).toEqual(want === '0.0.0.0:3000' ? [] : ['PC150'])
      },
    )

    it.each(['[::1]:3000', 'tcp6://[::]:3000'])('has no %s', async (want) => {
      const prefix = [...own().prefix, ...withoutFamily('ipv6')]
      const { code, reports } = await portcheck([want, '--json'], prefix)
      expect([code, reports[0]?.bind, reports[0]?.errno]).toEqual([4, 'no-family', 'EAFNOSUPPORT'])
      const script = `
      import { claim } from ${JSON.stringify(LIBRARY)}
      await claim(${JSON.stringify(want)}).catch((error) => console.log(error.code))`
      const claiming = [...prefix, process.execPath, '--input-type=module', '-e', script]
      const claimed = execFileSync('/usr/bin/env', claiming, { encoding: 'utf8' })
      expect(claimed).toBe('PORTCHECK_FAMILY_ABSENT\n')
    })

    it('does not hide a holder behind the fallback', async () => {
      const network = own()
      const { port, pid } = await heldIn(network, { host: '127.0.0.1' })
      const prefix = [...network.prefix, ...withoutFamily('ipv6')]
      const { code, reports } = await portcheck([`${port}`, '--json'], prefix)
      expect([code, reports[0]?.bind, reports[0]?.failed?.host]).toEqual([1, 'busy', '0.0.0.0'])
      expect(reports[0]?.holders.map((one) => one.pid)).toEqual([pid])
    })
  },
)

describe.skipIf(noFilter !== undefined)(
  `with a kernel that has no IPv4${because(noFilter)}`,
  () => {
    it('listens for localhost on IPv6', async () => {
      const prefix = [...own().prefix, ...withoutFamily('ipv4')]
      const run = await portcheck(['localhost:3000', '--json'], prefix)
      expect([run.code, run.reports[0]?.endpoints[0]?.host, codes(run)]).toEqual([
        0,
        '::1',
        ['PC150'],
      ])
    })
  },
)

/** Returns the reason for skipped tests, for their names. */
function because(missing: string | undefined): string {
  return missing === undefined ? '' : ` (skipped: ${missing})`
}

function own(): NetworkNamespace {
  const network = netns()
  onTestFinished(() => network[Symbol.dispose]())
  return network
}

function addLan(network: NetworkNamespace): void {
  network.ip('link', 'add', 'lan0', 'type', 'veth', 'peer', 'name', 'lan1')
  for (const name of ['lan0', 'lan1']) network.ip('link', 'set', name, 'up')
  network.ip('addr', 'add', `${LAN4}/24`, 'dev', 'lan0')
  network.ip('addr', 'add', `${LAN6}/64`, 'dev', 'lan0', 'nodad')
}

async function heldIn(network: NetworkNamespace, options: ForeignSocketOptions) {
  const foreign = await foreignSocket({ ...options, prefix: network.prefix })
  onTestFinished(async () => await foreign.close())
  return foreign
}

/** Runs a command with its own hosts file. */
function withHosts(lines: readonly string[]): string[] {
  const directory = temporaryDirectory()
  onTestFinished(() => directory[Symbol.dispose]())
  const file = directory.write('hosts', `${lines.join('\n')}\n`, 0o644)
  return ['unshare', '-m', 'sh', '-c', `mount --bind ${file} /etc/hosts && exec "$0" "$@"`]
}

function sysctl(network: NetworkNamespace, setting: string): void {
  run(network, 'sysctl', ['-qw', setting])
}

function nft(network: NetworkNamespace, command: string): void {
  run(network, 'nft', command.split(' '))
}

function run(network: NetworkNamespace, program: string, args: readonly string[]): void {
  execFileSync('/usr/bin/env', [...network.prefix, program, ...args], { stdio: 'pipe' })
}

function codes({ reports }: Pick<Run, 'code' | 'reports'>): string[] {
  return reports.flatMap((report) => report.warnings.map((one) => one.code))
}
