/**
 * What the keys of Piko v0.9 files are here. A key that is not in these tables is no key of Piko.
 * Targets are keys of our programs; a program that lacks one refuses the key by name.
 *
 * Tables by program. `[]` stands for every element of a list.
 */

/** What becomes of one key of Piko. */
export type PikoRule =
  /** It has a counterpart; `note` says how the meaning differs, `convert` how the value does. */
  | { readonly to: string; readonly note?: string; readonly convert?: PikoConversion }
  /** It has none, and running without it would be another configuration than the one asked for. */
  | { readonly refuse: string }
  /** It has none, and nothing is lost without it. */
  | { readonly ignore: string }

/** How a value of Piko is written here. */
export type PikoConversion = 'zero-is-unlimited' | 'bytes' | 'port-of-localhost'

/** Programs of Piko that have a configuration file. */
export type PikoProgram = 'server' | 'agent' | 'forward'

/** Keys of one program. */
export type PikoTable = Readonly<Record<string, PikoRule>>

const GOSSIP = 'nodes find one another through the shared store here, not by gossip'
const ADVERTISED = 'nodes announce their addresses in the shared store here'
const NODE_TLS = 'nodes use certificates of the cluster among themselves here'
const REBALANCE = 'agents hold several connections here and move on their own'
const SUBSYSTEMS = 'lines cannot be switched on by subsystem here'
const HEADER_LISTS = 'headers are not logged here, neither allowed nor blocked ones'
const ACCESS_LOG = 'requests are logged with the other lines here, at debug'
const POOL = 'connections to a service are kept by fixed rules here'
const WHOLE = 'there is no limit on a whole request or answer here, only on waiting and idleness'

/** What is asked of tokens, by a listener or a tenant. */
function authKeys(prefix: string): readonly string[] {
  return [
    'hmac_secret_key',
    'rsa_public_key',
    'ecdsa_public_key',
    'audience',
    'issuer',
    'disable_disconnect_on_expiry',
    'jwks.endpoint',
    'jwks.cache_ttl',
    'jwks.timeout',
  ].map((key) => `${prefix}.${key}`)
}

/** Authentication and TLS, which three listeners of the server have alike. */
function listenerRules(name: 'proxy' | 'upstream' | 'admin'): PikoTable {
  const keep = authKeys(`${name}.auth`)
  const tls = ['cert', 'key', 'client_cas'].map((key) => `${name}.tls.${key}`)
  const client = ['cert', 'key', 'root_cas', 'insecure_skip_verify', 'server_name'].map(
    (key) => `${name}.tls.client.${key}`,
  )
  return {
    ...same([`${name}.bind_addr`]),
    [`${name}.advertise_addr`]: { refuse: ADVERTISED },
    ...same([...keep, ...tls]),
    ...Object.fromEntries(client.map((key) => [key, { refuse: NODE_TLS }])),
  }
}

const SERVER: PikoTable = {
  ...same(['cluster.node_id', 'cluster.node_id_prefix', 'grace_period', 'log.level']),
  'log.subsystems': { refuse: SUBSYSTEMS },
  'cluster.join': { refuse: GOSSIP },
  'cluster.join_timeout': { ignore: GOSSIP },
  'cluster.abort_if_join_fails': { ignore: GOSSIP },
  'cluster.gossip.bind_addr': { ignore: GOSSIP },
  'cluster.gossip.advertise_addr': { ignore: GOSSIP },
  'cluster.gossip.interval': { ignore: GOSSIP },
  'cluster.gossip.max_packet_size': { ignore: GOSSIP },
  ...listenerRules('proxy'),
  'proxy.timeout': {
    to: 'proxy.first_byte_timeout',
    convert: 'zero-is-unlimited',
    note: 'it limits the wait for the first byte of an answer, not the whole exchange',
  },
  'proxy.access_log.level': { ignore: ACCESS_LOG },
  'proxy.access_log.disable': { ignore: ACCESS_LOG },
  ...headerLists('proxy.access_log'),
  'proxy.http.read_timeout': { ignore: WHOLE },
  'proxy.http.write_timeout': { ignore: WHOLE },
  'proxy.http.read_header_timeout': { to: 'proxy.head_timeout', convert: 'zero-is-unlimited' },
  'proxy.http.idle_timeout': { to: 'proxy.keep_alive_timeout', convert: 'zero-is-unlimited' },
  'proxy.http.max_header_bytes': {
    to: 'proxy.max_head',
    convert: 'bytes',
    note: 'it counts the request line too',
  },
  ...listenerRules('upstream'),
  'upstream.rebalance.threshold': { refuse: REBALANCE },
  'upstream.rebalance.shed_rate': { ignore: REBALANCE },
  'upstream.rebalance.min_conns': { ignore: REBALANCE },
  'upstream.tenants[].id': {
    to: 'upstream.tenants[].id',
    note: 'names of tenants are kept apart here: visitors reach those of no tenant alone',
  },
  ...same(authKeys('upstream.tenants[].auth')),
  ...listenerRules('admin'),
}

