import {
  completionScript,
  formatHelp,
  type ParsedCommand,
  parseCommandLine,
} from '@proj/program-kit'
import { describe, expect, test } from 'vitest'

import { argumentsOf } from '../../src/commands/arguments.ts'
import { commands, type OwnCommands } from '../../src/commands/commands.ts'

/** What the arguments of a command line stand for. */
function asSettings(...argv: readonly string[]): unknown {
  const line = parseCommandLine(commands, { argv, env: {}, cwd: '/' })
  if (line.kind !== 'command') throw new Error(`not a command: ${JSON.stringify(line)}`)
  return argumentsOf(line.command as ParsedCommand<OwnCommands>)
}

test.for(['http', 'tcp'])('%s offers one listener and brings nothing', (protocol) => {
  expect(asSettings(protocol, 'web', '3000')).toEqual({
    listeners: [{ endpoint: 'web', addr: '3000', protocol, visitors: {} }],
    accesses: [],
  })
})

test.for(['http', 'tcp'])('--weight of %s is a setting of its listener', (protocol) => {
  expect(asSettings(protocol, 'web', '3000', '--weight', '5')).toMatchObject({
    listeners: [{ endpoint: 'web', weight: '5' }],
  })
  expect(() => asSettings(protocol, 'web', '3000', '--weight', '0')).toThrow('not a command')
})

test('add has the listener of http or tcp, with the flags of both', () => {
  const [tls, host] = ['--insecure-service', '--host-header=service']
  expect(asSettings('add', 'web', 'https://localhost', tls, host, '--pid', '1')).toEqual(
    asSettings('http', 'web', 'https://localhost', tls, host),
  )
  const port = ['--public-port', 'any', '--weight', '5']
  expect(asSettings('add', 'pg', '5432', '--protocol', 'tcp', ...port)).toEqual(
    asSettings('tcp', 'pg', '5432', ...port),
  )
})

test('--reuse is a setting of an HTTP service alone', () => {
  expect(asSettings('http', 'web', '3000', '--reuse', 'never')).toMatchObject({
    listeners: [{ endpoint: 'web', reuse: 'never' }],
  })
  expect(() => asSettings('tcp', 'pg', '5432', '--reuse', 'never')).toThrow('not a command')
})

test('--strictness is a setting of an HTTP service alone', () => {
  expect(asSettings('http', 'web', '3000', '--strictness', 'strict')).toMatchObject({
    listeners: [{ endpoint: 'web', strictness: 'strict' }],
  })
  expect(() => asSettings('tcp', 'pg', '5432', '--strictness', 'strict')).toThrow('not a command')
})

test.for([
  [['tcp', 'pg', '5432', '--proxy-protocol', 'v3'], 'none, v1, v2'],
  [['http', 'web', '3000', '--reuse', 'often'], 'never, safe, always'],
  [['http', 'web', '3000', '--strictness', 'some'], 'lenient, strict'],
  [['tcp', 'pg', '5432', '--public-port', '0'], 'a port such as 9901, or any'],
  [['http', 'web', 'localhost'], 'an address such as 3000, host:3000'],
  [['access', 'pg', '--socket-mode', '999'], 'permissions in octal, such as 0660'],
] as const)('%j is refused by the flag or argument, with what is allowed', ([argv, allowed]) => {
  const line = parseCommandLine(commands, { argv, env: {}, cwd: '/' })
  expect(line).toMatchObject({
    kind: 'error',
    problems: [{ severity: 'error', allowed: expect.stringContaining(allowed) }],
  })
})

test('the flags for a service with TLS, its Host and CORS are settings of its listener', () => {
  const flags = ['--service-ca', '/ca.pem', '--service-name', 'in.example', '--insecure-service']
  const rules = ['--host-header', 'service', '--cors', 'https://a.example', '--listing']
  expect(asSettings('http', 'web', 'https://localhost', ...flags, ...rules)).toMatchObject({
    listeners: [
      {
        tls: { root_cas: '/ca.pem', server_name: 'in.example', insecure_skip_verify: 'true' },
        host_header: 'service',
        cors: ['https://a.example'],
        listing: 'true',
      },
    ],
  })
})

