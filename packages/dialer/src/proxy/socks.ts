// The client side of SOCKS 4 and 4a (the protocol notes of NEC) and 5 (RFC 1928), with user name
// and password (RFC 1929), over a connection that is already open. Only CONNECT.

import { type Socket, isIPv4, isIPv6 } from 'node:net'

import { formatHostPort, ipv6Groups } from '@proj/config/address'

import { ByteReader, describeBytes, type Parsed } from './byte-reader.ts'
import { DialError, type DialErrorCode } from '../errors.ts'
import { portHint, proxyError, type ProxyTarget } from './errors.ts'
import { withoutZone } from '../endpoint.ts'
import { ignoreError } from '../socket-event.ts'

// The longest answer has 262 bytes: RFC 1928 section 6, with a name.
const MAX_ANSWER_BYTES = 512

const NO_AUTHENTICATION = 0x00
const USER_AND_PASSWORD = 0x02
const NO_ACCEPTABLE_METHOD = 0xff

/**
 * Asks a SOCKS proxy for a connection.
 * @param target - its host is an address, unless the proxy looks up names
 * @throws {DialError} DIAL_PROXY_*; the socket is destroyed
 */
export async function socksConnect(
  socket: Socket,
  target: ProxyTarget,
  signal: AbortSignal,
): Promise<Socket> {
  const reader = new ByteReader(socket, MAX_ANSWER_BYTES)
  const ask: Ask = (message, parse) => {
    socket.write(message)
    return reader.read(parse, signal)
  }
  // The next read notices a connection that breaks between two reads.
  socket.on('error', ignoreError)
  try {
    if (target.proxy.protocol.startsWith('socks4')) await connectWith4(ask, target)
    else await connectWith5(ask, target)
    socket.off('error', ignoreError)
    return socket
  } catch (error) {
    socket.destroy()
    if (signal.aborted) throw signal.reason
    if (error instanceof DialError) throw error
    throw closedDuring(reader.received, target, error)
  }
}

/** Sends a message and reads the answer to it. */
type Ask = <T>(message: Buffer, parse: (bytes: Buffer) => Parsed<T> | undefined) => Promise<T>

async function connectWith4(ask: Ask, target: ProxyTarget): Promise<void> {
  const host = withoutZone(target.host)
  const named = !isIPv4(host)
  // version, CONNECT, port, address, user name, zero; with 4a the address 0.0.0.1 and the name, zero
  const request = Buffer.concat([
    Buffer.from([0x04, 0x01]),
    twoBytes(target.port),
    ipv4Bytes(named ? '0.0.0.1' : host),
    zeroEnded(target.proxy.username ?? ''),
    ...(named ? [zeroEnded(host)] : []),
  ])
  await ask(request, (bytes) => {
    const [version, code] = bytes
    // The reply has version 0; some proxies repeat the 4 of the request.
    if (version !== undefined && version !== 0x00 && version !== 0x04) throw notSocks(bytes, target)
    if (code !== undefined && code !== 0x5a) throw socks4Error(code, target)
    return bytes.length < 8 ? undefined : { value: true, used: 8 }
  })
}

async function connectWith5(ask: Ask, target: ProxyTarget): Promise<void> {
  const { username, password = '' } = target.proxy
  const methods =
    username === undefined ? [NO_AUTHENTICATION] : [NO_AUTHENTICATION, USER_AND_PASSWORD]
  const method = await ask(Buffer.from([0x05, methods.length, ...methods]), (bytes) => {
    checkVersion5(bytes, target)
    const [, chosen] = bytes
    if (chosen === undefined) return undefined
    if (!methods.includes(chosen)) throw methodError(chosen, target)
    return { value: chosen, used: 2 }
  })
  if (method === USER_AND_PASSWORD) {
    // The password message has a version of its own, 1.
    const login = Buffer.concat([Buffer.from([0x01]), counted(username ?? ''), counted(password)])
    await ask(login, ([, status]) => {
      if (status === undefined) return undefined
      if (status !== 0x00) throw passwordRejected(target)
      return { value: true, used: 2 }
    })
  }
  // version, CONNECT, reserved, address with its type, port
  const request = Buffer.concat([
    Buffer.from([0x05, 0x01, 0x00]),
    typedAddress(withoutZone(target.host)),
    twoBytes(target.port),
  ])
  await ask(request, (bytes) => {
    checkVersion5(bytes, target)
    const [, code, , type, nameLength] = bytes
    if (code !== undefined && code !== 0x00) throw socks5Error(code, target)
    if (type === undefined || nameLength === undefined) return undefined
    const length = answeredAddressLength(type, nameLength)
    if (length === undefined) throw notSocks(bytes, target)
    const used = 4 + length + 2
    return bytes.length < used ? undefined : { value: true, used }
  })
}

function checkVersion5(bytes: Buffer, target: ProxyTarget): void {
  if (bytes.length > 0 && bytes[0] !== 0x05) throw notSocks(bytes, target)
}

