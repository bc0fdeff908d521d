import { formatHostPort } from '@proj/config/address'

import { DialError, type DialErrorCode, type DialErrorDetails } from '../errors.ts'
import { parseChallenges } from './challenge.ts'
import type { ReplyHead } from './connect-reply.ts'
import { supportsDigest } from './digest.ts'
import { schemeOf, schemesOf } from './proxy-login.ts'
import type { ProxyServer } from './proxy-server.ts'

/** Makes an error of a proxy. */
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

/** A target that a proxy was asked to connect to. */
export interface ProxyTarget {
  readonly proxy: ProxyServer
  readonly host: string
  readonly port: number
}

/**
 * Explains a reply to CONNECT that is not 2xx.
 * @param authorization - the value of Proxy-Authorization in the request
 */
export function connectReplyError(
  head: ReplyHead,
  { proxy, host, port }: ProxyTarget,
  authorization: string | undefined,
): DialError {
  const { status } = head
  const authority = formatHostPort(host, port)
  const squid = head.fields.get('x-squid-error')?.[0]?.split(' ')[0]
  const said = `${status}${head.reason === '' ? '' : ` ${head.reason}`}${squid === undefined ? '' : `, ${squid.slice(0, 60)}`}`
  // tinyproxy answers a wrong password with 401; no other server answers a CONNECT.
  if (status === 407 || status === 401) {
    const lines = head.fields.get('proxy-authenticate') ?? []
    return authenticationError({ status, lines, said }, proxy, authorization)
  }
  if ((status >= 300 && status < 400) || status === 511) {
    const to = hostOf(head.fields.get('location')?.[0])
    return proxyError('DIAL_PROXY_CAPTIVE', proxy, `redirects to a login page${to} (${said})`, {
      status,
      hint: 'log in to this network with a browser, then retry',
    })
  }
  if (status === 400 || status === 405 || status === 501) {
    return proxyError(
      'DIAL_PROXY_PROTOCOL',
      proxy,
      `does not support CONNECT to ${authority} (${said})`,
      {
        status,
        hint: 'check that this port belongs to a proxy and not to a web server',
      },
    )
  }
  if (status >= 500 || status === 404) {
    return proxyError('DIAL_PROXY_TARGET_FAILED', proxy, `could not reach ${authority} (${said})`, {
      status,
      retry: status === 404 || status === 500 ? 'slow' : 'yes',
      hint: 'check the name of the server, and that the proxy can reach it',
    })
  }
  return proxyError('DIAL_PROXY_DENIED', proxy, `denies CONNECT to ${authority} (${said})`, {
    status,
    hint: portHint(port),
  })
}

/** Returns the hint for a target that the rules of a proxy deny. */
export function portHint(port: number): string {
  return port === 443
    ? 'ask the operator of the proxy to allow this server'
    : `many proxies allow CONNECT to port 443 only: ask the operator to allow port ${port}, or use port 443`
}

/** A 407 of a proxy. */
export interface Rejected {
  readonly status: number
  /** Values of Proxy-Authenticate. */
  readonly lines: readonly string[]
  /** Status and reason for the message. */
  readonly said: string
}

/**
 * Explains a 407 that is not answered.
 * @param authorization - the value of Proxy-Authorization in the request
 */
export function authenticationError(
  { status, lines, said }: Rejected,
  proxy: ProxyServer,
  authorization: string | undefined,
): DialError {
  const parsed = lines.flatMap(parseChallenges)
  const schemes = schemesOf(parsed)
  const sent = authorization === undefined ? undefined : schemeOf(authorization)
  const rejected = sent !== undefined && (schemes.length === 0 || schemes.includes(sent))
  const supported =
    schemes.length === 0 ||
    schemes.includes('basic') ||
    parsed.some((challenge) => supportsDigest(challenge))
  if (!rejected && !supported) {
    const offered = schemes.join(', ').slice(0, 100)
    return proxyError(
      'DIAL_PROXY_AUTH_UNSUPPORTED',
      proxy,
      `offers only ${offered} for authentication (${said})`,
      {
        status,
        hint: 'run a local proxy that supports this scheme (cntlm, px) and use it as the proxy, or ask for Basic or Digest',
      },
    )
  }
  if (rejected || sent !== undefined) {
    return proxyError('DIAL_PROXY_AUTH_FAILED', proxy, `rejected the credentials (${said})`, {
      status,
      hint: 'check user name and password; special characters in a proxy URL must be percent-encoded',
    })
  }
  return proxyError(
    'DIAL_PROXY_AUTH_REQUIRED',
    proxy,
    `requires a user name and a password (${said})`,
    {
      status,
      hint: 'add them to the proxy URL: http://user:password@host:port',
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
