import { inspect } from 'node:util'

import { expect, test } from 'vitest'

import {
  formatDialAddress,
  formatListenAddress,
  formatSourceAddress,
  formatUrl,
  isConfigError,
  parseDialAddress,
  parseListenAddress,
  parseListenAddresses,
  parseSourceAddress,
} from '../../src/address.ts'

const tcp = { kind: 'tcp' }

test.each([
  ['8080', { ...tcp, host: '*', hostKind: 'any', family: 'both', port: 8080 }, ':8080'],
  [':8080', { ...tcp, host: '*', hostKind: 'any', family: 'both', port: 8080 }, ':8080'],
  ['*:8080', { ...tcp, host: '*', hostKind: 'any', family: 'both', port: 8080 }, ':8080'],
  ['tcp://:8080', { ...tcp, host: '*', hostKind: 'any', family: 'both', port: 8080 }, ':8080'],
  ['0', { ...tcp, host: '*', hostKind: 'any', family: 'both', port: 0 }, ':0'],
  ['0.0.0.0:8080', { ...tcp, host: '0.0.0.0', hostKind: 'ipv4', family: 'ipv4', port: 8080 }],
  ['[::]:8080', { ...tcp, host: '::', hostKind: 'ipv6', family: 'both', port: 8080 }],
  ['tcp6://[::]:80', { ...tcp, host: '::', hostKind: 'ipv6', family: 'ipv6', port: 80 }],
  [
    '[::]:80?v6only=1',
    { ...tcp, host: '::', hostKind: 'ipv6', family: 'ipv6', port: 80 },
    'tcp6://[::]:80',
  ],
  [
    '[::]:80?v6only=0',
    { ...tcp, host: '::', hostKind: 'ipv6', family: 'both', port: 80 },
    '[::]:80',
  ],
  [
    'tcp6://:80',
    { ...tcp, host: '::', hostKind: 'ipv6', family: 'ipv6', port: 80 },
    'tcp6://[::]:80',
  ],
  [
    'tcp4://*:80',
    { ...tcp, host: '0.0.0.0', hostKind: 'ipv4', family: 'ipv4', port: 80 },
    '0.0.0.0:80',
  ],
  ['[::1]:65535', { ...tcp, host: '::1', hostKind: 'ipv6', family: 'ipv6', port: 65535 }],
  ['127.0.0.1:0', { ...tcp, host: '127.0.0.1', hostKind: 'ipv4', family: 'ipv4', port: 0 }],
  ['localhost:80', { ...tcp, host: 'localhost', hostKind: 'localhost', family: 'both', port: 80 }],
  [
    'LocalHost:80',
    { ...tcp, host: 'localhost', hostKind: 'localhost', family: 'both', port: 80 },
    'localhost:80',
  ],
  [
    'tcp6://localhost:80',
    { ...tcp, host: '::1', hostKind: 'ipv6', family: 'ipv6', port: 80 },
    '[::1]:80',
  ],
  [
    '[fe80::1%eth0]:80',
    { ...tcp, host: 'fe80::1%eth0', hostKind: 'ipv6', family: 'ipv6', port: 80 },
  ],
  [
    '[FE80:0::1%25eth0]:80',
    { ...tcp, host: 'fe80::1%eth0', hostKind: 'ipv6', family: 'ipv6', port: 80 },
    '[fe80::1%eth0]:80',
  ],
  [
    'Printer-7.example.com:80',
    { ...tcp, host: 'printer-7.example.com', hostKind: 'name', family: 'both', port: 80 },
    'printer-7.example.com:80',
  ],
  ['tcp4://db:5432', { ...tcp, host: 'db', hostKind: 'name', family: 'ipv4', port: 5432 }],
  ['unix:/run/a b.sock', { kind: 'unix', path: '/run/a b.sock' }],
  ['fd:3', { kind: 'fd', fd: 3 }],
])('reads %s as a listen address', (text, address, canonical = text) => {
  expect(parseListenAddress(text)).toEqual(address)
  expect(formatListenAddress(parseListenAddress(text))).toBe(canonical)
  expect(parseListenAddress(canonical)).toEqual(address)
})