test('help and completion offer the values of flags', () => {
  expect(formatHelp(commands, { topic: 'tcp' })).toContain('--proxy-protocol <none|v1|v2>')
  const script = completionScript(commands, 'bash')
  expect(script).toMatch(/--proxy-protocol\) COMPREPLY=\(\$\(compgen -W .*none.*v1.*v2/)
  expect(script).toMatch(/--public-port\) COMPREPLY=\(\$\(compgen -W .*any/)
})

describe('visitors', () => {
  const visitors = (...argv: readonly string[]) =>
    (asSettings(...argv) as { listeners: [{ visitors: unknown }] }).listeners[0].visitors

  test('are those of the flags', () => {
    const addresses = ['--visitor-allow', '10.0.0.0/8,::1', '--visitor-deny', '10.0.0.1']
    addresses.push('--visitor-enforce', 'agent')
    expect(visitors('tcp', 'pg', '5432', ...addresses)).toEqual({
      allow: ['10.0.0.0/8', '::1'],
      deny: ['10.0.0.1'],
      enforce: 'agent',
    })
    const user = ['--visitor-user', 'ann', '--visitor-password-file', './password']
    expect(visitors('http', 'web', '3000', ...user)).toEqual({
      basic_auth: [{ user: 'ann', password_file: '/password' }],
    })
  })

  test.each([
    ['--visitor-user', 'ann'],
    ['--visitor-password-file', './password'],
  ])('%s alone is a mistake', (...flags) => {
    expect(() => visitors('http', 'web', '3000', ...flags)).toThrow('are needed together')
  })
})

describe('access', () => {
  const accesses = (...argv: readonly string[]) =>
    (asSettings('access', ...argv) as { accesses: unknown }).accesses

  test('without an address takes a free port of the loopback', () => {
    expect(accesses('pg')).toEqual([{ endpoint: 'pg', bind_addr: '127.0.0.1:0' }])
  })

  test.each([
    ['repeated', ['--bind', ':1', '--bind', '[::1]:2']],
    ['in one', ['--bind', ':1,[::1]:2']],
  ])('takes every address of --bind, %s', (_form, flags) => {
    expect(accesses('pg', ...flags)).toEqual([{ endpoint: 'pg', bind_addr: [':1', '[::1]:2'] }])
  })

  test('takes the address of --bind for a single name', () => {
    expect(accesses('pg', '--bind', ':5432')).toEqual([{ endpoint: 'pg', bind_addr: ':5432' }])
  })

  test('takes an address for each of several names', () => {
    expect(accesses('a=127.0.0.1:1', 'b=[::1]:2', 'c')).toEqual([
      { endpoint: 'a', bind_addr: '127.0.0.1:1' },
      { endpoint: 'b', bind_addr: '[::1]:2' },
      { endpoint: 'c', bind_addr: '127.0.0.1:0' },
    ])
  })

  test('takes the policy for ports that are taken for all of them', () => {
    const flags = ['--on-conflict', 'wait', '--wait', '1m']
    expect(accesses('a=:1', 'b=:2', ...flags)).toEqual([
      { endpoint: 'a', bind_addr: ':1', on_conflict: 'wait', wait: '1m' },
      { endpoint: 'b', bind_addr: ':2', on_conflict: 'wait', wait: '1m' },
    ])
  })

  test('takes who may connect for all of them', () => {
    const flags = ['--public', '--allow', '10.0.0.0/8', '--allow', '::1', '--deny', '10.9.0.0/16']
    expect(accesses('a=:1', 'b=unix:/b.sock', ...flags, '--socket-mode', '0660')).toEqual(
      ['a', 'b'].map((endpoint) => ({
        endpoint,
        bind_addr: endpoint === 'a' ? ':1' : 'unix:/b.sock',
        public: 'true',
        allow: ['10.0.0.0/8', '::1'],
        deny: ['10.9.0.0/16'],
        socket_mode: '0660',
      })),
    )
  })

  test('offers nothing, whatever the files list', () => {
    expect(asSettings('access', 'pg')).toMatchObject({ listeners: [] })
  })

  test.for([[['a', 'b', '--bind', ':1']], [['a=:1', '--bind', ':1']]] as const)(
    'refuses --bind with %o',
    ([argv]) => {
      expect(() => accesses(...argv)).toThrow('--bind needs exactly one NAME')
    },
  )
})

test('start leaves everything to the files', () => {
  expect(asSettings('start')).toEqual({})
})
