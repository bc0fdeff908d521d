// The proxy settings of the desktop: Internet Settings of Windows, network settings of macOS, and those of
// GNOME, which other Linux desktops keep too. Each is read with the tool of the system.

import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'

import { DialError } from '../errors.ts'
import { limitOf } from '../limit.ts'
import { DEFAULT_PORTS, type FindProxy } from './find-proxy.ts'
import { NO_PROXY_FORMS, isThisHost, parseNoProxy } from './no-proxy.ts'
import {
  parseGnomeSettings,
  parseMacSettings,
  parseWindowsSettings,
  type SystemSettings,
} from './system-settings.ts'

/** Options of {@link systemProxy}. */
export interface SystemProxyOptions {
  /** Stops the tool of the system; the promise rejects with its reason. */
  readonly signal?: AbortSignal | undefined
  /** Time for the tool, ms, 1 to 60000. Default: 5000. */
  readonly timeoutMs?: number | undefined
  /** Environment of the tool. Default: that of this process. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined
}

/** The proxies of the system. Its JSON and inspection contain no password of a proxy. */
export interface SystemProxies {
  /** For the option `proxy`. Answers at once, from what was read. */
  readonly findProxy: FindProxy
  /** Where the settings are: `windows`, `macos`, `gnome`, or `none` where there are none to read. */
  readonly source: 'windows' | 'macos' | 'gnome' | 'none'
  /**
   * Address of the PAC script of the system as it was set, which can contain a password; the script is not
   * evaluated here. Empty when the network names one (WPAD), undefined when there is none.
   */
  readonly autoConfigUrl: string | undefined
}

/** The largest output of a tool that is read, in bytes. */
const MAX_OUTPUT_BYTES = 64 * 1024

/**
 * Reads the proxy settings of the system once. Nothing is remembered: call it again for new settings.
 * Loopback targets use no proxy.
 * @throws {DialError} DIAL_PROXY_INVALID when the tool of Windows or macOS fails, DIAL_PROXY_TIMEOUT when
 * a tool takes too long. Linux without `gsettings`, or without the settings of GNOME, has no proxies.
 */
export async function systemProxy(options: SystemProxyOptions = {}): Promise<SystemProxies> {
  const { signal } = options
  const timeoutMs = limitOf('timeoutMs', options.timeoutMs, TIMEOUT)
  signal?.throwIfAborted()
  const { env } = options
  const tool = toolOf(process.platform, env ?? {})
  const output = await runTool(tool, { signal, timeoutMs, env })
  if (output === undefined) return proxiesOf('none', { noProxy: '' })
  return proxiesOf(tool.source, tool.parse(output))
}

const TIMEOUT = { default: 5000, min: 1, max: 60_000, orInfinity: false } as const

/** A tool that prints the settings. */
interface SettingsTool {
  readonly source: 'windows' | 'macos' | 'gnome'
  readonly file: string
  readonly args: readonly string[]
  readonly parse: (output: string) => SystemSettings
  /** Whether a system can be without the tool and its settings. */
  readonly isOptional: boolean
}

function toolOf(
  platform: NodeJS.Platform,
  env: Readonly<Record<string, string | undefined>>,
): SettingsTool {
  if (platform === 'win32') {
    return {
      source: 'windows',
      file: join(env['SystemRoot'] ?? 'C:\\Windows', 'System32', 'reg.exe'),
      args: ['query', 'HKCU\\Software\\Microsoft\\Windows\\CurrentVersion\\Internet Settings'],
      parse: parseWindowsSettings,
      isOptional: false,
    }
  }
  if (platform === 'darwin') {
    return {
      source: 'macos',
      file: '/usr/sbin/scutil',
      args: ['--proxy'],
      parse: parseMacSettings,
      isOptional: false,
    }
  }
  return {
    source: 'gnome',
    file: 'gsettings',
    args: ['list-recursively', 'org.gnome.system.proxy'],
    parse: parseGnomeSettings,
    isOptional: true,
  }
}

/** Returns the output; undefined when a system can be without the tool, and is. */
async function runTool(
  tool: SettingsTool,
  options: {
    readonly signal: AbortSignal | undefined
    readonly timeoutMs: number
    readonly env: Readonly<Record<string, string | undefined>> | undefined
  },
): Promise<string | undefined> {
  const { signal, timeoutMs, env } = options
  const limits = { timeout: timeoutMs, killSignal: 'SIGKILL', maxBuffer: MAX_OUTPUT_BYTES } as const
  try {
    const { stdout } = await promisify(execFile)(tool.file, [...tool.args], {
      ...limits,
      windowsHide: true,
      ...(env && { env: { ...env } }),
      ...(signal && { signal }),
    })
    return stdout
  } catch (error) {
    signal?.throwIfAborted()
    const { code, killed } = error as { readonly code?: unknown; readonly killed?: boolean }
    if (killed === true && typeof code !== 'string') throw tooSlow(tool, timeoutMs)
    if (tool.isOptional && code !== 'ERR_CHILD_PROCESS_STDIO_MAXBUFFER') return undefined
    throw unreadable(tool, code)
  }
}

function tooSlow({ file }: SettingsTool, timeoutMs: number): DialError {
  const message = `the proxy settings of the system were not read within ${timeoutMs / 1000} s`
  return new DialError('DIAL_PROXY_TIMEOUT', message, {
    phase: 'proxy',
    leg: 'local',
    hint: `run ${file} by hand to see why it does not answer, or set the proxy itself`,
  })
}

function unreadable({ file }: SettingsTool, code: unknown): DialError {
  const message = 'the proxy settings of the system cannot be read'
  return new DialError('DIAL_PROXY_INVALID', message, {
    phase: 'proxy',
    leg: 'local',
    hint: `run ${file} by hand to see why it fails, or set the proxy itself`,
    // The error of the tool has its output, in which a password can be.
    cause: new Error(typeof code === 'string' ? code : `exit code ${String(code)}`),
  })
}

/** Removes user name, password and query from the address of a script. */
function withoutCredentials(url: string): string {
  return url.replace(/^(\w+:\/\/)[^/?#]*@/, '$1').replace(/[?#].*$/, '')
}

/** Makes the proxies of what was read. */
export function proxiesOf(
  source: SystemProxies['source'],
  settings: SystemSettings,
): SystemProxies {
  const noProxy = parseNoProxy(settings.noProxy)
  const { autoConfigUrl } = settings
  const shown = withoutCredentials(autoConfigUrl ?? '') || 'found by WPAD'
  const warnings =
    autoConfigUrl === undefined
      ? []
      : [`the system has a PAC script, which is not evaluated: ${shown}`]
  const findProxy: FindProxy = (url, host) => {
    // No URL object: an IPv6 address with a zone is in none.
    const [, scheme = '', port = ''] = /^(\w+):.*?(?::(\d+))?\/$/.exec(url) ?? []
    const entry = isThisHost(host)
      ? 'this host'
      : noProxy.match(host, Number(port) || (DEFAULT_PORTS[scheme] ?? 0))
    if (entry !== undefined) {
      return { proxies: undefined, from: `the exceptions of the system: ${entry}`, warnings }
    }
    const proxies = proxyFor(settings, scheme)
    const from = proxies === undefined ? 'the system has no proxy' : 'the settings of the system'
    const [wrong] = noProxy.wrong
    // It could be meant for this target.
    if (proxies !== undefined && wrong !== undefined) throw wrongException(wrong)
    return { proxies, from, warnings }
  }
  return { findProxy, source, autoConfigUrl }
}

function proxyFor({ http, https, socks }: SystemSettings, scheme: string): string | undefined {
  if (scheme === 'https' || scheme === 'wss') return https ?? socks
  return scheme === 'http' || scheme === 'ws' ? (http ?? socks) : socks
}

function wrongException(entry: string): DialError {
  const message = `the proxy settings of the system have the exception ${JSON.stringify(entry)}, which has no known form`
  const hint = `use ${NO_PROXY_FORMS}`
  return new DialError('DIAL_PROXY_INVALID', message, { phase: 'proxy', leg: 'local', hint })
}
