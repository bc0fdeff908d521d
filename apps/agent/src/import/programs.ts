/**
 * How files of other programs are read. Table: frp 0.52 to 0.66 (gofrp.org, frpc_full_example.toml), the ngrok agent v2
 * and v3 (ngrok.com/docs/agent/config), cloudflared (locally-managed tunnels, "Configuration file"), Piko v0.9.
 */
import { isLoopbackBind, parseListenAddresses } from '@proj/config/address'

import type { ForeignSection } from './foreign-section.ts'
import { endpointFrom, type ImportedConfig, type ImportedListener } from './imported-config.ts'

/** The programs, as the file shows them. */
export type ForeignProgram = 'frpc' | 'ngrok' | 'cloudflared' | 'piko'

const NO_SERVER = 'it is the server of another program: name yours with adit login'
const NO_TOKEN = 'it is of no use at your server: run adit login'
const NO_SECRET = 'the token of the consumer says what it may reach'
const NO_RULE =
  'its visitors are let in without it: write visitors of the listener before you start it'
const NO_PATH = 'the whole name leads to the service; paths are routes of a listener'
const UNCHANGED = 'to keep it, use the file as it is: adit start --config.path FILE'

/** Keys of ngrok that decide who may visit. */
const NGROK_RULES = [
  'ip_restriction',
  'mutual_tls_cas',
  'oauth',
  'oidc',
  'policy',
  'saml',
  'traffic_policy',
  'verify_webhook',
]

/** Names that ngrok gives: no other server has them. */
const NGROK_NAME = /(?:^|\.)ngrok(?:-free)?\.(?:app|com|dev|io|pizza|pro)$/

/** Tells whose file it is; undefined: of none that is known. */
export function programOf(root: ForeignSection): ForeignProgram | undefined {
  const hasAny = (...keys: readonly string[]): boolean => keys.some((key) => root.has(key))
  if (hasAny('ingress', 'credentials-file', 'tunnel')) return 'cloudflared'
  if (hasAny('tunnels', 'endpoints', 'authtoken', 'agent')) return 'ngrok'
  if (hasAny('listeners', 'ports')) return 'piko'
  if (hasAny('serverAddr', 'proxies', 'visitors', 'common')) return 'frpc'
  return undefined
}

/** Reads a file into our settings. */
export function importFrom(program: ForeignProgram, root: ForeignSection): ImportedConfig {
  const config: ImportedConfig = { listeners: [], accesses: [] }
  if (program === 'cloudflared') fromCloudflared(root, config)
  else if (program === 'ngrok') fromNgrok(root, config)
  else if (program === 'piko') fromPiko(root, config)
  else fromFrp(root, config)
  root.leaveRest()
  return config
}

function fromFrp(root: ForeignSection, config: ImportedConfig): void {
  root.leave('serverAddr', NO_SERVER)
  root.leave('serverPort', NO_SERVER)
  root.leave('auth', NO_TOKEN)
  if (root.has('common')) {
    // The old form, INI: one section for each proxy, named after it.
    root.leave('common', 'it names the server of frp; name yours with adit login')
    for (const key of root.keys.filter((one) => one !== 'common')) {
      const section = root.section(key)
      if (section === undefined) continue
      const isVisitor = section.text('role') === 'visitor'
      if (isVisitor) frpVisitor(section, key, config)
      else frpProxy(section, key, config)
    }
    return
  }
  for (const proxy of root.sections('proxies')) frpProxy(proxy, proxy.text('name') ?? '', config)
  for (const visitor of root.sections('visitors')) {
    frpVisitor(visitor, visitor.text('name') ?? '', config)
  }
}

/** Keys have camel case in TOML and underscores in INI. */
function either(section: ForeignSection, toml: string, ini: string): string | undefined {
  return section.text(toml) ?? section.text(ini)
}

