/**
 * What the keys of `piko server` are here.
 *
 * Table: the keys of Piko v0.9.
 */
import { accessLogKeys, PIKO_LOG_KEYS, type PikoTable, sameKeys } from '@proj/program-kit/piko'

const JOIN =
  'nodes find one another in the database here: set cluster.database_url; without it this server is alone'
const GOSSIP = 'nodes exchange what they know through the database here'
const ADVERTISED = 'nodes connect to each other at cluster.advertise_addr alone'
const NODE_TLS =
  'nodes connect to each other with certificates of the cluster here, see cluster.tls'
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
    [`${name}.advertise_addr`]: { ignore: ADVERTISED },
    ...sameKeys([...keep, ...tls]),
    // Of Piko before v0.5.
    [`${name}.tls.enabled`]: {
      ignore: 'a port has TLS when it has a certificate',
      isBoolean: true,
    },
    ...Object.fromEntries(
      client.map((key) => [
        key,
        key.endsWith('.insecure_skip_verify')
          ? { ignore: NODE_TLS, isBoolean: true }
          : { ignore: NODE_TLS },
      ]),
    ),
  }
}

/** Keys of `piko server`. */
export const PIKO_SERVER_KEYS: PikoTable = {
  ...sameKeys(['cluster.node_id', 'cluster.node_id_prefix', 'grace_period']),
  ...PIKO_LOG_KEYS,
  'cluster.join': { ignore: JOIN },
  'cluster.join_timeout': { ignore: JOIN },
  'cluster.abort_if_join_fails': {
    ignore: 'a node starts without the others, and without the database',
    isBoolean: true,
  },
  'cluster.gossip.bind_addr': {
    to: 'cluster.bind_addr',
    note: 'the other nodes connect there with TLS, over TCP alone',
  },
  'cluster.gossip.advertise_addr': { to: 'cluster.advertise_addr' },
  'cluster.gossip.interval': { ignore: GOSSIP },
  'cluster.gossip.max_packet_size': { ignore: GOSSIP },
  'usage.disable': { ignore: 'nothing is reported about the use of this program', isBoolean: true },
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
  ...sameKeys(['threshold', 'shed_rate', 'min_conns'].map((key) => `upstream.rebalance.${key}`)),
  'upstream.tenants[].id': {
    to: 'upstream.tenants[].id',
    note: 'names of tenants are kept apart here, and visitors reach those of no tenant; set upstream.tenants_share_names for the rule of Piko',
  },
  ...sameKeys(authKeys('upstream.tenants[].auth')),
  ...listenerRules('admin'),
}
