/**
 * What a person can do about each code in general: an error itself often has a more exact hint. For docs/reference/errors: no program reads it, so it is in no bundle.
 */
import type { DialErrorCode } from './errors.ts'

export const DIAL_ADVICE: Readonly<Record<DialErrorCode, string>> = {
  DIAL_BIND_INTERFACE_UNKNOWN: 'correct the name; the message lists the interfaces that are up',
  DIAL_BIND_INTERFACE_DOWN: 'bring the interface up, or choose another one',
  DIAL_BIND_NOT_LOCAL: 'use an address of this host; the message lists them',
  DIAL_BIND_FAMILY: 'set a source address of the same family as the target',
  DIAL_BIND_LOOPBACK: 'use another source address, or none',
  DIAL_BIND_PORT_BUSY: 'remove the fixed source port, or close the connection that uses it',
  DIAL_BIND_DENIED:
    'use a source port above 1023 or none, or give the program CAP_NET_BIND_SERVICE',
  DIAL_BIND_ZONE: 'write the interface behind the address: fe80::1%eth0',
  DIAL_BIND_DEVICE:
    'set a source address instead of a device; a device needs Linux and Node 26.4 or newer',
  DIAL_DNS_NOT_FOUND:
    'correct the name, or the DNS entry; some names exist only inside of a network or a VPN',
  DIAL_DNS_FAILED:
    'look at the resolver of this host: /etc/resolv.conf, and whether its server answers',
  DIAL_DNS_TIMEOUT:
    'look at the resolver of this host: /etc/resolv.conf, and whether its server answers',
  DIAL_CONNECT_REFUSED: 'check host and port, and that the server runs',
  DIAL_CONNECT_UNREACHABLE: 'check the routes of this host, and that the interface is up',
  DIAL_CONNECT_TIMEOUT:
    'a firewall may drop the packets: find out whether this network needs a proxy or another source address',
  DIAL_CONNECT_RESET:
    'a firewall or a full server closed the connection: try another network to tell which',
  DIAL_CONNECT_FAILED: 'read the code of the system in the message',
  DIAL_PROXY_INVALID:
    'write http://user:password@host:port, with special characters percent-encoded',
  DIAL_PROXY_AUTH_REQUIRED: 'put user and password into the proxy URL',
  DIAL_PROXY_AUTH_FAILED:
    'check user and password; special characters in a URL are percent-encoded',
  DIAL_PROXY_AUTH_UNSUPPORTED:
    'run a local proxy that supports the scheme (cntlm, px), or ask for Basic or Digest',
  DIAL_PROXY_DENIED:
    'ask who runs the proxy to allow the host and port of the server; port 443 is often allowed',
  DIAL_PROXY_TARGET_FAILED: 'check the name of the server, and that the proxy can reach it',
  DIAL_PROXY_ADDRESS_TYPE: 'use socks5h, or an address of the other family',
  DIAL_PROXY_CAPTIVE: 'log in to this network with a browser',
  DIAL_PROXY_PROTOCOL: 'check scheme and port of the proxy URL: the port belongs to something else',
  DIAL_PROXY_TIMEOUT: 'check that the proxy works for other programs; it may be overloaded',
  DIAL_TLS_UNTRUSTED:
    'trust the authority that issued the certificate: by the option for authorities, or in the system store',
  DIAL_TLS_INTERCEPTED:
    'trust the authority of the device, or ask who runs the network for an exception',
  DIAL_TLS_EXPIRED: 'renew the certificate, or correct the clock of this host',
  DIAL_TLS_NAME: 'use a name that the certificate has, or a certificate that has the name',
  DIAL_TLS_PIN:
    'pin the new key if the server has one; if not, a device in the network replaces the certificate',
  DIAL_TLS_CLIENT_CERT:
    'give a client certificate and key that the peer accepts; TLS inspection removes them',
  DIAL_TLS_PROTOCOL: 'check that the port uses TLS, and the lowest TLS versions of both sides',
  DIAL_TLS_TIMEOUT: 'check that the port uses TLS; a firewall may hold up the handshake',
  DIAL_TLS_FAILED: 'read the reason in the message; a firewall may have closed the connection',
  DIAL_UPGRADE_REFUSED:
    'read the status in the message: 401 and 403 are about the token, 404 about the URL',
  DIAL_UPGRADE_INVALID: 'check that the URL is that of the server and not of another program',
  DIAL_UPGRADE_CLOSED:
    'check that the URL is that of the server; a proxy in front of it may not pass WebSockets',
  DIAL_UPGRADE_TIMEOUT:
    'check the load of the server, and that a proxy in front of it passes WebSockets',
  DIAL_DEADLINE: 'find the slow step with `adit connect diagnose`, or allow more time',
}
