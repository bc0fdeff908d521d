// The output of the tools that print the proxy settings of a system.

import { formatHostPort } from '@proj/config/address'

/** What the settings of a system say. */
export interface SystemSettings {
  /** Proxies as URLs, which can contain a password: for TLS, for HTTP, and for everything else. */
  readonly https?: string
  readonly http?: string
  readonly socks?: string
  /** Targets without a proxy, in the form of NO_PROXY. */
  readonly noProxy: string
  /** A PAC script; empty when the network names one (WPAD). */
  readonly autoConfigUrl?: string
}

/** Reads `gsettings list-recursively org.gnome.system.proxy`. */
export function parseGnomeSettings(output: string): SystemSettings {
  const values = new Map<string, string>()
  for (const line of output.split('\n')) {
    const [, schema = '', key = '', value = ''] =
      /^org\.gnome\.system\.proxy(?:\.(\w+))? ([\w-]+) (.*)$/.exec(line.trim()) ?? []
    if (key !== '') values.set(schema === '' ? key : `${schema} ${key}`, value)
  }
  const text = (key: string): string => unquote(values.get(key) ?? "''")
  const url = (kind: string, scheme: string, user = ''): string | undefined => {
    const [host, port] = [text(`${kind} host`), Number(values.get(`${kind} port`))]
    return host === '' || !(port > 0)
      ? undefined
      : `${scheme}://${user}${formatHostPort(host, port)}`
  }
  const mode = text('mode')
  if (mode === 'auto') return { noProxy: '', autoConfigUrl: text('autoconfig-url') }
  if (mode !== 'manual') return { noProxy: '' }
  const user =
    values.get('http use-authentication') === 'true'
      ? `${encodeURIComponent(text('http authentication-user'))}:${encodeURIComponent(text('http authentication-password'))}@`
      : ''
  const exceptions = [...(values.get('ignore-hosts') ?? '').matchAll(QUOTED)].map(([one]) =>
    unquote(one),
  )
  return {
    ...defined({
      http: url('http', 'http', user),
      https: url('https', 'http'),
      socks: url('socks', 'socks5h'),
    }),
    noProxy: exceptions.join(','),
  }
}

// Texts of GVariant: in single quotes, or in double quotes when they contain a single one.
const QUOTED = /'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"/g

function unquote(value: string): string {
  return /^(['"]).*\1$/.test(value) ? value.slice(1, -1).replaceAll(/\\(.)/g, '$1') : value
}

/** Reads `scutil --proxy`. */
export function parseMacSettings(output: string): SystemSettings {
  const values = new Map<string, string>()
  const exceptions: string[] = []
  let list = ''
  for (const line of output.split('\n')) {
    const [, key = '', value = ''] = /^\s*(\w+) : (.*)$/.exec(line) ?? []
    if (value.startsWith('<array>')) list = key
    else if (line.trim() === '}') list = ''
    else if (list === 'ExceptionsList') exceptions.push(value.trim())
    else if (key !== '' && list === '') values.set(key, value.trim())
  }
  const isOn = (key: string): boolean => values.get(key) === '1'
  const url = (kind: string, scheme: string): string | undefined => {
    const [host = '', port] = [values.get(`${kind}Proxy`), Number(values.get(`${kind}Port`))]
    if (!isOn(`${kind}Enable`) || host === '') return undefined
    return `${scheme}://${port > 0 ? formatHostPort(host, port) : host}`
  }
  const script = isOn('ProxyAutoConfigEnable')
    ? (values.get('ProxyAutoConfigURLString') ?? '')
    : isOn('ProxyAutoDiscoveryEnable')
      ? ''
      : undefined
  return {
    ...defined({
      http: url('HTTP', 'http'),
      https: url('HTTPS', 'http'),
      socks: url('SOCKS', 'socks5h'),
      autoConfigUrl: script,
    }),
    noProxy: [
      ...exceptions.map(completeBlock),
      ...(isOn('ExcludeSimpleHostnames') ? ['<local>'] : []),
    ].join(','),
  }
}

/** Writes `169.254/16`, a form of macOS, as `169.254.0.0/16`. */
function completeBlock(entry: string): string {
  const [, numbers = '', prefix = ''] = /^(\d+(?:\.\d+){0,2})\/(\d+)$/.exec(entry) ?? []
  if (prefix === '') return entry
  return `${[...numbers.split('.'), '0', '0', '0'].slice(0, 4).join('.')}/${prefix}`
}

/** Reads `reg query` of the Internet Settings. */
export function parseWindowsSettings(output: string): SystemSettings {
  const values = new Map<string, string>()
  for (const line of output.split(/\r?\n/)) {
    const [, name = '', value = ''] = /^ {4}(\S+) {4}REG_\w+(?: {4}(.*))?$/.exec(line) ?? []
    if (name !== '') values.set(name, value.trim())
  }
  const script = values.get('AutoConfigURL')
  const autoConfig = script === undefined || script === '' ? {} : { autoConfigUrl: script }
  if (Number(values.get('ProxyEnable') ?? 0) !== 1) return { noProxy: '', ...autoConfig }
  const byScheme = new Map<string, string>()
  for (const entry of (values.get('ProxyServer') ?? '').split(/[;\s]+/)) {
    const [, scheme = '', address = ''] = /^(?:(\w+)=)?(\S+)$/.exec(entry) ?? []
    if (address !== '') byScheme.set(scheme.toLowerCase(), address)
  }
  const url = (kind: string, scheme: string): string | undefined => {
    const address = byScheme.get(kind)
    if (address === undefined) return undefined
    return address.includes('://') ? address : `${scheme}://${address}`
  }
  // An address without a protocol is for all of them.
  const all = url('', 'http')
  const exceptions = (values.get('ProxyOverride') ?? '')
    .split(';')
    // It takes loopback targets to the proxy, which no dial does.
    .filter((entry) => entry.trim() !== '<-loopback>')
  return {
    ...defined({
      http: url('http', 'http') ?? all,
      https: url('https', 'http') ?? all,
      socks: url('socks', 'socks5h'),
    }),
    noProxy: exceptions.join(','),
    ...autoConfig,
  }
}

/** Leaves out what is undefined. */
function defined<T extends object>(values: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  const given = Object.entries(values).filter(([, value]) => value !== undefined)
  return Object.fromEntries(given) as { [K in keyof T]?: Exclude<T[K], undefined> }
}
