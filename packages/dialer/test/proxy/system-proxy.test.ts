// The proxy settings of desktops: recorded output of their tools, and gsettings where it is installed.
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { inspect } from 'node:util'

import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { describe, expect, it } from 'vitest'

import { explainRoute, systemProxy } from '../../src/index.ts'
import { proxiesOf } from '../../src/proxy/system-proxy.ts'
import {
  parseGnomeSettings,
  parseMacSettings,
  parseWindowsSettings,
  type SystemSettings,
} from '../../src/proxy/system-settings.ts'
import { failure } from '../failure.ts'

const gnome = (lines: string): string => `org.gnome.system.proxy autoconfig-url ''
org.gnome.system.proxy ignore-hosts ['localhost', '127.0.0.0/8', '::1']
org.gnome.system.proxy mode 'manual'
org.gnome.system.proxy use-same-proxy true
org.gnome.system.proxy.ftp host ''
org.gnome.system.proxy.ftp port 0
org.gnome.system.proxy.http authentication-password ''
org.gnome.system.proxy.http authentication-user ''
org.gnome.system.proxy.http enabled false
org.gnome.system.proxy.http host ''
org.gnome.system.proxy.http port 8080
org.gnome.system.proxy.http use-authentication false
org.gnome.system.proxy.https host ''
org.gnome.system.proxy.https port 0
org.gnome.system.proxy.socks host ''
org.gnome.system.proxy.socks port 0
${lines}
`

const mac = (lines: string): string => `<dictionary> {
  ExceptionsList : <array> {
    0 : *.local
    1 : 169.254/16
    2 : intranet.corp
  }
  FTPPassive : 1
${lines}
}
`

const windows = (lines: string): string =>
  `
HKEY_CURRENT_USER\\Software\\Microsoft\\Windows\\CurrentVersion\\Internet Settings
    User Agent    REG_SZ    Mozilla/4.0 (compatible; MSIE 8.0; Win32)
    IE5_UA_Backup_Flag    REG_SZ    5.0
    EmailName    REG_SZ    User@
${lines}
    ZonesSecurityUpgrade    REG_BINARY    ABCDEF0123456789

HKEY_CURRENT_USER\\Software\\Microsoft\\Windows\\CurrentVersion\\Internet Settings\\5.0
`.replaceAll('\n', '\r\n')

type Row = readonly [what: string, output: string, settings: SystemSettings]

describe('the output of gsettings', () => {
  it.each<Row>([
    ['no proxy', gnome("org.gnome.system.proxy mode 'none'"), { noProxy: '' }],
    ['nothing', '', { noProxy: '' }],
    [
      'proxies, one without a port',
      gnome(
        "org.gnome.system.proxy.http host 'a'\norg.gnome.system.proxy.https host 'b'\norg.gnome.system.proxy.socks host '::1'\norg.gnome.system.proxy.socks port 1080",
      ),
      {
        http: 'http://a:8080',
        socks: 'socks5h://[::1]:1080',
        noProxy: 'localhost,127.0.0.0/8,::1',
      },
    ],
    [
      'a password with quotes, and no exceptions',
      gnome(
        "org.gnome.system.proxy ignore-hosts @as []\norg.gnome.system.proxy.http host 'a'\norg.gnome.system.proxy.http use-authentication true\norg.gnome.system.proxy.http authentication-user 'al@ce'\norg.gnome.system.proxy.http authentication-password \"it's\"",
      ),
      { http: "http://al%40ce:it's@a:8080", noProxy: '' },
    ],
    [
      'a PAC script',
      gnome(
        "org.gnome.system.proxy mode 'auto'\norg.gnome.system.proxy autoconfig-url 'http://w/p.pac'",
      ),
      { noProxy: '', autoConfigUrl: 'http://w/p.pac' },
    ],
    ['WPAD', gnome("org.gnome.system.proxy mode 'auto'"), { noProxy: '', autoConfigUrl: '' }],
  ])('with %s', (_what, output, settings) => {
    expect(parseGnomeSettings(output)).toEqual(settings)
  })
})

