// Samples of the output of the tools of macOS and Windows, made from their documentation and reports of
// users. The parsers are not tested on these systems, so a change in a release would not be found.
import { existsSync } from 'node:fs'
import { userInfo } from 'node:os'

import { describe, expect, it } from 'vitest'

import { claim } from '../../src/claim/claim-port.ts'
import { parseLsof } from '../../src/holders/darwin.ts'
import { neighboursOf } from '../../src/probe/shared-port.ts'
import { supportsReusePort } from '../../src/claim/open-server.ts'
import { planWant } from '../../src/claim/plan.ts'
import { runTool } from '../../src/holders/run-tool.ts'
import { readWant } from '../../src/claim/wanted-address.ts'
import { parseExcludedRanges, parseNetstat, parseTasklist } from '../../src/holders/windows.ts'

/** The same program exists on Linux; its real output is parsed too. */
const lsof = ['/usr/sbin/lsof', '/usr/bin/lsof'].find((path) => existsSync(path))

describe('parseLsof', () => {
  const output = [
    'p612', // process id
    'cControlCe', // command, cut at nine characters
    'Ljo', // user
    'f10', // a file of it
    'tIPv4',
    'n*:7000',
    'TST=LISTEN',
    'TQR=0',
    'f11',
    'tIPv6',
    'n*:7000',
    'TST=LISTEN',
    'p900',
    'cnode',
    'Ljo',
    'f20',
    'tIPv6',
    'n[::1]:7000',
    'TST=LISTEN',
    'f21',
    'tIPv4',
    'n127.0.0.1:52001->127.0.0.1:7000', // a client of the port, not a holder
    'TST=ESTABLISHED',
    'f22',
    'tIPv4',
    'n127.0.0.1:7000->127.0.0.1:52001',
    'TST=ESTABLISHED',
    '',
  ].join('\n')

  it('finds listeners of both families and connections, by local port', () => {
    const airplay = {
      pid: 612,
      user: 'jo',
      name: 'ControlCe',
      note: expect.stringContaining('AirPlay'),
      port: 7000,
      state: 'listening',
    }
    const node = { pid: 900, user: 'jo', name: 'node', port: 7000 }
    expect(parseLsof(output, 7000)).toEqual([
      { ...airplay, host: '0.0.0.0' },
      { ...airplay, host: '::' },
      { ...node, host: '::1', state: 'listening' },
      { ...node, host: '127.0.0.1', state: 'connected' },
    ])
  })

  it.skipIf(lsof === undefined)('reads what lsof of this system says', async () => {
    await using held = await claim('localhost:0')
    const { port } = held
    const own = { port, pid: process.pid, name: expect.any(String), user: userInfo().username }
    for (const fields of ['pcLftnT', 'pcLtnT']) {
      const output = await runTool(lsof ?? '', ['-nP', `-iTCP:${port}`, '-F', fields])
      expect(parseLsof(output ?? '', port)).toEqual([
        { ...own, host: '127.0.0.1', state: 'listening' },
        { ...own, host: '::1', state: 'listening' },
      ])
    }
  })

  it('is the same when it is cut at any line, without the missing rows', () => {
    const lines = output.split('\n')
    for (const length of lines.keys()) {
      const found = parseLsof(lines.slice(0, length).join('\n'), 7000)
      expect(found.length).toBeLessThanOrEqual(4)
    }
    expect(parseLsof('', 7000)).toEqual([])
  })
})

describe('parseNetstat', () => {
  // German: the names of the states are different, the columns are not.
  const output = [
    '',
    'Aktive Verbindungen',
    '',
    '  Proto  Lokale Adresse         Remoteadresse          Status           PID',
    '  TCP    0.0.0.0:8080           0.0.0.0:0              ABHÖREN         4321',
    '  TCP    127.0.0.1:8080         127.0.0.1:50111        HERGESTELLT     4321',
    '  TCP    127.0.0.1:8080         127.0.0.1:50112        WARTEND         0',
    '  TCP    127.0.0.1:18080        0.0.0.0:0              ABHÖREN         77',
    '  TCP    [::]:8080              [::]:0                 ABHÖREN         4',
    '  UDP    0.0.0.0:8080           *:*                                    99',
  ].join('\r\n')

  it('finds listeners by their foreign address, in any language', () => {
    expect(parseNetstat(output, 8080)).toEqual([
      { host: '0.0.0.0', port: 8080, state: 'listening', pid: 4321 },
      { host: '::', port: 8080, state: 'listening', pid: 4 },
      { host: '127.0.0.1', port: 8080, state: 'connected', pid: 4321 },
      { host: '127.0.0.1', port: 8080, state: 'time-wait', hiddenBecause: 'no-owner' },
    ])
  })

  it('reads the name of a process, and no name from a message', () => {
    expect(parseTasklist('"node.exe","4321","Console","1","40.000 K"\r\n')).toBe('node.exe')
    expect(parseTasklist('INFORMATION: Es werden keine Aufgaben ausgeführt.\r\n')).toBeUndefined()
  })
})