test.each([
  ['', 'address "": it is empty', 'write host:port, such as localhost:8080'],
  [
    '2001:db8::1:8080',
    'address "2001:db8::1:8080": an IPv6 address is written in brackets',
    'write [2001:db8::1]:8080 or [2001:db8::1:8080]:8080',
  ],
  ['::1', 'address "::1": an IPv6 address is written in brackets', 'write [::1]:8080'],
  ['a:1:2', 'address "a:1:2": it has more than one colon', 'write host:port'],
  ['localhost', 'address "localhost": the port is missing', 'write localhost:8080'],
  ['*', 'address "*": the port is missing', 'write *:8080'],
  ['[::1]', 'address "[::1]": the port is missing', 'write [::1]:8080'],
  [':65536', 'address ":65536": "65536" is not a port', 'a port is a whole number from 0 to 65535'],
  [':080', 'address ":080": "080" is not a port', 'a port is a whole number from 0 to 65535'],
  [':+80', 'address ":+80": "+80" is not a port', 'a port is a whole number from 0 to 65535'],
  [':0x50', 'address ":0x50": "0x50" is not a port', 'a port is a whole number from 0 to 65535'],
  [':8e3', 'address ":8e3": "8e3" is not a port', 'a port is a whole number from 0 to 65535'],
  [':', 'address ":": "" is not a port', 'a port is a whole number from 0 to 65535'],
  [' :80', 'address " :80": it contains a space or a control character', undefined],
  [
    '127.1:80',
    'address "127.1:80": "127.1" is neither a name nor an IPv4 address in its usual form',
    'write all four numbers without leading zeros, such as 127.0.0.1',
  ],
  [
    '0:80',
    'address "0:80": "0" is neither a name nor an IPv4 address in its usual form',
    'write all four numbers without leading zeros, such as 127.0.0.1',
  ],
  [
    '010.0.0.1:80',
    'address "010.0.0.1:80": "010.0.0.1" is neither a name nor an IPv4 address in its usual form',
    'write all four numbers without leading zeros, such as 127.0.0.1',
  ],
  [
    '[127.0.0.1]:80',
    'address "[127.0.0.1]:80": an IPv4 address takes no brackets',
    'write 127.0.0.1:80',
  ],
  ['[]:80', 'address "[]:80": the brackets are empty', 'write [::]:80'],
  ['[name]:80', 'address "[name]:80": "name" in brackets is not an IPv6 address', undefined],
  ['[::1:80', 'address "[::1:80": the brackets do not match', 'write [::1]:8080'],
  [
    '[::1%lo]:80',
    'address "[::1%lo]:80": only a link-local address has an interface',
    'write [::1]:80',
  ],
  [
    '[fe80::1]:80',
    'address "[fe80::1]:80": a link-local address needs its interface',
    'write [fe80::1%eth0]:80 with yours for eth0',
  ],
  ['[fe80::1%]:80', 'address "[fe80::1%]:80": "" is not an interface name', undefined],
  [
    '[::ffff:10.0.0.1]:80',
    'address "[::ffff:10.0.0.1]:80": it is an IPv4 address mapped into IPv6',
    'write 10.0.0.1:80',
  ],
  ['u@h:80', 'address "u@h:80": a user name is not allowed', 'write only host:port'],
  ['h:80/x', 'address "h:80/x": a path is not allowed', 'write h:80'],
  ['http://u@h:80/x', 'address "http://u@h:80/x": a URL is not expected here', 'write h:80'],
  ['-h:80', 'address "-h:80": "-h" is not a host name', undefined],
  ['a..b:80', 'address "a..b:80": "a..b" is not a host name', undefined],
  [
    'tcp4://[::1]:80',
    'address "tcp4://[::1]:80": it forces ipv4 and names an ipv6 address',
    'drop the scheme',
  ],
  [':80?v6only=1', 'address ":80?v6only=1": v6only applies to [::] alone', 'write :80'],
  ['unix:', 'address "unix:": the path is missing', 'write unix:/run/adit.sock'],
  [
    `unix:/${'a'.repeat(107)}`,
    expect.stringContaining('the path has 108 bytes, a socket path has at most 107'),
    undefined,
  ],
  ['fd:2', 'address "fd:2": a file descriptor is a number from 3 to 99999', 'write fd:3'],
  [
    'systemd:web',
    'address "systemd:web": sockets of systemd are not taken by name',
    'write fd:3 for the first one',
  ],
])('refuses to listen on %j and shows the right form', (text, message, hint) => {
  const error = thrown(() => parseListenAddress(text))
  expect(error.code).toBe('CONFIG_ADDRESS_INVALID')
  expect(error).toMatchObject({ message, hint })
})

test('makes [::] IPv6 alone beside 0.0.0.0 of the same port', () => {
  const families = (text: string) =>
    parseListenAddresses(text).map((one) => (one.kind === 'tcp' ? one.family : one.kind))
  expect(families('0.0.0.0:80, [::]:80')).toEqual(['ipv4', 'ipv6'])
  expect(families('0.0.0.0:80,[::]:81')).toEqual(['ipv4', 'both'])
  expect(families('[::]:80,unix:/x')).toEqual(['both', 'unix'])
})

test('takes 64 addresses in one list and refuses 65', () => {
  const list = (count: number) => Array.from({ length: count }, () => ':0').join(',')
  expect(parseListenAddresses(list(64))).toHaveLength(64)
  expect(thrown(() => parseListenAddresses(list(65))).message).toContain('at most 64')
})

