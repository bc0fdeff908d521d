import { DialError, type DialErrorDetails } from './dial-error.ts'
import type { DialErrorCode } from './errors.ts'
import { readChallenge } from './proxy-challenge.ts'
import type { ProxyServer } from './proxy-server.ts'
import type { ReplyHead } from './reply-head.ts'

/** Makes the error for something a proxy did. */
export function proxyError(
  code: DialErrorCode,
  proxy: ProxyServer,
  what: string,
  details: Partial<DialErrorDetails> = {},
): DialError {
  return new DialError(code, `the proxy ${proxy.toString()} ${what}`, {
    phase: 'proxy',
    leg: 'proxy',
    ...details,
  })
}

/** What was asked of a proxy. */
export interface ProxyTarget {
  readonly proxy: ProxyServer
  readonly host: string
  readonly port: number
}

/**
 * Explains an answer to CONNECT that is not 2xx.
 * @param authorized - whether the request carried credentials
 */
export function connectReplyError(
  head: ReplyHead,
  { proxy, host, port }: ProxyTarget,
  authorized: boolean,
): DialError {
  const { status } = head
  const squid = head.fields.get('x-squid-error')?.[0]?.split(' ')[0]
  const said = `${status}${head.reason === '' ? '' : ` ${head.reason}`}${squid === undefined ? '' : `, ${squid.slice(0, 60)}`}`
  // tinyproxy answers a wrong password with 401; CONNECT has no other server that could.
  if (status === 407 || status === 401) return authenticationError(head, proxy, said, authorized)
  if ((status >= 300 && status < 400) || status === 511) {
    const to = hostOf(head.fields.get('location')?.[0])
    return proxyError('DIAL_PROXY_CAPTIVE', proxy, `sends to a login page${to} (${said})`, {
      status,
      hint: 'log in to this network with a browser, then try again',
    })
  }
  if (status === 400 || status === 405 || status === 501) {
    return proxyError(
      'DIAL_PROXY_PROTOCOL',
      proxy,
      `does not do CONNECT to ${host}:${port} (${said})`,
      {
        status,
        hint: 'is this the port of a web server rather than of a proxy?',
      },
    )
  }
  if (status >= 500 || status === 404) {
    return proxyError(
      'DIAL_PROXY_TARGET_FAILED',
      proxy,
      `could not reach ${host}:${port} (${said})`,
      {
        status,
        retry: status === 404 || status === 500 ? 'slow' : 'yes',
        hint: 'check the name of the server and whether the proxy can reach it',
      },
    )
  }
  return proxyError('DIAL_PROXY_DENIED', proxy, `refuses CONNECT to ${host}:${port} (${said})`, {
    status,
    hint: portHint(port),
  })
}

/** What to do when the rules of a proxy forbid a target. */
export function portHint(port: number): string {
  return port === 443
    ? 'ask for the server to be allowed in the rules of the proxy'
    : `many proxies allow CONNECT to port 443 only: ask for port ${port}, or serve on 443`
}

function authenticationError(
  head: ReplyHead,
  proxy: ProxyServer,
  said: string,
  authorized: boolean,
): DialError {
  const { schemes } = readChallenge(head, proxy.host)
  const status = head.status
  if (schemes.length > 0 && !schemes.includes('basic')) {
    const offered = schemes.join(', ').slice(0, 100)
    return proxyError(
      'DIAL_PROXY_AUTH_UNSUPPORTED',
      proxy,
      `offers only ${offered} for authentication (${said})`,
      {
        status,
        hint: 'run a local helper proxy that can do it (cntlm, px) and dial through that, or ask for Basic',
      },
    )
  }
  if (authorized) {
    return proxyError('DIAL_PROXY_AUTH_FAILED', proxy, `refused the credentials (${said})`, {
      status,
      hint: 'check user and password; special characters in a proxy URL must be percent-encoded',
    })
  }
  return proxyError(
    'DIAL_PROXY_AUTH_REQUIRED',
    proxy,
    `wants a user name and a password (${said})`,
    {
      status,
      hint: 'put them into the proxy URL, http://user:password@host:port',
    },
  )
}

function hostOf(location: string | undefined): string {
  try {
    return location === undefined ? '' : ` at ${new URL(location).host}`
  } catch {
    return ''
  }
}