function frpProxy(proxy: ForeignSection, name: string, config: ImportedConfig): void {
  const type = proxy.text('type') ?? 'tcp'
  const port = either(proxy, 'localPort', 'local_port')
  const host = either(proxy, 'localIP', 'local_ip') ?? '127.0.0.1'
  const remote = either(proxy, 'remotePort', 'remote_port')
  const domains = [...proxy.texts('customDomains'), ...proxy.texts('custom_domains')]
  const subdomain = proxy.text('subdomain')
  const user = either(proxy, 'httpUser', 'http_user')
  const password = either(proxy, 'httpPassword', 'http_pwd')
  const hostHeader = either(proxy, 'hostHeaderRewrite', 'host_header_rewrite')
  const headers = Object.entries(pairsOf(proxy.section('requestHeaders')?.section('set')))
  const plugin = proxy.section('plugin')
  const pluginName = plugin?.text('type') ?? proxy.text('plugin')
  const isFolder = pluginName === 'static_file'
  const folder = isFolder
    ? (plugin?.text('localPath') ?? proxy.text('plugin_local_path'))
    : undefined
  for (const key of ['secretKey', 'sk']) proxy.leave(key, NO_SECRET)
  proxy.leave('locations', NO_PATH)
  for (const key of ['httpUser', 'httpPassword']) plugin?.leave(key, NO_RULE)
  for (const key of ['plugin_http_user', 'plugin_http_passwd']) proxy.leave(key, NO_RULE)
  plugin?.leaveRest()
  proxy.leaveRest()
  const isHttp = type === 'http' || type === 'https'
  if (!isHttp && type !== 'tcp' && type !== 'stcp') {
    proxy.note(`the proxy ${name} is left out: Adit has no proxy of type ${type}`)
    return
  }
  if (pluginName !== undefined && folder === undefined) {
    proxy.note(`the proxy ${name} is left out: Adit has no plugin ${pluginName}`)
    return
  }
  if (folder === undefined && !/^\d+$/.test(port ?? '')) {
    proxy.note(`the proxy ${name} is left out: its local port is not a number`)
    return
  }
  if ((user === undefined) !== (password === undefined)) {
    proxy.note(`the proxy ${name} has only a user or only a password: ${NO_RULE}`)
  }
  const endpoint = endpointFrom(subdomain ?? name, config.listeners)
  const addr = folder ?? `${type === 'https' ? 'https://' : ''}${host}:${port ?? ''}`
  const listener: ImportedListener = {
    endpoint,
    addr,
    ...(!isHttp && folder === undefined && { protocol: 'tcp' as const }),
    ...(type === 'tcp' && remote !== undefined && folder === undefined && { public_port: remote }),
    ...(hostHeader !== undefined && { host_header: hostHeader }),
    ...(headers.length > 0 && {
      request_headers: headers.map(([key, value]) => `${key}: ${value}`),
    }),
    ...(user !== undefined && password !== undefined && { basicAuth: [{ user, password }] }),
  }
  config.listeners.push(listener)
  if (endpoint !== name) proxy.note(`the proxy ${name} is the endpoint ${endpoint}`)
  noteDomains(proxy, endpoint, domains)
}

function frpVisitor(visitor: ForeignSection, name: string, config: ImportedConfig): void {
  const type = visitor.text('type') ?? ''
  const server = either(visitor, 'serverName', 'server_name')
  const host = either(visitor, 'bindAddr', 'bind_addr') ?? '127.0.0.1'
  const port = either(visitor, 'bindPort', 'bind_port')
  for (const key of ['secretKey', 'sk']) visitor.leave(key, NO_SECRET)
  visitor.leaveRest()
  if (type !== 'stcp' || server === undefined || port === undefined) {
    visitor.note(
      `the visitor ${name} is left out: only one of type stcp with a port becomes an access`,
    )
    return
  }
  addAccess(visitor, config, endpointFrom(server, []), `${host}:${port}`)
}