test.each([
  ['3000', { ...tcp, host: 'localhost', hostKind: 'localhost', family: 'both', port: 3000 }],
  [':3000', { ...tcp, host: 'localhost', hostKind: 'localhost', family: 'both', port: 3000 }],
  ['[::1]:22', { ...tcp, host: '::1', hostKind: 'ipv6', family: 'ipv6', port: 22 }],
  ['tcp6://nas:22', { ...tcp, host: 'nas', hostKind: 'name', family: 'ipv6', port: 22 }],
  [
    'tcp4://localhost:22',
    { ...tcp, host: 'localhost', hostKind: 'localhost', family: 'ipv4', port: 22 },
  ],
  ['unix:./a.sock', { kind: 'unix', path: './a.sock' }],
])('reads %s as a dial address', (text, address) => {
  expect(parseDialAddress(text)).toEqual(address)
  expect(parseDialAddress(formatDialAddress(parseDialAddress(text)))).toEqual(address)
})

test('takes the default port where a dial address has none', () => {
  expect(parseDialAddress('nas', { defaultPort: 443 })).toMatchObject({ host: 'nas', port: 443 })
  expect(parseDialAddress('[::1]:80', { defaultPort: 443 })).toMatchObject({ port: 80 })
})

test.each([
  ['nas', 'the port is missing', 'write nas:8080'],
  ['nas:0', 'port 0 cannot be connected to', undefined],
  ['*:80', 'a wildcard cannot be connected to', 'write localhost:80'],
  ['0.0.0.0:80', 'a wildcard cannot be connected to', 'write localhost:80'],
  ['[::]:80', 'a wildcard cannot be connected to', 'write [::1]:80'],
  ['tcp6://1.2.3.4:80', 'it forces ipv6 and names an ipv4 address', 'drop the scheme'],
])('refuses to connect to %s', (text, reason, hint) => {
  const error = thrown(() => parseDialAddress(text))
  expect(error).toMatchObject({ message: `address "${text}": ${reason}`, hint })
})

test.each([
  ['192.168.1.100', { host: '192.168.1.100', family: 'ipv4', port: 0 }],
  ['192.168.1.100:4000', { host: '192.168.1.100', family: 'ipv4', port: 4000 }],
  ['2001:db8::1:8080', { host: '2001:db8::1:8080', family: 'ipv6', port: 0 }],
  ['[2001:db8::1]:8080', { host: '2001:db8::1', family: 'ipv6', port: 8080 }],
  ['[2001:db8::1]', { host: '2001:db8::1', family: 'ipv6', port: 0 }],
  ['fe80::1%eth0', { host: 'fe80::1%eth0', family: 'ipv6', port: 0 }],
  ['[fe80::1%eth0:1]:7', { host: 'fe80::1%eth0:1', family: 'ipv6', port: 7 }],
  ['0.0.0.0', { host: '0.0.0.0', family: 'ipv4', port: 0 }],
])('reads %s as a source address', (text, address) => {
  expect(parseSourceAddress(text)).toEqual(address)
  expect(parseSourceAddress(formatSourceAddress(parseSourceAddress(text)))).toEqual(address)
})

test.each([
  'eth0',
  'localhost',
  '',
  '4000',
  '::ffff:1.2.3.4',
  'fe80::1',
  'unix:/x',
  'tcp4://1.2.3.4',
])('refuses the source address %j', (text) => {
  expect(thrown(() => parseSourceAddress(text)).code).toBe('CONFIG_ADDRESS_INVALID')
})

test.each([
  ['http', '*', 80, 'http://localhost'],
  ['http', '::', 7443, 'http://localhost:7443'],
  ['https', '192.0.2.1', 443, 'https://192.0.2.1'],
  ['http', 'fe80::1%eth0', 80, 'http://[fe80::1%25eth0]'],
  ['tcp', '2001:db8::1', 80, 'tcp://[2001:db8::1]:80'],
])('writes a URL for %s %s %d', (scheme, host, port, url) => {
  expect(formatUrl(scheme, host, port)).toBe(url)
})

test('tells its errors from others', () => {
  const error = thrown(() => parseListenAddress('x'))
  expect(isConfigError(error, 'CONFIG_ADDRESS_INVALID')).toBe(true)
  expect(isConfigError(error, 'CONFIG_SIZE_INVALID')).toBe(false)
  expect(isConfigError(new Error('x'))).toBe(false)
  expect(isConfigError(Object.assign(new Error('x'), { name: 'ConfigError', code: 'X' }))).toBe(
    false,
  )
  expect(isConfigError({ name: 'ConfigError', code: 'CONFIG_SIZE_INVALID' })).toBe(false)
})

test('escapes control characters of the offending text and cuts it', () => {
  const error = thrown(() => parseListenAddress(`\u001B[31m\u009B\u202E${'x'.repeat(200)}`))
  expect(error.message).toContain(String.raw`"\u001b[31m\u009b\u202ex`)
  expect(error.message.length).toBeLessThan(200)
  expect(inspect(error)).not.toContain('x'.repeat(100))
})

function thrown(run: () => unknown): { code: string; message: string; hint?: string } {
  try {
    run()
  } catch (error) {
    if (isConfigError(error)) return error as { code: string; message: string; hint?: string }
    throw error
  }
  throw new Error('nothing was thrown')
}
