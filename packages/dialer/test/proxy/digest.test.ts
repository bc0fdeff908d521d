import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import { parseChallenges, type ParsedChallenge } from '../../src/proxy/challenge.ts'
import { answerDigest, supportsDigest } from '../../src/proxy/digest.ts'

function parse(line: string): ParsedChallenge {
  const [challenge] = parseChallenges(line)
  if (challenge === undefined) throw new Error('no challenge')
  return challenge
}

const parameter = (value: string | undefined, name: string): string | undefined =>
  parse(value ?? '').parameters.get(name)

const NONCE_7616 = '7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v'
const CNONCE_7616 = 'f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ'
const LINE_7616 = (algorithm: string): string =>
  `Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=${algorithm}, nonce="${NONCE_7616}", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"`

describe('answerDigest', () => {
  const mufasa = { method: 'GET', target: '/dir/index.html', username: 'Mufasa' }

  it.each([
    ['MD5', '8ca523f5e9506fed4657c9700eebdbec'],
    ['SHA-256', '753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1'],
  ])('is that of RFC 7616 section 3.9.1 with %s', (algorithm, response) => {
    const answer = answerDigest(parse(LINE_7616(algorithm)), {
      ...mufasa,
      password: 'Circle of Life',
      clientNonce: CNONCE_7616,
    })
    expect(answer).toBe(
      `Digest username="Mufasa", realm="http-auth@example.org", nonce="${NONCE_7616}", uri="/dir/index.html", response="${response}", algorithm=${algorithm}, opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS", qop=auth, nc=00000001, cnonce="${CNONCE_7616}"`,
    )
  })

  it('is that of RFC 7616 section 3.9.2, with its erratum 4897', () => {
    const answer = answerDigest(
      parse(
        'Digest realm="api@example.org", qop="auth", algorithm=SHA-512-256, nonce="5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK", opaque="HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS", charset=UTF-8, userhash=true',
      ),
      {
        method: 'GET',
        target: '/doe.json',
        username: 'Jäsøn Doe',
        password: 'Secret, or not?',
        clientNonce: 'NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v',
      },
    )
    expect(parameter(answer, 'response')).toBe(
      '3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5',
    )
    expect(parameter(answer, 'username')).toBe(
      '793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b',
    )
    expect(parameter(answer, 'userhash')).toBe('true')
  })

  it('is that of RFC 2617 section 3.5, and of RFC 2069 without qop (with its errata)', () => {
    const nonce = 'dcd98b7102dd2f0e8b11d0f600bfb0c093'
    const line = `Digest realm="testrealm@host.com", nonce="${nonce}", opaque="5ccc069c403ebaf9f0171e9517f40e41"`
    const four = answerDigest(parse(`${line}, qop="auth,auth-int"`), {
      ...mufasa,
      password: 'Circle Of Life',
      clientNonce: '0a4f113b',
    })
    expect(parameter(four, 'response')).toBe('6629fae49393a05397450978507c4ef1')
    const old = answerDigest(parse(line), { ...mufasa, password: 'CircleOfLife' })
    expect(parameter(old, 'response')).toBe('1949323746fe6a43ef61f9606e7febea')
    expect(old).not.toContain('qop')
  })

  it('encodes a name that a quoted string cannot contain, and escapes quotes', () => {
    const line = parse('Digest realm="a \\"b\\" \\\\ c", nonce="n", qop=auth')
    const answer = answerDigest(line, { ...mufasa, username: "Jäsøn's", password: '' })
    expect(answer).toContain("username*=UTF-8''J%C3%A4s%C3%B8n%27s, ")
    expect(answer).toContain('realm="a \\"b\\" \\\\ c"')
  })

  it.each([
    'Digest realm="x"',
    'Digest realm="x", nonce="n", algorithm=SHA-999',
    'Digest realm="x", nonce="n", algorithm=toString',
    'Digest realm="x", nonce="n", qop="auth-int"',
    'Basic realm="x", nonce="n"',
  ])('is undefined for %s', (line) => {
    expect(supportsDigest(parse(line))).toBe(false)
  })
})

describe('parseChallenges', () => {
  const shown = (line: string): unknown =>
    parseChallenges(line).map(({ scheme, token, parameters }) => [
      scheme,
      ...(token === undefined ? [] : [token]),
      ...[...parameters].map(([name, value]) => `${name}=${value}`),
    ])

  it.each([
    ['Basic realm="x"', [['basic', 'realm=x']]],
    ['NTLM', [['ntlm']]],
    ['NTLM TlRMTVNTUAAC==', [['ntlm', 'TlRMTVNTUAAC==']]],
    ['Negotiate, NTLM', [['negotiate'], ['ntlm']]],
    [
      'Negotiate YQ==, Basic realm="a, b"',
      [
        ['negotiate', 'YQ=='],
        ['basic', 'realm=a, b'],
      ],
    ],
    [
      'Basic realm = "x" , Digest nonce=n,qop="auth"',
      [
        ['basic', 'realm=x'],
        ['digest', 'nonce=n', 'qop=auth'],
      ],
    ],
    ['Basic realm="Digest nonce=1"', [['basic', 'realm=Digest nonce=1']]],
    [
      'Newauth realm="apps", type=1, title="Login to \\"apps\\"", Basic realm="simple"',
      [
        ['newauth', 'realm=apps', 'type=1', 'title=Login to "apps"'],
        ['basic', 'realm=simple'],
      ],
    ],
    ['', []],
    ['"', []],
  ])('reads %s', (line, expected) => {
    expect(shown(line)).toEqual(expected)
  })

  it('ends for every text, in a time that grows with its length', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 200 }), (line) => {
        expect(parseChallenges(line).length).toBeLessThanOrEqual(line.length)
      }),
    )
    for (const piece of ['a ', 'a=', '"', ',', 'a="', '\\"', 'a=b,', ' ']) {
      expect(parseChallenges(piece.repeat(6_000)).length).toBeLessThanOrEqual(12_000)
    }
  })
})