describe('parseExcludedRanges', () => {
  it('reads both columns, with administered ranges', () => {
    const output = [
      '',
      'Protocol tcp Port Exclusion Ranges',
      '',
      'Start Port    End Port',
      '----------    --------',
      '      5357        5357',
      '     50000       50059     *',
      '',
      '* - Administered port exclusions.',
    ].join('\r\n')
    expect(parseExcludedRanges(output)).toEqual([
      { first: 5357, last: 5357 },
      { first: 50_000, last: 50_059 },
    ])
  })
})

describe('neighboursOf', () => {
  const addresses = ['127.0.0.1', '::1', '192.0.2.5', 'fe80::1', '2001:db8::5']
  const hosts = (host: string, dual: boolean, platform: NodeJS.Platform): string[] =>
    neighboursOf([{ host, port: 80, dual }], platform, addresses).map(
      (one) => `${one.code} ${one.endpoint.host} by ${one.by}`,
    )

  it.each([
    ['127.0.0.1', false, ['PC101 ::1 by bind']],
    ['0.0.0.0', false, ['PC101 ::1 by bind']],
    ['::1', false, ['PC101 127.0.0.1 by bind']],
    ['::', false, ['PC101 127.0.0.1 by bind']],
    ['::', true, []],
    ['192.0.2.5', false, []],
    ['2001:db8::5', false, []],
    ['127.0.0.2', false, []],
  ])('of %s (dual: %s) on Linux are %j', (host, dual, expected) => {
    expect(hosts(host, dual, 'linux')).toEqual(expected)
  })

  // for a loopback there is no trial bind of a wildcard: a firewall would ask the user
  it.each([
    ['127.0.0.1', false, ['PC101 ::1 by bind', 'PC101 :: by table', 'PC103 0.0.0.0 by table']],
    ['::1', false, ['PC101 127.0.0.1 by bind', 'PC101 0.0.0.0 by table', 'PC103 :: by table']],
    [
      '0.0.0.0',
      false,
      [
        'PC101 ::1 by bind',
        'PC101 :: by table',
        'PC102 127.0.0.1 by bind',
        'PC102 192.0.2.5 by bind',
      ],
    ],
    [
      '::',
      true,
      ['127.0.0.1', '::1', '192.0.2.5', '2001:db8::5'].map((one) => `PC102 ${one} by bind`),
    ],
    ['192.0.2.5', false, ['PC103 0.0.0.0 by bind']],
  ])('of %s (dual: %s) on macOS and Windows are %j', (host, dual, expected) => {
    expect(hosts(host, dual, 'darwin')).toEqual(expected)
    expect(hosts(host, dual, 'win32')).toEqual(expected)
  })
})

describe('planWant for every address', () => {
  it.each(['linux', 'win32'] as const)('is one dual-stack socket on %s', async (platform) => {
    const { endpoints, fallback } = await planWant(readWant(80), platform)
    expect(endpoints).toEqual([{ host: '::', port: 80, dual: true }])
    expect(fallback).toEqual({ host: '0.0.0.0', port: 80, dual: false })
  })

  it.each(['darwin', 'freebsd', 'openbsd'] as const)('is two sockets on %s', async (platform) => {
    const { endpoints, fallback } = await planWant(readWant(80), platform)
    expect(endpoints.map((one) => one.host)).toEqual(['0.0.0.0', '::'])
    expect(fallback).toBeUndefined()
  })
})

describe('supportsReusePort', () => {
  it.each([
    ['20.20.2', 'linux', false],
    ['22.11.0', 'linux', false],
    ['22.12.0', 'linux', true],
    ['23.0.0', 'linux', false],
    ['23.1.0', 'linux', true],
    ['26.10.0', 'linux', true],
    ['26.10.0', 'freebsd', true],
    ['26.10.0', 'darwin', false],
    ['26.10.0', 'win32', false],
  ] as const)('of Node %s on %s is %s', (version, platform, honoured) => {
    expect(supportsReusePort(version, platform)).toBe(honoured)
  })
})
