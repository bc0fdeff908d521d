// The table of everything that can go wrong while dialing. One row per code: what happened,
// whether trying again can help, and the family of failure, which decides the exit code of the
// command line. The README's table is compared with this one by a test.

/**
 * Whether the same dial may succeed later: `yes` soon, `slow` only after something changed outside
 * (the interface comes up, a certificate is replaced), `no` not before the configuration changes.
 */
export type RetryClass = 'yes' | 'slow' | 'no'

/** Family of a failure: where a person should look first. */
export type FailureKind = 'config' | 'network' | 'proxy' | 'tls' | 'server'

/** One row of the error table. */
export interface DialErrorInfo {
  /** What happened, one clause. */
  readonly meaning: string
  /** Whether the same dial may succeed later. */
  readonly retry: RetryClass
  /** Where to look first. */
  readonly kind: FailureKind
}

/** What went wrong; the table DIAL_ERRORS says it in words. */
export type DialErrorCode =
  | 'DIAL_BIND_INTERFACE_UNKNOWN'
  | 'DIAL_BIND_INTERFACE_DOWN'
  | 'DIAL_BIND_NOT_LOCAL'
  | 'DIAL_BIND_FAMILY'
  | 'DIAL_BIND_LOOPBACK'
  | 'DIAL_BIND_PORT_BUSY'
  | 'DIAL_BIND_DENIED'
  | 'DIAL_BIND_ZONE'
  | 'DIAL_BIND_DEVICE'
  | 'DIAL_DNS_NOT_FOUND'
  | 'DIAL_DNS_FAILED'
  | 'DIAL_DNS_TIMEOUT'
  | 'DIAL_CONNECT_REFUSED'
  | 'DIAL_CONNECT_UNREACHABLE'
  | 'DIAL_CONNECT_TIMEOUT'
  | 'DIAL_CONNECT_RESET'
  | 'DIAL_CONNECT_FAILED'
  | 'DIAL_PROXY_INVALID'
  | 'DIAL_PROXY_AUTH_REQUIRED'
  | 'DIAL_PROXY_AUTH_FAILED'
  | 'DIAL_PROXY_AUTH_UNSUPPORTED'
  | 'DIAL_PROXY_DENIED'
  | 'DIAL_PROXY_TARGET_FAILED'
  | 'DIAL_PROXY_ADDRESS_TYPE'
  | 'DIAL_PROXY_CAPTIVE'
  | 'DIAL_PROXY_PROTOCOL'
  | 'DIAL_PROXY_TIMEOUT'
  | 'DIAL_TLS_UNTRUSTED'
  | 'DIAL_TLS_INTERCEPTED'
  | 'DIAL_TLS_EXPIRED'
  | 'DIAL_TLS_NAME'
  | 'DIAL_TLS_PIN'
  | 'DIAL_TLS_CLIENT_CERT'
  | 'DIAL_TLS_PROTOCOL'
  | 'DIAL_TLS_TIMEOUT'
  | 'DIAL_TLS_FAILED'
  | 'DIAL_UPGRADE_REFUSED'
  | 'DIAL_UPGRADE_INVALID'
  | 'DIAL_UPGRADE_CLOSED'
  | 'DIAL_UPGRADE_TIMEOUT'
  | 'DIAL_DEADLINE'

