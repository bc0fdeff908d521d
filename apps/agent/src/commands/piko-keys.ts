/**
 * What the keys of `piko agent` and `piko forward` are here.
 *
 * Table: the keys of Piko v0.9.
 */
import { accessLogKeys, PIKO_LOG_KEYS, type PikoTable, sameKeys } from '@proj/program-kit/piko'

const POOL = 'connections to a service are kept by fixed rules here'

/** Piko has no such key; its maintainer proposed it in issue 198, and its users write it here. */
const SOURCE: PikoTable = sameKeys(['connect.bind_addr'])

const CLIENT_TLS: PikoTable = sameKeys(
  ['cert', 'key', 'root_cas', 'insecure_skip_verify'].map((key) => `connect.tls.${key}`),
)

/** Keys of `piko agent`. */
export const PIKO_AGENT_KEYS: PikoTable = {
  ...sameKeys(['connect.url', 'connect.token', 'connect.tenant_id', 'connect.proxy_url']),
  ...SOURCE,
  'connect.timeout': {
    to: 'connect.timeout',
    convert: 'zero-is-unlimited',
    note: 'it limits every attempt to connect, not the time to start',
  },
  ...CLIENT_TLS,
  'server.enabled': {
    ignore: 'metrics are served when an address for them is set',
    isBoolean: true,
  },
  'server.bind_addr': { to: 'admin.bind_addr' },
  ...sameKeys(['grace_period']),
  ...PIKO_LOG_KEYS,
  'listeners[].endpoint_id': { to: 'listeners[].endpoint' },
  'listeners[].addr': { to: 'listeners[].addr' },
  'listeners[].protocol': { to: 'listeners[].protocol' },
  // For HTTP also request_timeout: see `pikoFiles`.
  'listeners[].timeout': { to: 'listeners[].timeout', convert: 'zero-is-unlimited' },
  ...accessLogKeys('listeners[].access_log'),
  'listeners[].http_client.keep_alive_timeout': {
    ignore: 'connections to a service have TCP keep-alive here',
  },
  'listeners[].http_client.idle_conn_timeout': { ignore: POOL },
  'listeners[].http_client.max_idle_conns': { ignore: POOL },
  'listeners[].http_client.disable_compression': {
    ignore: 'bodies are passed on as they are here, never compressed or decompressed',
    isBoolean: true,
  },
  'listeners[].tls.cert': { to: 'listeners[].tls.cert' },
  'listeners[].tls.key': { to: 'listeners[].tls.key' },
  'listeners[].tls.root_cas': { to: 'listeners[].tls.root_cas' },
  'listeners[].tls.insecure_skip_verify': { to: 'listeners[].tls.insecure_skip_verify' },
  'listeners[].tls.server_name': { to: 'listeners[].tls.server_name' },
}

/** Keys of `piko forward`. */
export const PIKO_FORWARD_KEYS: PikoTable = {
  'connect.url': {
    to: 'connect.url',
    note: 'the consumer of Piko connects to the proxy port, 8000 by default',
  },
  'connect.token': { to: 'connect.token' },
  ...SOURCE,
  'connect.timeout': { ignore: 'the consumer of Piko never used it' },
  ...CLIENT_TLS,
  ...PIKO_LOG_KEYS,
  'ports[].addr': { to: 'accesses[].bind_addr', convert: 'port-of-localhost' },
  'ports[].endpoint_id': { to: 'accesses[].endpoint' },
}