function fromNgrok(root: ForeignSection, config: ImportedConfig): void {
  root.text('version')
  root.leave('authtoken', NO_TOKEN)
  const agent = root.section('agent')
  agent?.leave('authtoken', NO_TOKEN)
  agent?.leaveRest()
  const tunnels = root.section('tunnels')
  for (const name of tunnels?.keys ?? []) {
    const tunnel = tunnels?.section(name)
    if (tunnel !== undefined) ngrokTunnel(tunnel, name, config)
  }
  for (const endpoint of root.sections('endpoints')) {
    const name = endpoint.text('name') ?? ''
    const url = endpoint.text('url')
    const upstream = endpoint.section('upstream')
    const addr = upstream?.text('url')
    upstream?.leaveRest()
    for (const key of NGROK_RULES) endpoint.leave(key, NO_RULE)
    endpoint.leaveRest()
    ngrokService(endpoint, config, {
      name,
      addr,
      isTcp: /^t(?:cp|ls):/.test(url ?? ''),
      domains: hostsOf(url),
    })
  }
}

function ngrokTunnel(tunnel: ForeignSection, name: string, config: ImportedConfig): void {
  const [proto = 'http'] = tunnel.texts('proto')
  const addr = tunnel.text('addr')
  const subdomain = tunnel.text('subdomain')
  const domains = [...tunnel.texts('hostname'), ...tunnel.texts('domain')]
  const pairs = tunnel.texts('basic_auth').flatMap((pair) => {
    const [, user = '', password = ''] = /^([^:]+):(.*)$/.exec(pair) ?? []
    if (user === '') tunnel.note(`a pair of basic_auth has no colon: ${NO_RULE}`)
    return user === '' ? [] : [{ user, password }]
  })
  const hostHeader = tunnel.text('host_header')
  tunnel.leave('remote_addr', 'ports are those of your server: public_port of the listener')
  for (const key of NGROK_RULES) tunnel.leave(key, NO_RULE)
  tunnel.leaveRest()
  ngrokService(tunnel, config, {
    name: subdomain ?? name,
    addr,
    isTcp: proto !== 'http',
    domains,
    more: {
      ...(hostHeader !== undefined && {
        host_header: hostHeader === 'rewrite' ? 'service' : hostHeader,
      }),
      ...(pairs.length > 0 && { basicAuth: pairs }),
    },
  })
}