/** Every code a DialError can carry. */
export const DIAL_ERRORS: Readonly<Record<DialErrorCode, DialErrorInfo>> = {
  DIAL_BIND_INTERFACE_UNKNOWN: {
    retry: 'slow',
    kind: 'config',
    meaning: 'no interface has the given name',
  },
  DIAL_BIND_INTERFACE_DOWN: {
    retry: 'slow',
    kind: 'network',
    meaning: 'the interface is down or has no address',
  },
  DIAL_BIND_NOT_LOCAL: {
    retry: 'slow',
    kind: 'config',
    meaning: 'the source address is not assigned to this host',
  },
  DIAL_BIND_FAMILY: {
    retry: 'slow',
    kind: 'config',
    meaning: 'source and target have no address family in common',
  },
  DIAL_BIND_LOOPBACK: {
    retry: 'no',
    kind: 'config',
    meaning: 'a loopback source cannot reach a remote target',
  },
  DIAL_BIND_PORT_BUSY: { retry: 'yes', kind: 'config', meaning: 'the source port is in use' },
  DIAL_BIND_DENIED: {
    retry: 'no',
    kind: 'config',
    meaning: 'the system does not allow this source address or port',
  },
  DIAL_BIND_ZONE: {
    retry: 'slow',
    kind: 'config',
    meaning: 'a link-local source without a usable interface zone',
  },
  DIAL_BIND_DEVICE: {
    retry: 'no',
    kind: 'config',
    meaning: 'the socket cannot be tied to a device here',
  },
  DIAL_DNS_NOT_FOUND: { retry: 'slow', kind: 'network', meaning: 'the name does not exist' },
  DIAL_DNS_FAILED: {
    retry: 'yes',
    kind: 'network',
    meaning: 'the name could not be looked up right now',
  },
  DIAL_DNS_TIMEOUT: {
    retry: 'yes',
    kind: 'network',
    meaning: 'the resolver did not answer in time',
  },
  DIAL_CONNECT_REFUSED: {
    retry: 'yes',
    kind: 'network',
    meaning: 'nothing listens there, or a firewall refuses',
  },
  DIAL_CONNECT_UNREACHABLE: {
    retry: 'yes',
    kind: 'network',
    meaning: 'there is no route to the address',
  },
  DIAL_CONNECT_TIMEOUT: {
    retry: 'yes',
    kind: 'network',
    meaning: 'no answer to the connection request',
  },
  DIAL_CONNECT_RESET: {
    retry: 'yes',
    kind: 'network',
    meaning: 'the peer closed the connection before it was of use',
  },
  DIAL_CONNECT_FAILED: {
    retry: 'yes',
    kind: 'network',
    meaning: 'the connection failed in another way',
  },
  DIAL_PROXY_INVALID: { retry: 'no', kind: 'config', meaning: 'the proxy address cannot be used' },
  DIAL_PROXY_AUTH_REQUIRED: {
    retry: 'no',
    kind: 'proxy',
    meaning: 'the proxy wants credentials and none were given',
  },
  DIAL_PROXY_AUTH_FAILED: {
    retry: 'no',
    kind: 'proxy',
    meaning: 'the proxy refused the credentials',
  },
  DIAL_PROXY_AUTH_UNSUPPORTED: {
    retry: 'no',
    kind: 'proxy',
    meaning: 'the proxy offers no scheme we can answer',
  },
  DIAL_PROXY_DENIED: {
    retry: 'slow',
    kind: 'proxy',
    meaning: 'the rules of the proxy forbid the target',
  },
  DIAL_PROXY_TARGET_FAILED: {
    retry: 'yes',
    kind: 'proxy',
    meaning: 'the proxy could not reach the target',
  },
  DIAL_PROXY_ADDRESS_TYPE: {
    retry: 'slow',
    kind: 'proxy',
    meaning: 'the proxy cannot use this kind of address',
  },
  DIAL_PROXY_CAPTIVE: {
    retry: 'slow',
    kind: 'proxy',
    meaning: 'a login page answered instead of the proxy',
  },
  DIAL_PROXY_PROTOCOL: {
    retry: 'slow',
    kind: 'proxy',
    meaning: 'the peer does not speak the proxy protocol',
  },
  DIAL_PROXY_TIMEOUT: { retry: 'yes', kind: 'proxy', meaning: 'the proxy did not answer in time' },
  DIAL_TLS_UNTRUSTED: {
    retry: 'slow',
    kind: 'tls',
    meaning: 'the certificate was issued by nobody we trust',
  },
  DIAL_TLS_INTERCEPTED: {
    retry: 'slow',
    kind: 'tls',
    meaning: 'something on the way replaces the certificate',
  },
  DIAL_TLS_EXPIRED: { retry: 'slow', kind: 'tls', meaning: 'the certificate is not valid today' },
  DIAL_TLS_NAME: { retry: 'slow', kind: 'tls', meaning: 'the certificate is for another name' },
  DIAL_TLS_PIN: { retry: 'no', kind: 'tls', meaning: 'the public key is none of the pinned ones' },
  DIAL_TLS_CLIENT_CERT: {
    retry: 'slow',
    kind: 'tls',
    meaning: 'the peer wants another client certificate',
  },
  DIAL_TLS_PROTOCOL: {
    retry: 'slow',
    kind: 'tls',
    meaning: 'the peer speaks no TLS, or no version or protocol of ours',
  },
  DIAL_TLS_TIMEOUT: {
    retry: 'yes',
    kind: 'tls',
    meaning: 'the TLS handshake did not finish in time',
  },
  DIAL_TLS_FAILED: { retry: 'yes', kind: 'tls', meaning: 'the TLS handshake broke off' },
  DIAL_UPGRADE_REFUSED: {
    retry: 'no',
    kind: 'server',
    meaning: 'the server answered the upgrade with an HTTP status',
  },
  DIAL_UPGRADE_INVALID: {
    retry: 'yes',
    kind: 'server',
    meaning: 'the answer to the upgrade is not a valid one',
  },
  DIAL_UPGRADE_CLOSED: {
    retry: 'yes',
    kind: 'server',
    meaning: 'the connection ended before the upgrade was answered',
  },
  DIAL_UPGRADE_TIMEOUT: {
    retry: 'yes',
    kind: 'server',
    meaning: 'the upgrade was not answered in time',
  },
  DIAL_DEADLINE: {
    retry: 'yes',
    kind: 'network',
    meaning: 'the time for the whole dial is used up',
  },
}
