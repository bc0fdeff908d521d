import { inspect } from 'node:util'

import { expect, test } from 'vitest'

import {
  type ScalarType,
  Secret,
  addressBlock,
  bindHost,
  boolean,
  dialAddress,
  duration,
  integer,
  isConfigError,
  list,
  listenAddresses,
  number,
  percent,
  oneOf,
  path,
  portOrAny,
  portRange,
  rate,
  secret,
  secretUrl,
  serviceAddress,
  size,
  sourceAddress,
  text,
  textOf,
  url,
} from '../../src/index.ts'

const context = { baseDir: '/etc/adit' }
const web = url({ schemes: ['http', 'https'] })
const proxy = secretUrl({ schemes: ['http', 'socks5'], words: ['direct'] })

test.each<[string, ScalarType<never>, string, unknown, string?]>([
  ['text', text(), '', ''],
  ['text', text({ pattern: /a|bc/, allowed: 'a or bc' }), 'bc', 'bc'],
  ['integer', integer({ min: 1, max: 3 }), '1', 1],
  ['integer', integer({ min: 1, max: 3 }), '3', 3],
  ['integer', integer(), '-5', -5],
  ['number', number({ min: 0, max: 1 }), '0.005', 0.005],
  ['percent', percent(), '0%', 0],
  ['percent', percent(), '90%', 90],
  ['percent', percent(), '100%', 100],
  ['boolean', boolean(), 'true', true],
  ['boolean', boolean(), 'false', false],
  ['oneOf', oneOf(['a', 'b']), 'b', 'b'],
  ['duration', duration({ min: '1s', max: '1m' }), '1s', 1000],
  ['duration', duration({ min: '1s', max: '1m' }), '1m', 60_000],
  ['duration', duration(), 'inf', Infinity],
  ['size', size({ min: '1KiB', max: '2KiB' }), '2KiB', 2048],
  ['rate', rate('events'), '5/s', { amount: 5, periodMs: 1000 }],
  ['path', path(), 'a/b', '/etc/adit/a/b', '/etc/adit/a/b'],
  ['path', path(), '/a', '/a'],
  ['url', web, 'https://h:1/p', 'https://h:1/p'],
  ['address', dialAddress({ defaultPort: 5 }), 'h', expect.objectContaining({ port: 5 }), 'h:5'],
  ['source', sourceAddress(), '::1', expect.objectContaining({ host: '::1' })],
  ['ports', portRange(), '1-2', { first: 1, last: 2 }],
  ['port', portOrAny(), '9901', 9901],
  ['port', portOrAny(), 'any', 0],
  ['host', bindHost(), '*', '*'],
  ['host', bindHost(), '127.0.0.1', '127.0.0.1'],
  ['host', bindHost(), '[2001:DB8::1]', '2001:db8::1', '2001:db8::1'],
  ['host', bindHost(), '::', '::'],
  ['host', bindHost(), 'LocalHost', 'localhost', 'localhost'],
  ['host', bindHost(), 'nas.lan', 'nas.lan'],
  ['block', addressBlock(), '::/0', { address: '::', prefix: 0, family: 'ipv6' }],
  [
    'service',
    serviceAddress(),
    'https://nas/',
    expect.objectContaining({ tls: true }),
    'https://nas:443',
  ],
  [
    'service',
    serviceAddress(),
    'http://nas',
    { tls: false, address: expect.objectContaining({ port: 80 }) },
    'nas:80',
  ],
  ['service', serviceAddress(), '3000', expect.objectContaining({ tls: false }), 'localhost:3000'],
] as never)('%s reads %j', (_name, type, given, value, canonical = given) => {
  const parsed = type.parse(given, context)
  expect(parsed).toEqual(value)
  expect(type.format(parsed)).toBe(canonical)
})

