/** What a person sees. Each text here was read as a person would; change them with the same care. */
import { describe, expect, test } from 'vitest'

import { formatProblems, loadSettings } from '../../src/index.ts'
import { settings } from '../fixtures/sample.ts'
import { Workspace } from '../fixtures/workspace.ts'

async function complain(content: string, env = {}): Promise<string> {
  using files = new Workspace({ 'adit.yaml': content })
  const loaded = await loadSettings(settings, { cwd: files.path, files: ['adit.yaml'], env })
  return formatProblems(loaded.problems)
}

test('says everything that is wrong with a file in one run', async () => {
  const text = await complain(
    [
      'connect:',
      '  tokn: abc',
      '  timeout: 30',
      '  bind_addr: [10.0.0.1, eth0]',
      '  token: hunter2',
      '  token_file: /nope',
      '  tls: true',
      'log: { level: inf }',
      'metrics_addr: "::1:5000"',
      'Max-Head: 1MB',
      'connect.url: http://x',
      'listeners:',
      '  - endpoint: Web',
      '    addr: 3000',
      '  - endpoint: api',
      '    addr: localhost',
      '    protocl: tcp',
      '  - endpoint: api',
      '    addr: ${NOPE}',
      '  - addr: [1]',
      '  - web',
    ].join('\n'),
    { ADIT_CONNECT_TIMEOUTS: '5s' },
  )
  expect(text).toMatchInlineSnapshot(`
    "error: adit.yaml:2:3: connect.tokn: unknown key "tokn"
      allowed: url, token, token_file, proxy_url, proxy_url_file, bind_addr, timeout, tls
      hint: did you mean connect.token?
    error: adit.yaml:3:12: connect.timeout: "30" is not a duration: the unit is missing
      allowed: a duration such as 30s or 1m30s, at least 1s, at most 10m
      hint: write 30s or 30ms
    error: adit.yaml:4:25: connect.bind_addr[1]: address "eth0": a name is not a source address
      allowed: an IP address of this machine, such as 192.168.1.100 or [fe80::1%eth0]:4000
      hint: write an IP address such as 192.168.1.100; an interface has its own setting
    error: adit.yaml:6:15: connect.token: both the secret and a file to read it from are given
      hint: keep one of them
    error: adit.yaml:7:8: connect.tls: a group of keys is expected here, not a single value
    error: adit.yaml:8:15: log.level: "inf" is not one of the choices
      allowed: debug, info, warn, error
    error: adit.yaml:9:15: metrics_addr: address "::1:5000": an IPv6 address is written in brackets
      allowed: an address such as :8080, 127.0.0.1:8080, [::1]:8080, localhost:8080 or unix:/path
      hint: write [::1]:5000 or [::1:5000]:8080
    error: adit.yaml:10:1: Max-Head: unknown key "Max-Head"
      allowed: connect, metrics_addr, log, max_head, listeners
      hint: did you mean max_head?
    error: adit.yaml:11:1: connect.url: unknown key "connect.url"
      allowed: connect, metrics_addr, log, max_head, listeners
      hint: write connect: and, indented below it, url:
    error: adit.yaml:13:15: listeners[0].endpoint: "Web" is not allowed here
      allowed: a name of a-z, 0-9 and -, at most 63 characters
    error: adit.yaml:16:11: listeners[1].addr: address "localhost": the port is missing
      allowed: an address such as 3000, localhost:3000, [::1]:3000, host:3000 or unix:/path
      hint: write localhost:8080
    error: adit.yaml:17:5: listeners[1].protocl: unknown key "protocl"
      allowed: endpoint, addr, protocol, timeout, password, password_file, tls
      hint: did you mean listeners[1].protocol?
    error: adit.yaml:19:11: the variable NOPE is not set
      hint: write \${NOPE:-} where it may be missing
    error: adit.yaml:20:5: listeners[3].endpoint: a value is required
      allowed: a name of a-z, 0-9 and -, at most 63 characters
    error: adit.yaml:20:11: listeners[3].addr: a single value is expected here, not a list
    error: adit.yaml:21:5: listeners[4]: a group of keys is expected here, not a single value
    warning: variable ADIT_CONNECT_TIMEOUTS: no setting reads this variable
      hint: did you mean ADIT_CONNECT_TIMEOUT?
    "
  `)
})

describe('syntax', () => {
  test.each([
    'metrics_addr: *:80',
    'log:\n\tlevel: info',
    'log: {level: info',
    'log: info: debug',
    'log: {}\nlog: {}',
    'a: 1\n---\nb: 2',
    'connect: {url: "\\d"}',
    'connect:\n  url: @x',
    'connect:\n    url: http://x\n   token: y',
    'log: !level info',
    '? [a]\n: b',
    '- a\n- b',
    'info',
    "1: a\n'1': b",
    'connect: {url: "http://x}\nlog: y\n',
  ])('%j', async (content) => {
    expect(await complain(content)).toMatchSnapshot()
  })
})

describe('codes', () => {
  test.each([
    ['log: {', 'CONFIG_FILE_SYNTAX'],
    ['lgo: {}', 'CONFIG_KEY_UNKNOWN'],
    ['log: x', 'CONFIG_SHAPE_WRONG'],
    ['log: {level: x}', 'CONFIG_VALUE_INVALID'],
    ['listeners: [{addr: 1}]', 'CONFIG_VALUE_MISSING'],
    ['log: {level: "${NONE}"}', 'CONFIG_VARIABLE_UNSET'],
    ['log: {level: "${"}', 'CONFIG_VARIABLE_SYNTAX'],
  ])('of a file that says %j', async (content, code) => {
    using files = new Workspace({ 'a.yaml': content })
    const { problems } = await loadSettings(settings, { cwd: files.path, files: ['a.yaml'] })
    expect(problems).toMatchObject([{ code, severity: 'error' }])
  })

  test('of a variable that no setting reads, when it is nearly one', async () => {
    const env = { ADIT_LOG_LEVL: 'x', ADIT_SERVICE_HOST: 'x', ADIT_PORT_8000_TCP_ADDR: 'x' }
    const { problems } = await loadSettings(settings, { cwd: '/', env })
    expect(problems).toMatchObject([
      {
        code: 'CONFIG_ENVIRONMENT_UNKNOWN',
        severity: 'warning',
        origin: { name: 'ADIT_LOG_LEVL' },
        hint: 'did you mean ADIT_LOG_LEVEL?',
      },
    ])
  })
})