/** Bytes of the bound address in a reply, whose value is of no use here. */
function answeredAddressLength(type: number, nameLength: number): number | undefined {
  if (type === 0x01) return 4
  if (type === 0x03) return 1 + nameLength
  return type === 0x04 ? 16 : undefined
}

function typedAddress(host: string): Buffer {
  if (isIPv4(host)) return Buffer.concat([Buffer.from([0x01]), ipv4Bytes(host)])
  if (!isIPv6(host)) return Buffer.concat([Buffer.from([0x03]), counted(host)])
  return Buffer.concat([Buffer.from([0x04]), ...ipv6Groups(host).map(twoBytes)])
}

function ipv4Bytes(address: string): Buffer {
  return Buffer.from(address.split('.').map(Number))
}

function twoBytes(value: number): Buffer {
  return Buffer.from([value >> 8, value & 0xff])
}

/** One byte of length and the text: at most 255 bytes, as checked for hosts and credentials. */
function counted(text: string): Buffer {
  return Buffer.concat([Buffer.from([Buffer.byteLength(text)]), Buffer.from(text)])
}

function zeroEnded(text: string): Buffer {
  return Buffer.from(`${text}\0`)
}

function closedDuring(answer: Buffer, target: ProxyTarget, error: unknown): DialError {
  const said =
    answer.length === 0
      ? 'closed the connection'
      : `sent ${describeBytes(answer)} and closed the connection`
  return proxyError('DIAL_PROXY_PROTOCOL', target.proxy, `${said} during the SOCKS handshake`, {
    hint: 'check that this port belongs to a SOCKS proxy, and the version of SOCKS',
    cause: error,
  })
}

// RFC 1928 section 6.
const SOCKS5_REPLIES: Readonly<Record<number, readonly [DialErrorCode, string]>> = {
  0x01: ['DIAL_PROXY_TARGET_FAILED', 'general failure'],
  0x02: ['DIAL_PROXY_DENIED', 'denied by its rules'],
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
  // A general failure can be anything from a wrong name to a crash.
  const vague = reply === 0x01 || known === undefined
  return failed(code, `SOCKS reply ${reply}, ${text}`, target, vague ? 'slow' : undefined)
}

// The SOCKS4 protocol note, "CONNECT".
function socks4Error(reply: number, target: ProxyTarget): DialError {
  if (reply === 0x5c || reply === 0x5d) {
    return proxyError(
      'DIAL_PROXY_AUTH_FAILED',
      target.proxy,
      `rejected the user (SOCKS4 reply ${reply})`,
      {
        hint: 'the proxy requires another user name, or an ident service on this host',
      },
    )
  }
  return failed('DIAL_PROXY_TARGET_FAILED', `SOCKS4 reply ${reply}`, target, 'slow')
}

function failed(
  code: DialErrorCode,
  said: string,
  target: ProxyTarget,
  retry: 'slow' | undefined,
): DialError {
  const { proxy, host, port } = target
  return proxyError(code, proxy, `did not connect to ${formatHostPort(host, port)} (${said})`, {
    retry,
    hint: hintFor(code, target),
  })
}

function hintFor(code: DialErrorCode, { port, proxy }: ProxyTarget): string {
  if (code === 'DIAL_PROXY_DENIED') return portHint(port)
  if (code === 'DIAL_PROXY_ADDRESS_TYPE') {
    return 'the proxy does not support this address family: use a name with socks5h, or an address of the other family'
  }
  return proxy.resolvesNames
    ? 'check the name of the server, and that the proxy can reach it'
    : 'if only the proxy can look up the name of the server, use socks5h or socks4a'
}

function methodError(method: number, target: ProxyTarget): DialError {
  const wantsPassword = method === USER_AND_PASSWORD || method === NO_ACCEPTABLE_METHOD
  if (!wantsPassword) {
    return proxyError(
      'DIAL_PROXY_AUTH_UNSUPPORTED',
      target.proxy,
      `requires SOCKS authentication method ${method}`,
      {
        hint: 'only user name and password, or no authentication, are supported',
      },
    )
  }
  if (target.proxy.username === undefined) {
    return proxyError(
      'DIAL_PROXY_AUTH_REQUIRED',
      target.proxy,
      'requires a user name and a password',
      {
        hint: 'add them to the proxy URL: socks5h://user:password@host:port',
      },
    )
  }
  return proxyError(
    'DIAL_PROXY_AUTH_UNSUPPORTED',
    target.proxy,
    'accepts neither a password nor a connection without one',
    {
      hint: 'only user name and password, or no authentication, are supported; GSSAPI is not',
    },
  )
}

function passwordRejected(target: ProxyTarget): DialError {
  return proxyError('DIAL_PROXY_AUTH_FAILED', target.proxy, 'rejected the credentials', {
    hint: 'check user name and password; special characters in a proxy URL must be percent-encoded',
  })
}

function notSocks(reply: Buffer, target: ProxyTarget): DialError {
  const looks = describeBytes(reply)
  return proxyError(
    'DIAL_PROXY_PROTOCOL',
    target.proxy,
    `did not respond with SOCKS but with ${looks}`,
    {
      hint: 'if this is an HTTP proxy, its URL starts with http://',
    },
  )
}