test.each<[string, ScalarType<never>, string, string, string?]>([
  ['text', text({ pattern: /a|bc/, allowed: 'a or bc' }), 'abc', '"abc" is not allowed here'],
  ['integer', integer({ min: 1 }), '0', '0 is below 1'],
  ['integer', integer({ max: 3 }), '4', '4 is above 3'],
  ['integer', integer(), '1.5', '"1.5" is not a whole number'],
  ['integer', integer(), '01', '"01" is not a whole number'],
  ['integer', integer(), '0x10', '"0x10" is not a whole number'],
  ['number', number(), '1e3', '"1e3" is not a number'],
  ['percent', percent(), '90', '"90" is not a percentage'],
  ['percent', percent(), '101%', '"101%" is not a percentage'],
  ['percent', percent(), '09%', '"09%" is not a percentage'],
  ['percent', percent(), '-1%', '"-1%" is not a percentage'],
  ['boolean', boolean(), 'yes', '"yes" is not true or false', 'write true'],
  ['boolean', boolean(), '0', '"0" is not true or false', 'write false'],
  ['boolean', boolean(), 'maybe', '"maybe" is not true or false'],
  ['oneOf', oneOf(['a', 'b']), 'c', '"c" is not one of the choices'],
  ['duration', duration({ min: '1s' }), '999ms', '999ms is below 1s'],
  ['duration', duration({ max: '1m' }), '60001ms', '60001ms is above 1m'],
  ['size', size({ min: '1KiB' }), '1023B', '1023B is below 1KiB'],
  ['size', size({ max: '2KiB' }), '2049B', '2049B is above 2KiB'],
  ['path', path(), '', '"" is not a path'],
  ['path', path(), 'a\0b', String.raw`"a\u0000b" is not a path`],
  ['url', web, 'h:80', '"h:80" is not a URL', 'write http://h:80'],
  ['url', web, 'ftp://h', '"ftp://h" has a scheme that is not allowed'],
  ['url', web, 'https://u:hunter2@h', 'the URL holds a user name or password'],
  ['url', web, 'ftp://u:hunter2@h', '"ftp://***@h" has a scheme that is not allowed'],
  ['port', portOrAny(), '0', '"0" is not a port from 1 to 65535', 'write any'],
  ['port', portOrAny(), '65536', '"65536" is not a port from 1 to 65535', 'write 9901, or any'],
  ['port', portOrAny(), 'Any', '"Any" is not a port from 1 to 65535'],
  ['port', portOrAny(), '9900-9901', '"9900-9901" is not a port from 1 to 65535'],
  ['host', bindHost(), '', 'address "": it is empty', 'write * for every address'],
  ['host', bindHost(), 'h:80', 'address "h:80": a port is not expected here', 'write h'],
  ['host', bindHost(), ':80', 'address ":80": a port is not expected here', 'write *'],
  [
    'host',
    bindHost(),
    '[::1]:80',
    'address "[::1]:80": a port is not expected here',
    'write [::1]',
  ],
  [
    'host',
    bindHost(),
    '80',
    'address "80": "80" is neither a name nor an IPv4 address in its usual form',
  ],
  ['host', bindHost(), 'a b', 'address "a b": it contains a space or a control character'],
  [
    'service',
    serviceAddress(),
    'http://h/p',
    'address "h/p": a path is not allowed',
    'write http://h',
  ],
] as never)('%s refuses %j', (_name, type, given, message, hint) => {
  const error = thrown(() => type.parse(given, context))
  expect(isConfigError(error)).toBe(true)
  expect(error).toMatchObject(hint === undefined ? { message } : { message, hint })
})

test('a URL of a proxy keeps its password to itself', () => {
  const value = proxy.parse('http://user:hunter2@proxy:3128', context)
  expect(value.reveal()).toBe('http://user:hunter2@proxy:3128')
  expect(proxy.format(value)).toBe('http://user:***@proxy:3128')
  expect(proxy.format(proxy.parse('direct', context))).toBe('direct')
  expect(proxy.format(proxy.parse('socks5://p:1080', context))).toBe('socks5://p:1080')
})

test('no print of a secret shows it', () => {
  const value = secret().parse('hunter2', context)
  const prints = [
    inspect(value, { showHidden: true, depth: 9 }),
    String(value),
    JSON.stringify({ value }),
  ]
  expect(prints.join()).not.toContain('hunter2')
  expect(prints[1]).toBe('[secret]')
  expect(new Secret('hunter2', { display: 'x' }).toJSON()).toBe('x')
  expect(value.file).toBeUndefined()
  expect(secret().parse('hunter2', { ...context, file: '/a/token' }).file).toBe('/a/token')
})

test('lists know their limits and refuse secrets', () => {
  expect(list(text()).maxItems).toBe(256)
  expect(list(text(), { maxItems: 2 }).maxItems).toBe(2)
  expect(listenAddresses().item.name).toBe('address')
  expect(() => list(secret())).toThrow(TypeError)
  expect(() => text({ pattern: /a/ })).toThrow(TypeError)
})

function thrown(run: () => unknown): unknown {
  try {
    return run()
  } catch (error) {
    return error
  }
}

test('a text of another type accepts what it accepts, says what it allows, and stays as written', () => {
  const context = { baseDir: '/' }
  const kept = textOf(duration({ max: '1m' }))
  expect(kept.parse('1m0s', context)).toBe('1m0s')
  expect(() => kept.parse('2m', context)).toThrow('above 1m')
  expect(kept).toMatchObject({ name: 'duration', allowed: duration({ max: '1m' }).allowed })
  expect(kept).not.toHaveProperty('unitSuffix')
  expect(textOf(list(oneOf(['a', 'b']))).choices).toEqual(['a', 'b'])
  expect(() => textOf(secret())).toThrow(TypeError)
})