describe('the output of scutil', () => {
  const exceptions = '*.local,169.254.0.0/16,intranet.corp'
  it.each<Row>([
    [
      'no proxy',
      '<dictionary> {\n  HTTPEnable : 0\n  HTTPProxy : a\n  HTTPPort : 1\n}\n',
      { noProxy: '' },
    ],
    ['nothing', '', { noProxy: '' }],
    [
      'proxies',
      mac(
        '  HTTPEnable : 1\n  HTTPPort : 3128\n  HTTPProxy : a\n  HTTPSEnable : 1\n  HTTPSPort : 3129\n  HTTPSProxy : ::1\n  SOCKSEnable : 1\n  SOCKSPort : 1080\n  SOCKSProxy : c\n  ExcludeSimpleHostnames : 1',
      ),
      {
        http: 'http://a:3128',
        https: 'http://[::1]:3129',
        socks: 'socks5h://c:1080',
        noProxy: `${exceptions},<local>`,
      },
    ],
    [
      'a PAC script',
      mac('  ProxyAutoConfigEnable : 1\n  ProxyAutoConfigURLString : http://w/p.pac'),
      { noProxy: exceptions, autoConfigUrl: 'http://w/p.pac' },
    ],
    ['WPAD', mac('  ProxyAutoDiscoveryEnable : 1'), { noProxy: exceptions, autoConfigUrl: '' }],
    [
      'settings of one interface, which do not count',
      mac(
        '  HTTPEnable : 0\n  __SCOPED__ : <dictionary> {\n    en0 : <dictionary> {\n      HTTPEnable : 0\n    }\n  }',
      ),
      { noProxy: exceptions },
    ],
  ])('with %s', (_what, output, settings) => {
    expect(parseMacSettings(output)).toEqual(settings)
  })
})

describe('the output of reg', () => {
  it.each<Row>([
    [
      'no proxy',
      windows('    ProxyEnable    REG_DWORD    0x0\n    ProxyServer    REG_SZ    a:1'),
      { noProxy: '' },
    ],
    ['nothing', '', { noProxy: '' }],
    [
      'one proxy for all, and exceptions',
      windows(
        '    ProxyEnable    REG_DWORD    0x1\n    ProxyServer    REG_SZ    a:8080\n    ProxyOverride    REG_SZ    *.corp;10.*;<local>;<-loopback>',
      ),
      { http: 'http://a:8080', https: 'http://a:8080', noProxy: '*.corp,10.*,<local>' },
    ],
    [
      'proxies by protocol',
      windows(
        '    ProxyEnable    REG_DWORD    0x1\n    ProxyServer    REG_SZ    http=a:1;https=http://b:2;ftp=x:3;socks=c:4\n    ProxyOverride    REG_SZ    ',
      ),
      { http: 'http://a:1', https: 'http://b:2', socks: 'socks5h://c:4', noProxy: '' },
    ],
    [
      'a PAC script beside a proxy that is off',
      windows('    ProxyEnable    REG_DWORD    0x0\n    AutoConfigURL    REG_SZ    http://w/p.pac'),
      { noProxy: '', autoConfigUrl: 'http://w/p.pac' },
    ],
  ])('with %s', (_what, output, settings) => {
    expect(parseWindowsSettings(output)).toEqual(settings)
  })
})

describe('the proxies of a system', () => {
  const settings = {
    http: 'http://h:1',
    https: 'http://u:hunter2@s:2',
    socks: 'socks5h://k:3',
    noProxy: '*.corp,10.*,<local>',
  }
  it.each([
    ['https://example.com/', 'http://u:***@s:2'],
    ['wss://example.com/', 'http://u:***@s:2'],
    ['http://example.com/', 'http://h:1'],
    ['ws://example.com/', 'http://h:1'],
    ['https://a.corp/', null],
    ['https://10.1.2.3/', null],
    ['https://intranet/', null],
    ['https://localhost/', null],
    ['https://127.0.0.9/', null],
  ])('for %s are %s', async (target, proxy) => {
    const { findProxy } = proxiesOf('gnome', settings)
    const lookup = async (): Promise<[]> => await Promise.resolve([])
    expect((await explainRoute(target, { proxy: findProxy, lookup })).proxy).toBe(proxy)
  })

  it('use SOCKS for what has no proxy of its own, and for connections without HTTP', () => {
    const { findProxy } = proxiesOf('macos', { socks: 'socks5h://k:3', noProxy: '' })
    const { signal } = new AbortController()
    for (const url of ['https://a.b/', 'http://a.b/', 'tcp://a.b:22/']) {
      expect(findProxy(url, 'a.b', signal)).toMatchObject({ proxies: 'socks5h://k:3' })
    }
  })

  it('are refused with an exception that has no known form, where they would be used', async () => {
    const { findProxy } = proxiesOf('windows', { http: 'http://h:1', noProxy: 'a/b/c' })
    const report = await explainRoute('http://example.com', { proxy: findProxy })
    expect(report.problems).toMatchObject([{ code: 'DIAL_PROXY_INVALID' }])
    expect((await explainRoute('http://127.0.0.1', { proxy: findProxy })).problems).toEqual([])
  })

  it('warn of a PAC script, and show no password', async () => {
    const autoConfigUrl = 'http://u:hunter2@w/p.pac?token=hunter2'
    const found = proxiesOf('macos', { ...settings, autoConfigUrl })
    const report = await explainRoute('https://10.0.0.1', { proxy: found.findProxy })
    expect(report.warnings).toEqual([
      'the system has a PAC script, which is not evaluated: http://w/p.pac',
    ])
    const plain = proxiesOf('macos', { ...settings, autoConfigUrl: 'http://w/p.pac' })
    expect(inspect(plain, { depth: 9, showHidden: true }) + JSON.stringify(plain)).not.toContain(
      'hunter2',
    )
  })

  it('are for an IPv6 address with a zone too', () => {
    const { findProxy } = proxiesOf('gnome', { socks: 'socks5h://k:3', noProxy: 'fe80::/10' })
    const { signal } = new AbortController()
    const proxies = findProxy('tcp://[fe80::1%eth0]:22/', 'fe80::1%eth0', signal)
    expect(proxies).toMatchObject({ proxies: undefined })
  })
})