function ngrokService(
  section: ForeignSection,
  config: ImportedConfig,
  found: {
    readonly name: string
    readonly addr: string | undefined
    readonly isTcp: boolean
    readonly domains: readonly string[]
    readonly more?: Partial<ImportedListener>
  },
): void {
  const { name, addr, isTcp, domains, more = {} } = found
  if (addr === undefined) {
    section.note(`${name} is left out: it has no address of a service`)
    return
  }
  const endpoint = endpointFrom(name, config.listeners)
  const plain = addr.replace(/^(?:http|tcp|tls|file):\/\//, '')
  config.listeners.push({
    endpoint,
    addr: plain,
    ...(isTcp && { protocol: 'tcp' as const }),
    ...more,
  })
  for (const domain of domains.filter((one) => NGROK_NAME.test(one))) {
    section.note(`${domain} is a name of ngrok: the server has its own name for ${endpoint}`)
  }
  noteDomains(
    section,
    endpoint,
    domains.filter((one) => !NGROK_NAME.test(one)),
  )
}

function fromCloudflared(root: ForeignSection, config: ImportedConfig): void {
  root.leave('tunnel', NO_SERVER)
  root.leave('credentials-file', NO_TOKEN)
  const endpoints = new Map<string, string>()
  for (const rule of root.sections('ingress')) {
    const host = rule.text('hostname') ?? ''
    const service = rule.text('service') ?? ''
    const origin = rule.section('originRequest')
    const hostHeader = origin?.text('httpHostHeader')
    const insecure = origin?.text('noTLSVerify') === 'true'
    origin?.leave('access', NO_RULE)
    origin?.leaveRest()
    rule.leave('path', NO_PATH)
    rule.leaveRest()
    const status = /^http_status:(\d+)$/.exec(service)?.[1]
    if (status !== undefined && host === '') continue // what is not named is answered with 404 here too
    const [, scheme = '', place = ''] = /^(?:([a-z]+):(?:\/\/)?)?(.*)$/.exec(service) ?? []
    if (!['http', 'https', 'tcp', 'ssh', 'rdp', 'smb', 'unix'].includes(scheme) || place === '') {
      rule.note(
        `the rule for ${host || 'everything else'} is left out: Adit has no service ${service}`,
      )
      continue
    }
    const endpoint = endpointFrom(host.split('.', 1)[0] ?? '', config.listeners)
    const isTcp = ['tcp', 'ssh', 'rdp', 'smb'].includes(scheme)
    const lead = scheme === 'https' ? 'https://' : scheme === 'unix' ? 'unix:' : ''
    config.listeners.push({
      endpoint,
      addr: `${lead}${place}`,
      ...(isTcp && { protocol: 'tcp' as const }),
      ...(hostHeader !== undefined && { host_header: hostHeader }),
      ...(insecure && { insecure }),
    })
    const first = endpoints.get(host)
    if (host !== '' && first !== undefined) {
      rule.note(`${host} leads to ${first}: make ${endpoint} one of its routes`)
    } else noteDomains(rule, endpoint, host === '' ? [] : [host])
    endpoints.set(host, first ?? endpoint)
  }
}

function fromPiko(root: ForeignSection, config: ImportedConfig): void {
  config.hasVariables = true
  const connect = root.section('connect')
  const url = connect?.text('url')
  const token = connect?.text('token')
  if (url !== undefined) config.url = url
  if (token !== undefined) config.token = token
  connect?.leaveRest(UNCHANGED)
  for (const listener of root.sections('listeners')) {
    const endpoint = listener.text('endpoint_id') ?? ''
    const addr = listener.text('addr')
    const isTcp = listener.text('protocol') === 'tcp'
    listener.leaveRest(UNCHANGED)
    if (endpoint === '' || addr === undefined) {
      listener.note('the listener is left out: it has no endpoint_id or no addr')
    } else config.listeners.push({ endpoint, addr, ...(isTcp && { protocol: 'tcp' as const }) })
  }
  for (const port of root.sections('ports')) {
    const endpoint = port.text('endpoint_id') ?? ''
    const bindAddr = port.text('addr')
    port.leaveRest(UNCHANGED)
    if (endpoint === '' || bindAddr === undefined) {
      port.note('the port is left out: it has no endpoint_id or no addr')
    } else {
      // to Piko a port alone is one of localhost
      const isPort = /^\d+$/.test(bindAddr)
      addAccess(port, config, endpoint, isPort ? `localhost:${bindAddr}` : bindAddr)
    }
  }
  root.leaveRest(UNCHANGED)
}

/** Adds an access; that other machines can connect is told, and said in the file. */
function addAccess(
  section: ForeignSection,
  config: ImportedConfig,
  endpoint: string,
  bindAddr: string,
): void {
  const isPublic = isOpenToOthers(bindAddr)
  if (isPublic) section.note(`other machines can connect to ${bindAddr}: list them in allow`)
  config.accesses.push({ endpoint, bindAddr, isPublic })
}

function isOpenToOthers(bindAddr: string): boolean {
  try {
    return !parseListenAddresses(bindAddr).every(isLoopbackBind)
  } catch {
    return false // no address: adit config check says so
  }
}

function noteDomains(section: ForeignSection, endpoint: string, domains: readonly string[]): void {
  for (const domain of domains) {
    section.note(
      `${domain} is not a setting of the agent: run adit domain add ${domain} ${endpoint}`,
    )
  }
}

function hostsOf(url: string | undefined): string[] {
  return url !== undefined && URL.canParse(url)
    ? [new URL(url).hostname].filter((host) => host !== '')
    : []
}

function pairsOf(section: ForeignSection | undefined): Record<string, string> {
  return Object.fromEntries((section?.keys ?? []).map((key) => [key, section?.text(key) ?? '']))
}
