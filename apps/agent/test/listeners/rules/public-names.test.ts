import { describe, expect, test } from 'vitest'

import {
  cookieForVisitor,
  locationForVisitor,
  originForService,
  refreshForVisitor,
  type ServiceNames,
  targetForService,
} from '../../../src/listeners/rules/public-names.ts'

const LOCAL: ServiceNames = {
  scheme: 'http',
  host: 'localhost:3000',
  authorities: new Set(['localhost:3000', '127.0.0.1:3000', '[::1]:3000']),
  stripPrefix: '',
  addPrefix: '',
}
const NAMED: ServiceNames = {
  scheme: 'https',
  host: 'app.example.com',
  authorities: new Set(['app.example.com', '10.0.0.5']),
  stripPrefix: '',
  addPrefix: '',
}
const BELOW: ServiceNames = { ...LOCAL, stripPrefix: '/app', addPrefix: '/v1' }
const ADDED: ServiceNames = { ...LOCAL, addPrefix: '/v1' }
const KEPT: ServiceNames = {
  ...LOCAL,
  host: undefined,
  authorities: new Set(),
  stripPrefix: '/app',
}
const VISITOR = { scheme: 'https', host: 'web.tunnel.example:8443' } as const

describe('the path for the service', () => {
  test.each([
    ['/app/x?y', '/v1/x?y'],
    ['/app', '/v1/'],
    ['/app?y', '/v1/?y'],
    ['/app/', '/v1/'],
    ['/apples', '/v1/apples'],
    ['/other', '/v1/other'],
    ['*', '*'],
  ])('of %s is %s', (target, wanted) => {
    expect(targetForService(target, BELOW)).toBe(wanted)
  })
})

describe('Origin and Referer for the service', () => {
  test.each([
    [LOCAL, 'https://web.tunnel.example:8443', 'http://localhost:3000'],
    [LOCAL, 'https://WEB.tunnel.example:8443/a?b', 'http://localhost:3000/a?b'],
    [LOCAL, 'https://other.example', 'https://other.example'],
    [LOCAL, 'https://web.tunnel.example', 'https://web.tunnel.example'],
    [LOCAL, 'null', 'null'],
    [NAMED, 'https://web.tunnel.example:8443', 'https://app.example.com'],
    [BELOW, 'https://web.tunnel.example:8443/app/a', 'http://localhost:3000/v1/a'],
    [KEPT, 'https://web.tunnel.example:8443/app/a', 'https://web.tunnel.example:8443/app/a'],
  ])('%#: %s', (names, value, wanted) => {
    expect(originForService(value, names, VISITOR)).toBe(wanted)
  })
})

describe('Location for the visitor', () => {
  test.each([
    [
      LOCAL,
      'http://localhost:3000/login?a=http://localhost:3000',
      'https://web.tunnel.example:8443/login?a=http://localhost:3000',
    ],
    [LOCAL, 'http://127.0.0.1:3000', 'https://web.tunnel.example:8443'],
    [LOCAL, 'HTTP://LOCALHOST:3000/A', 'https://web.tunnel.example:8443/A'],
    [LOCAL, 'https://localhost:3000/', 'https://web.tunnel.example:8443/'],
    [LOCAL, '//localhost:3000/x', '//web.tunnel.example:8443/x'],
    [LOCAL, '/x', '/x'],
    [LOCAL, 'x/y', 'x/y'],
    [LOCAL, 'http://localhost:3001/', 'http://localhost:3001/'],
    [LOCAL, 'http://localhost:3000.evil.example/', 'http://localhost:3000.evil.example/'],
    [LOCAL, 'http://localhost:3000@evil.example/', 'http://localhost:3000@evil.example/'],
    [LOCAL, 'mailto:a@localhost', 'mailto:a@localhost'],
    [NAMED, 'https://app.example.com:443/x', 'https://web.tunnel.example:8443/x'],
    [NAMED, 'https://10.0.0.5/x', 'https://web.tunnel.example:8443/x'],
    [NAMED, 'https://login.example.com/', 'https://login.example.com/'],
    [BELOW, '/v1/login', '/app/login'],
    [BELOW, '/v1', '/app/'],
    [BELOW, '/other', '/other'],
    [BELOW, 'http://localhost:3000/v1/a', 'https://web.tunnel.example:8443/app/a'],
    [ADDED, '/v1/login', '/login'],
    [ADDED, '/v1//evil.example/x', '/.//evil.example/x'],
    [ADDED, '/v1/\\evil.example/x', '/./\\evil.example/x'],
    [ADDED, '/v1/\t/evil.example/x', '/./\t/evil.example/x'],
    [ADDED, 'http://localhost:3000/v1//x', 'https://web.tunnel.example:8443//x'],
    [KEPT, '/login', '/app/login'],
    [KEPT, 'https://web.tunnel.example:8443/login', 'https://web.tunnel.example:8443/app/login'],
    [KEPT, 'http://localhost:3000/login', 'http://localhost:3000/login'],
  ])('%#: %s', (names, value, wanted) => {
    expect(locationForVisitor(value, names, VISITOR)).toBe(wanted)
  })
})

describe('Refresh for the visitor', () => {
  test.each([
    ['5; url=http://localhost:3000/x', '5; url=https://web.tunnel.example:8443/x'],
    ['0;URL="http://localhost:3000/x"', '0;URL="https://web.tunnel.example:8443/x"'],
    ['0, http://localhost:3000/x', '0, https://web.tunnel.example:8443/x'],
    ['5', '5'],
    ['5; url=/x', '5; url=/x'],
    ['nonsense', 'nonsense'],
  ])('%s', (value, wanted) => {
    expect(refreshForVisitor(value, LOCAL, VISITOR)).toBe(wanted)
  })
})

describe('Set-Cookie for the visitor', () => {
  test.each([
    [LOCAL, 'a=b', 'a=b'],
    [LOCAL, 'a=b; Path=/; HttpOnly', 'a=b; Path=/; HttpOnly'],
    [
      LOCAL,
      'a=localhost; Domain=localhost; Secure',
      'a=localhost; Domain=web.tunnel.example; Secure',
    ],
    [NAMED, 'a=b;domain=.Example.com', 'a=b;domain=web.tunnel.example'],
    [NAMED, 'a=b; Domain=app.example.com', 'a=b; Domain=web.tunnel.example'],
    [NAMED, 'a=b; Domain=other.example', 'a=b; Domain=other.example'],
    [NAMED, 'a=b; Domain=com', 'a=b; Domain=com'],
    [BELOW, 'a=b; Path=/v1/admin', 'a=b; Path=/app/admin'],
    [BELOW, 'a=b; Path=/', 'a=b; Path=/'],
    [KEPT, 'a=b; Path=/', 'a=b; Path=/app/'],
    [KEPT, 'a=b; Domain=localhost', 'a=b; Domain=localhost'],
    [ADDED, 'a=b; Path=/v1//x', 'a=b; Path=//x'],
    [LOCAL, 'a=b;=; = ;Domain', 'a=b;=; = ;Domain'],
    [LOCAL, 'a=b; Domain = localhost ;x', 'a=b; Domain =web.tunnel.example;x'],
  ])('%#: %s', (names, value, wanted) => {
    expect(cookieForVisitor(value, names, VISITOR)).toBe(wanted)
  })
})

test('runs of blanks in a cookie cost no more than other characters', () => {
  const blanks = ' '.repeat(200_000)
  for (const value of [`a=b;${blanks}x`, `a=b; Path=/a${blanks}b`]) {
    expect(cookieForVisitor(value, LOCAL, VISITOR)).toBe(value)
  }
})
