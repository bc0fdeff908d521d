import { describe, expect, it } from 'vitest'

import { type AccessEntry, EntryFormat, type HttpEntry } from '../../src/access-log/entry.ts'

const http: HttpEntry = {
  method: 'GET',
  target: '/a?b=c',
  version: '1.1',
  host: 'web.example',
  referer: 'https://other.example/?token=t',
  userAgent: 'curl/8',
}
const entry: AccessEntry = {
  kind: 'request',
  time: Date.UTC(2026, 10, 30, 3, 4, 5, 67),
  outcome: 'ok',
  client: '192.0.2.1',
  endpoint: 'web',
  tenant: '',
  requestId: 'r-1',
  agent: 'a-1',
  bytesIn: 10,
  bytesOut: 20,
  ms: { routed: 0.12345, sent: 1, answered: undefined, total: 3.5 },
  status: 200,
  http,
}

const json = (one: AccessEntry, masked: readonly string[] = []): Record<string, unknown> =>
  JSON.parse(new EntryFormat('json', masked).line(one)) as Record<string, unknown>

describe('json', () => {
  it('has every field of a request, and leaves out those without a value', () => {
    expect(json(entry)).toEqual({
      time: '2026-11-30T03:04:05.067Z',
      kind: 'request',
      outcome: 'ok',
      client: '192.0.2.1',
      endpoint: 'web',
      request_id: 'r-1',
      agent: 'a-1',
      method: 'GET',
      target: '/a?b=c',
      host: 'web.example',
      version: '1.1',
      referer: 'https://other.example/?token=t',
      user_agent: 'curl/8',
      status: 200,
      bytes_in: 10,
      bytes_out: 20,
      ms: { routed: 0.123, sent: 1, total: 3.5 },
    })
  })

  it('has no fields of HTTP for a TCP connection', () => {
    const tcp = json({ ...entry, kind: 'tcp', status: 0, http: undefined, tenant: 't' })
    expect(Object.keys(tcp)).toEqual(
      'time kind outcome client endpoint tenant request_id agent bytes_in bytes_out ms'.split(' '),
    )
  })

  it('escapes what a terminal would act on', () => {
    const line = new EntryFormat('json', []).line({
      ...entry,
      http: { ...http, userAgent: 'a\u0007\u009b\u202eb\n' },
    })
    expect(line).toContain(String.raw`"user_agent":"a\u0007\u009b\u202eb\n"`)
    expect(line.indexOf('\n')).toBe(line.length - 1)
  })
})

describe('common and combined', () => {
  const clock = '[30/Nov/2026:03:04:05 +0000]'
  const common = new EntryFormat('common', [])
  const combined = new EntryFormat('combined', ['token'])

  it('have the fields of Apache', () => {
    expect(common.line(entry)).toBe(`192.0.2.1 - - ${clock} "GET /a?b=c HTTP/1.1" 200 20\n`)
    expect(combined.line(entry)).toBe(
      `192.0.2.1 - - ${clock} "GET /a?b=c HTTP/1.1" 200 20 "https://other.example/?token=***" "curl/8"\n`,
    )
  })

  it('have a hyphen for what is not there', () => {
    const bare = { ...http, referer: undefined, userAgent: undefined }
    expect(combined.line({ ...entry, client: undefined, status: 0, http: bare })).toBe(
      `- - - ${clock} "GET /a?b=c HTTP/1.1" - 20 "-" "-"\n`,
    )
    expect(common.line({ ...entry, status: 400, outcome: 'head_malformed', http: undefined })).toBe(
      `192.0.2.1 - - ${clock} "- head_malformed" 400 20\n`,
    )
    expect(common.line({ ...entry, kind: 'tcp', status: 0, http: undefined })).toBe(
      `192.0.2.1 - - ${clock} "TCP web ok" - 20\n`,
    )
  })

  it('are one line whose quotes nothing ends', () => {
    const userAgent = 'a" "b\\\n\u00e9\u{1f600}'
    expect(combined.line({ ...entry, http: { ...http, userAgent } })).toContain(
      String.raw`"a\" \"b\\\x0a\xc3\xa9\xf0\x9f\x98\x80"`,
    )
  })
})

describe('masked parameters', () => {
  it.each([
    ['/', '/'],
    ['/?token=abc', '/?token=***'],
    ['/?a=1&token=abc&b=2', '/?a=1&token=***&b=2'],
    ['/?TOKEN=abc;Api_Key=d', '/?TOKEN=***;Api_Key=***'],
    ['/?t%6Fken=abc', '/?t%6Fken=***'],
    ['/?token=a=b', '/?token=***'],
    ['/?token', '/?token'],
    ['/?token=', '/?token=***'],
    ['/?token=abc#token=def', '/?token=***#token=***'],
    ['/?a=?token=abc', '/?a=?token=abc'],
    ['/?mytoken=abc', '/?mytoken=abc'],
    ['/token=abc', '/token=abc'],
    ['/?%zz=1&token=abc', '/?%zz=1&token=***'],
  ])('of %j give %j', (target, shown) => {
    const of = { ...entry, http: { ...http, target, referer: target } }
    expect(json(of, ['token', 'API_KEY'])).toMatchObject({ target: shown, referer: shown })
  })
})

describe('user information in a referer', () => {
  it.each([
    ['https://user:pass@host.example/a', 'https://***@host.example/a'],
    ['https://token@host.example', 'https://***@host.example'],
    ['//user:p@ss@host.example/?a=1', '//***@host.example/?a=1'],
    ['https://host.example/a@b?c=d@e', 'https://host.example/a@b?c=d@e'],
    ['/a//b@c', '/a//b@c'],
  ])('of %j gives %j', (referer, shown) => {
    const of = { ...entry, http: { ...http, referer } }
    expect(json(of)).toMatchObject({ referer: shown })
    expect(new EntryFormat('combined', []).line(of)).toContain(`"${shown}"`)
  })
})