const CLIENT_TLS: PikoTable = same(
  ['cert', 'key', 'root_cas', 'insecure_skip_verify'].map((key) => `connect.tls.${key}`),
)

const AGENT: PikoTable = {
  ...same(['connect.url', 'connect.token', 'connect.tenant_id', 'connect.proxy_url']),
  'connect.timeout': {
    to: 'connect.timeout',
    convert: 'zero-is-unlimited',
    note: 'it limits every attempt to connect, not the time to start',
  },
  ...CLIENT_TLS,
  'server.enabled': { ignore: 'metrics are served when an address for them is set' },
  'server.bind_addr': { to: 'admin.bind_addr' },
  ...same(['grace_period', 'log.level']),
  'log.subsystems': { refuse: SUBSYSTEMS },
  'listeners[].endpoint_id': { to: 'listeners[].endpoint' },
  'listeners[].addr': { to: 'listeners[].addr' },
  'listeners[].protocol': { to: 'listeners[].protocol' },
  'listeners[].timeout': {
    to: 'listeners[].timeout',
    convert: 'zero-is-unlimited',
    note: 'for HTTP it limits the wait for the first byte of an answer, not the whole exchange',
  },
  'listeners[].access_log.level': { ignore: ACCESS_LOG },
  'listeners[].access_log.disable': { ignore: ACCESS_LOG },
  ...headerLists('listeners[].access_log'),
  'listeners[].http_client.keep_alive_timeout': {
    ignore: 'connections to a service have TCP keep-alive here',
  },
  'listeners[].http_client.idle_conn_timeout': { ignore: POOL },
  'listeners[].http_client.max_idle_conns': { ignore: POOL },
  'listeners[].http_client.disable_compression': {
    ignore: 'bodies are passed on as they are here, never compressed or decompressed',
  },
  'listeners[].tls.cert': { to: 'listeners[].tls.cert' },
  'listeners[].tls.key': { to: 'listeners[].tls.key' },
  'listeners[].tls.root_cas': { to: 'listeners[].tls.root_cas' },
  'listeners[].tls.insecure_skip_verify': { to: 'listeners[].tls.insecure_skip_verify' },
  'listeners[].tls.server_name': { to: 'listeners[].tls.server_name' },
}

const FORWARD: PikoTable = {
  'connect.url': {
    to: 'connect.url',
    note: 'the consumer of Piko connects to the proxy port, 8000 by default',
  },
  'connect.token': { to: 'connect.token' },
  'connect.timeout': { ignore: 'the consumer of Piko never used it' },
  ...CLIENT_TLS,
  'log.level': { to: 'log.level' },
  'log.subsystems': { refuse: SUBSYSTEMS },
  'ports[].addr': { to: 'accesses[].bind_addr', convert: 'port-of-localhost' },
  'ports[].endpoint_id': { to: 'accesses[].endpoint' },
}

/** Keys of Piko v0.9 by program. */
export const PIKO_TABLES: Readonly<Record<PikoProgram, PikoTable>> = Object.freeze({
  server: SERVER,
  agent: AGENT,
  forward: FORWARD,
})

function same(keys: readonly string[]): PikoTable {
  return Object.fromEntries(keys.map((key) => [key, { to: key }]))
}

function headerLists(prefix: string): PikoTable {
  const lists = ['request_headers', 'response_headers'].flatMap((headers) =>
    ['allow_list', 'block_list'].map((kind) => `${prefix}.${headers}.${kind}`),
  )
  return Object.fromEntries(lists.map((key) => [key, { ignore: HEADER_LISTS }]))
}
