import { describeBytes } from './byte-reader.ts'
import type { DialError } from './dial-error.ts'
import type { DialErrorCode } from './errors.ts'
import { portHint, proxyError, type ProxyTarget } from './proxy-errors.ts'

/**
 * Explains a SOCKS reply that ended the handshake.
 * @param question - the message it answers
 */
export function socksReplyError(question: Buffer, reply: Buffer, target: ProxyTarget): DialError {
  const [version, code = 0xff] = reply
  const socks4 = question[0] === 0x04
  if (socks4) return version === 0x00 ? socks4Error(code, target) : noSocks(reply, target)
  // RFC 1929: the password message begins with its own version, 1.
  if (question[0] === 0x01) return passwordRefused(target)
  if (version !== 0x05) return noSocks(reply, target)
  // A greeting is version, count, methods; a request is at least seven bytes long.
  return question.length < 7 ? methodError(code, target) : socks5Error(code, target)
}

// RFC 1928 section 6.
const SOCKS5_REPLIES: Readonly<Record<number, readonly [DialErrorCode, string]>> = {
  0x01: ['DIAL_PROXY_TARGET_FAILED', 'general failure'],
  0x02: ['DIAL_PROXY_DENIED', 'not allowed by its rules'],
  0x03: ['DIAL_PROXY_TARGET_FAILED', 'network unreachable'],
  0x04: ['DIAL_PROXY_TARGET_FAILED', 'host unreachable'],
  0x05: ['DIAL_PROXY_TARGET_FAILED', 'connection refused'],
  0x06: ['DIAL_PROXY_TARGET_FAILED', 'time to live expired'],
  0x07: ['DIAL_PROXY_PROTOCOL', 'command not supported'],
  0x08: ['DIAL_PROXY_ADDRESS_TYPE', 'address type not supported'],
}

function socks5Error(reply: number, target: ProxyTarget): DialError {
  const known = Object.hasOwn(SOCKS5_REPLIES, reply) ? SOCKS5_REPLIES[reply] : undefined
  const [code, text] = known ?? (['DIAL_PROXY_TARGET_FAILED', 'unknown reason'] as const)
  // The general failure hides everything from a wrong name to a crash.
  const vague = reply === 0x01 || known === undefined
  return refused(code, `SOCKS reply ${reply}, ${text}`, target, vague ? 'slow' : undefined)
}

// The SOCKS4 protocol note, "CONNECT".
function socks4Error(reply: number, target: ProxyTarget): DialError {
  if (reply === 0x5c || reply === 0x5d) {
    return proxyError(
      'DIAL_PROXY_AUTH_FAILED',
      target.proxy,
      `refused the user (SOCKS4 reply ${reply})`,
      {
        hint: 'the proxy asks for an ident service or another user name',
      },
    )
  }
  return refused('DIAL_PROXY_TARGET_FAILED', `SOCKS4 reply ${reply}`, target, 'slow')
}

function refused(
  code: DialErrorCode,
  said: string,
  target: ProxyTarget,
  retry: 'slow' | undefined,
): DialError {
  const { proxy, host, port } = target
  return proxyError(code, proxy, `did not connect to ${host}:${port} (${said})`, {
    retry,
    hint: hintFor(code, target),
  })
}

function hintFor(code: DialErrorCode, { port, proxy }: ProxyTarget): string {
  if (code === 'DIAL_PROXY_DENIED') return portHint(port)
  if (code === 'DIAL_PROXY_ADDRESS_TYPE') {
    return 'the proxy cannot use addresses of this family; dial a name with socks5h, or the other family'
  }
  return proxy.resolvesNames
    ? 'check the name of the server and whether the proxy can reach it'
    : 'if only the proxy knows the name of the server, use socks5h (or socks4a)'
}

function methodError(method: number, target: ProxyTarget): DialError {
  if (method !== 0xff) {
    return proxyError('DIAL_PROXY_AUTH_UNSUPPORTED', target.proxy, `chose SOCKS method ${method}`, {
      hint: 'only user and password, or none, can be answered',
    })
  }
  if (target.proxy.username === undefined) {
    return proxyError(
      'DIAL_PROXY_AUTH_REQUIRED',
      target.proxy,
      'wants a user name and a password',
      {
        hint: 'put them into the proxy URL, socks5h://user:password@host:port',
      },
    )
  }
  return proxyError(
    'DIAL_PROXY_AUTH_UNSUPPORTED',
    target.proxy,
    'takes neither a password nor none',
    {
      hint: 'only user and password, or none, can be answered; not GSSAPI',
    },
  )
}

function passwordRefused(target: ProxyTarget): DialError {
  return proxyError('DIAL_PROXY_AUTH_FAILED', target.proxy, 'refused the credentials', {
    hint: 'check user and password; special characters in a proxy URL must be percent-encoded',
  })
}

function noSocks(reply: Buffer, target: ProxyTarget): DialError {
  const looks = describeBytes(reply)
  return proxyError(
    'DIAL_PROXY_PROTOCOL',
    target.proxy,
    `does not answer with SOCKS but with ${looks}`,
    {
      hint: 'is it an HTTP proxy? Then its URL begins with http://',
    },
  )
}