/** A directory with a program called gsettings, which is a script. */
function fake(script: string): { readonly env: Record<string, string> } & Disposable {
  const folder = temporaryDirectory()
  const path = folder.write('gsettings', `#!/bin/sh\n${script}\n`)
  chmodSync(path, 0o755)
  return {
    env: { PATH: `${folder.path}:${process.env['PATH'] ?? ''}` },
    [Symbol.dispose]: () => folder[Symbol.dispose](),
  }
}

const hasGsettings = (() => {
  try {
    const schemas = execFileSync('gsettings', ['list-schemas'], { stdio: 'pipe' }).toString()
    return schemas.includes('org.gnome.system.proxy')
  } catch {
    return false
  }
})()

describe.skipIf(process.platform !== 'linux')('systemProxy', () => {
  it.skipIf(!hasGsettings)('reads the settings of GNOME', async () => {
    using home = temporaryDirectory()
    const folder = join(home.path, 'glib-2.0/settings')
    mkdirSync(folder, { recursive: true })
    writeFileSync(
      join(folder, 'keyfile'),
      "[system/proxy]\nmode='manual'\nignore-hosts=['*.corp']\n\n[system/proxy/https]\nhost='proxy.corp.example'\nport=3128\n",
    )
    const env = {
      PATH: process.env['PATH'],
      HOME: home.path,
      XDG_CONFIG_HOME: home.path,
      GSETTINGS_BACKEND: 'keyfile',
    }
    const { findProxy, source } = await systemProxy({ env })
    expect(source).toBe('gnome')
    const { signal } = new AbortController()
    expect(findProxy('https://a.b/', 'a.b', signal)).toMatchObject({
      proxies: 'http://proxy.corp.example:3128',
    })
    expect(findProxy('https://a.corp/', 'a.corp', signal)).toMatchObject({ proxies: undefined })
  })

  it('finds no proxies without the tool and without the settings of GNOME', async () => {
    using folder = temporaryDirectory()
    expect((await systemProxy({ env: { PATH: folder.path } })).source).toBe('none')
    using none = fake('echo "No such schema" >&2; exit 1')
    expect((await systemProxy({ env: none.env })).source).toBe('none')
  })

  it('stops a tool that does not answer or prints too much, and at its signal', async () => {
    using silent = fake('sleep 60 & sleep 60')
    expect(await failure(systemProxy({ env: silent.env, timeoutMs: 50 }))).toMatchObject({
      code: 'DIAL_PROXY_TIMEOUT',
      leg: 'local',
    })
    const controller = new AbortController()
    const stopped = systemProxy({ env: silent.env, signal: controller.signal })
    const reason = new Error('stop')
    controller.abort(reason)
    await expect(stopped).rejects.toBe(reason)
    await expect(systemProxy({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    using endless = fake('echo hunter2; exec cat /dev/zero')
    const error = await failure(systemProxy({ env: endless.env }))
    expect(error).toMatchObject({ code: 'DIAL_PROXY_INVALID' })
    expect(inspect(error, { depth: 9, showHidden: true })).not.toContain('hunter2')
  })

  it('refuses a time that is none', async () => {
    await expect(systemProxy({ timeoutMs: 0 })).rejects.toThrow(RangeError)
  })
})
