// The fast implementation writes heads from slices of the original text. The result must be the same as
// with the plain rules.
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { rewriteRequestHead } from '../src/forward-request.ts'
import { rewriteResponseHead } from '../src/forward-response.ts'
import { bytesOf, readRequest, readResponse, singleBytes } from './feeding.ts'
import { plainRequest, plainResponse } from './plain-forwarding.ts'

const WITH_RULE = words(
  'Connection Keep-Alive Proxy-Authenticate Proxy-Authorization Proxy-Connection TE Upgrade Trailer',
  'Expect Authorization Forwarded X-Request-Id X-Forwarded-For X-Forwarded-Proto X-Forwarded-Host',
  'X-Forwarded-Port X-Forwarded- X-Real-IP CF-Connecting-IP Fastly-Client-IP Adit-Hops Adit-Error X-Piko-Authorization X-Piko-Forward X-Piko-Endpoint X-Piko-Tenant-Id',
)
/** Names that are similar to a name with a rule, and unknown names. */
const OTHER = words(
  'X Accept User-Agent Referer Cookie Set-Cookie Content-Type ~ _ Connections Connectiom Donnection',
  'Keep-Alivf Keep^Alive Expert UE Hos Forwarder Proxy- __proto__ constructor X-Request-Ie',
  'X-Forwarded X-Forwarded-Fo X-Forwarded-Fo_r X-Forwardedd-For X-Piko-Endpoins X-Piko-Forwards',
)
const VALUES = [
  '\xe9 \t\xff',
  '',
  'KEEP-ALIVE, Upgrade',
  'x-request-id, user-agent',
  'te, x',
  '10.0.0.1, 10.0.0.2',
  ...words(
    'close Keep-Alive keep-alive upgrade trailers gzip accept,Cookie expect websocket h2c',
    '10.0.0.3 https HTTP c.d:80 a@b 100-continue 1',
  ),
]

const underscored = fc
  .tuple(fc.constantFrom(...WITH_RULE), fc.integer({ min: 0, max: 15 }))
  .map(([name, places]) => {
    let hyphen = 0
    return name.replaceAll('-', () => ((places >> hyphen++) & 1 ? '_' : '-'))
  })
const cased = fc
  .tuple(fc.oneof(fc.constantFrom(...WITH_RULE, ...OTHER), underscored), fc.nat(3))
  .map(([name, form]) => [name, name.toLowerCase(), name.toUpperCase(), name][form] ?? name)
const blanks = fc.constantFrom(' ', ' ', ' ', ' ', '', '  ', '\t', ' \t')
const ends = fc.constantFrom('', '', '', ' ', '\t ')
const line = fc
  .tuple(cased, blanks, fc.constantFrom(...VALUES), ends)
  .map(([name, before, value, after]) => `${name}:${before}${value}${after}\r\n`)
const framing = fc.constantFrom('', 'content-length:5\r\n', 'Transfer-Encoding: chunked\r\n')
const lines = fc
  .tuple(fc.array(line, { maxLength: 8 }), framing, fc.array(line, { maxLength: 3 }))
  .map(([before, between, after]) => `${before.join('')}${between}${after.join('')}`)
const minor = fc.constantFrom(0 as const, 1 as const)

function words(...rows: readonly string[]): string[] {
  return rows.flatMap((row) => row.split(' '))
}

function either(text: string, inPieces: boolean): Buffer[] {
  return inPieces ? singleBytes(bytesOf(text)) : [bytesOf(text)]
}

describe('rewriteRequestHead', () => {
  const start = fc.constantFrom(
    'GET /',
    'POST /a?b=%20',
    'GET http://A.b/x',
    'GET http://a.b',
    'OPTIONS *',
    'OPTIONS http://a.b',
    '\r\nGET /',
    'x~ //a',
  )
  const options = fc.record({
    clientAddress: fc.constantFrom('192.0.2.1', '2001:db8::1'),
    scheme: fc.constantFrom('http' as const, 'https' as const),
    trustedHops: fc.nat(3),
    authorizationConsumed: fc.boolean(),
    requestId: fc.constantFrom(undefined, 'a-1'),
  })

  it('gives the same result as the plain rules', () => {
    let read = 0
    fc.assert(
      fc.property(
        fc.tuple(start, minor, fc.constantFrom('Host: A.b\r\n', 'hOST:A.b \r\n'), lines),
        options,
        fc.boolean(),
        ([startLine, version, host, rest], { requestId, ...others }, inPieces) => {
          const text = `${startLine} HTTP/1.${version}\r\n${host}${rest}\r\n`
          const outcome = readRequest(either(text, inPieces))
          if (outcome === undefined || !('value' in outcome)) return
          read++
          const given = requestId === undefined ? others : { ...others, requestId }
          expect(rewriteRequestHead(outcome.value, given)).toBe(plainRequest(outcome.value, given))
        },
      ),
      { numRuns: 3_000 },
    )
    expect(read).toBeGreaterThan(2_000)
  })
})

describe('rewriteResponseHead', () => {
  const start = fc.constantFrom(
    '200 OK',
    '200',
    '200 ',
    '204 No',
    '304 \xe9 ',
    '101 S',
    '426 U',
    '103 E',
  )

  it('gives the same result as the plain rules', () => {
    let read = 0
    fc.assert(
      fc.property(
        fc.tuple(minor, start, lines),
        fc.record({ versionMinor: minor, keepAlive: fc.boolean() }),
        fc.boolean(),
        ([version, status, rest], options, inPieces) => {
          const text = `HTTP/1.${version} ${status}\r\n${rest}\r\n`
          const outcome = readResponse(either(text, inPieces), { method: 'GET', upgrade: 'x' })
          if (outcome === undefined || !('value' in outcome)) return
          read++
          const { value } = outcome
          expect(rewriteResponseHead(value, options)).toBe(plainResponse(value, options))
        },
      ),
      { numRuns: 3_000 },
    )
    expect(read).toBeGreaterThan(2_000)
  })
})
