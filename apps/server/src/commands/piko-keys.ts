/**
 * What the keys of `piko server` are here.
 *
 * Table: the keys of Piko v0.9.
 */
import { accessLogKeys, PIKO_LOG_KEYS, type PikoTable, sameKeys } from '@proj/program-kit/piko'

const GOSSIP = 'nodes find one another through the shared store here, not by gossip'
const ADVERTISED = 'nodes announce their addresses in the shared store here'
const NODE_TLS = 'nodes use certificates of the cluster among themselves here'
const REBALANCE = 'agents hold several connections here and move on their own'
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
    ...sameKeys([`${name}.bind_addr`]),
    [`${name}.advertise_addr`]: { refuse: ADVERTISED },
    ...sameKeys([...keep, ...tls]),
    ...Object.fromEntries(client.map((key) => [key, { refuse: NODE_TLS }])),
  }
}

/** Keys of `piko server`. */
export const PIKO_SERVER_KEYS: PikoTable = {
  ...sameKeys(['cluster.node_id', 'cluster.node_id_prefix', 'grace_period']),
  ...PIKO_LOG_KEYS,
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
  ...accessLogKeys('proxy.access_log'),
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
  ...sameKeys(authKeys('upstream.tenants[].auth')),
  ...listenerRules('admin'),
}
