import { createServer, type ServerResponse } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import { pathToFileURL } from 'node:url'
import { certificateAuthority } from '@proj/testkit/certificates'
import { listening } from '@proj/testkit/listening'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { isAuthError } from '../../src/errors.ts'
import { JwtVerifier } from '../../src/jwt/jwt-verifier.ts'
import {
  MAX_KEY_SET_BYTES,
  KeySet,
  type KeySetOptions,
  MAX_KEYS,
  RETRY_MS,
  UNKNOWN_KEY_MS,
} from '../../src/jwt/key-set.ts'
import { jwt, PAIRS } from '../signing.ts'

type Pair = (typeof PAIRS)['rsa']

function jwk(kid: string, { publicKey }: Pair, more: object = {}): object {
  return { ...publicKey.export({ format: 'jwk' }), kid, ...more }
}

function setOf(...keys: unknown[]): string {
  return JSON.stringify({ keys })
}

/** A key set on a real server, whose answer and clock the test sets. */
async function served(options: Partial<KeySetOptions> = {}) {
  const state = { body: setOf(), status: 200, requests: 0, time: 0, problems: [] as string[] }
  const answer = { give: (response: ServerResponse) => void response.end(state.body) }
  const server = await listening(
    createServer((_, response) => {
      state.requests += 1
      response.statusCode = state.status
      answer.give(response)
    }),
  )
  const keySet = new KeySet({
    endpoint: `http://${server.authority}/jwks.json`,
    now: () => state.time,
    onError: ({ message }) => state.problems.push(message),
    ...options,
  })
  const verifier = new JwtVerifier({ keySet })
  const verdict = async (token: string): Promise<string> => {
    try {
      await verifier.verify(token)
      return 'good'
    } catch (error) {
      if (!isAuthError(error)) throw error
      return error.text
    }
  }
  return { state, answer, keySet, verdict, [Symbol.asyncDispose]: () => server.close() }
}

const RSA_TOKEN = jwt('RS256', PAIRS.rsa, {}, { kid: 'a' })

describe('a key set', () => {
  it('finds the key of each kind by its name', async () => {
    await using set = await served()
    set.state.body = setOf(
      jwk('a', PAIRS.rsa, { use: 'sig', alg: 'RS256' }),
      jwk('b', PAIRS.p256),
      jwk('c', PAIRS.p384),
      jwk('d', PAIRS.ed25519),
      { kty: 'oct', kid: 'e', k: Buffer.from('shared secret').toString('base64url') },
    )
    expect(await set.verdict(RSA_TOKEN)).toBe('good')
    expect(await set.verdict(jwt('ES256', PAIRS.p256, {}, { kid: 'b' }))).toBe('good')
    expect(await set.verdict(jwt('ES384', PAIRS.p384, {}, { kid: 'c' }))).toBe('good')
    expect(await set.verdict(jwt('EdDSA', PAIRS.ed25519, {}, { kid: 'd' }))).toBe('good')
    expect(await set.verdict(jwt('HS256', 'shared secret', {}, { kid: 'e' }))).toBe('good')
    expect(set.state.requests).toBe(1)
  })

  it.each([
    ['another key', jwt('RS256', PAIRS.otherRsa, {}, { kid: 'a' })],
    ['another algorithm than the key is for', jwt('RS512', PAIRS.rsa, {}, { kid: 'a' })],
    ['another kind of key', jwt('ES256', PAIRS.p256, {}, { kid: 'a' })],
    [
      'the public key as HMAC secret',
      jwt('HS256', JSON.stringify(jwk('a', PAIRS.rsa)), {}, { kid: 'a' }),
    ],
    ['a key that is for encryption', jwt('RS256', PAIRS.rsa, {}, { kid: 'enc' })],
    ['a key that is nonsense', jwt('RS256', PAIRS.rsa, {}, { kid: 'junk' })],
    ['no name', jwt('RS256', PAIRS.rsa, {})],
    ['a name that is no text', jwt('RS256', PAIRS.rsa, {}, { kid: 1 })],
    ['PSS', jwt('PS256', PAIRS.rsa, {}, { kid: 'free' })],
  ])('refuses a token with %s', async (_, token) => {
    await using set = await served()
    set.state.body = setOf(
      null,
      'key',
      [],
      { kty: 'RSA', kid: 'junk' },
      jwk('enc', PAIRS.rsa, { use: 'enc' }),
      jwk('free', PAIRS.rsa),
      jwk('a', PAIRS.rsa, { alg: 'RS256' }),
    )
    expect(await set.verdict(token)).toBe('invalid token')
    expect(await set.verdict(RSA_TOKEN)).toBe('good')
  })

  it('takes the first key that can be used of two with one name', async () => {
    await using set = await served()
    set.state.body = setOf({ kty: 'RSA', kid: 'a' }, jwk('a', PAIRS.rsa), jwk('a', PAIRS.p256))
    expect(await set.verdict(RSA_TOKEN)).toBe('good')
    expect(await set.verdict(jwt('ES256', PAIRS.p256, {}, { kid: 'a' }))).toBe('good')
  })

  it('is read again when it is old', async () => {
    await using set = await served({ cacheTtlMs: 60_000 })
    set.state.body = setOf(jwk('a', PAIRS.rsa))
    expect(await set.verdict(RSA_TOKEN)).toBe('good')
    set.state.body = setOf(jwk('a', PAIRS.otherRsa))
    set.state.time = 59_999
    expect(await set.verdict(RSA_TOKEN)).toBe('good')
    set.state.time = 60_000
    expect(await set.verdict(RSA_TOKEN)).toBe('invalid token')
  })

  it('is read again for a key it lacks, at most once in five minutes', async () => {
    await using set = await served()
    set.state.body = setOf(jwk('old', PAIRS.otherRsa))
    expect(await set.keySet.prepare()).toBe(true)
    set.state.body = setOf(jwk('a', PAIRS.rsa))
    expect(await set.verdict(RSA_TOKEN)).toBe('good')
    expect(set.state.requests).toBe(2)
    const unknown = (kid: string): Promise<string> =>
      set.verdict(jwt('RS256', PAIRS.rsa, {}, { kid }))
    set.state.time = UNKNOWN_KEY_MS - 1
    expect(await Promise.all(['x', 'y', 'z'].map(unknown))).toEqual(Array(3).fill('invalid token'))
    expect(set.state.requests).toBe(2)
    set.state.time = UNKNOWN_KEY_MS
    expect(await Promise.all(['x', 'y', 'z'].map(unknown))).toEqual(Array(3).fill('invalid token'))
    expect(set.state.requests).toBe(3)
  })

  it('that cannot be read anew goes on, and is tried again after a while', async () => {
    await using set = await served({ cacheTtlMs: 60_000 })
    set.state.body = setOf(jwk('a', PAIRS.rsa))
    expect(await set.verdict(RSA_TOKEN)).toBe('good')
    set.state.status = 500
    set.state.time = 60_000
    expect(await set.verdict(RSA_TOKEN)).toBe('good')
    set.state.time += RETRY_MS - 1
    expect(await set.verdict(RSA_TOKEN)).toBe('good')
    expect(set.state.requests).toBe(2)
    set.state.time += 1
    expect(await set.verdict(RSA_TOKEN)).toBe('good')
    expect(set.state.requests).toBe(3)
    expect(set.state.problems).toEqual(
      Array(2).fill('the key set could not be read: it was answered with status 500'),
    )
  })

  it('that could never be read judges nothing, and is used once it can', async () => {
    await using set = await served()
    set.state.status = 503
    expect(await set.keySet.prepare()).toBe(false)
    expect(await set.verdict(RSA_TOKEN)).toBe('token keys unavailable')
    set.state.status = 200
    set.state.body = setOf(jwk('a', PAIRS.rsa))
    set.state.time = RETRY_MS
    expect(await set.verdict(RSA_TOKEN)).toBe('good')
  })

  it.each([
    ['no JSON', 'it is no JSON', 'hello'],
    ['no list', 'it is no key set: it has no list "keys"', '{"keys":{}}'],
    ['null', 'it is no key set: it has no list "keys"', 'null'],
    ['too much', 'it is larger than 262144 bytes', ' '.repeat(MAX_KEY_SET_BYTES + 1)],
  ])('that is %s is none', async (_, reason, body) => {
    await using set = await served()
    set.state.body = body
    expect(await set.keySet.prepare()).toBe(false)
    expect(set.state.problems).toEqual([`the key set could not be read: ${reason}`])
  })

  it('is read where it is said to be now, but not in a circle, and not elsewhere than on the web', async () => {
    await using set = await served()
    const ways: Record<string, string> = { '/jwks.json': '/a', '/a': '/b' }
    set.answer.give = (response) => {
      const location = ways[response.req.url ?? '']
      if (location === undefined) response.end(setOf(jwk('a', PAIRS.rsa)))
      else response.writeHead(302, { location }).end()
    }
    expect(await set.verdict(RSA_TOKEN)).toBe('good')
    for (const [to, why] of [
      ['/jwks.json', 'redirected more than 5 times'],
      ['file:///etc/passwd', 'neither http nor https'],
      ['http://[', 'to no URL'],
    ] as const) {
      ways['/b'] = to
      await using other = await served()
      other.answer.give = set.answer.give
      expect(await other.keySet.prepare()).toBe(false)
      expect(other.state.problems[0]).toContain(why)
    }
  })

  it('is not read over a way that is not encrypted, also when it ends on one that is', async () => {
    const { cert, key } = certificateAuthority().issue({ name: 'keys' })
    // What certificates are trusted is not what this is about.
    vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0')
    onTestFinished(() => void vi.unstubAllEnvs())
    const to = { path: '' }
    const secure = await listening(
      createSecureServer({ cert, key }, ({ url }, response) => {
        if (url === '/keys') response.end(setOf(jwk('a', PAIRS.rsa)))
        else response.writeHead(302, { location: to.path }).end()
      }),
    )
    const plain = await listening(
      createServer((_, response) => {
        response.writeHead(302, { location: `https://${secure.authority}/keys` }).end()
      }),
    )
    onTestFinished(async () => void (await Promise.all([secure.close(), plain.close()])))
    const read = async (path: string) => {
      to.path = path
      const problems: string[] = []
      const onError = ({ message }: Error) => void problems.push(message)
      await new KeySet({ endpoint: `https://${secure.authority}/`, onError }).prepare()
      return problems
    }
    expect(await read('/keys')).toEqual([])
    expect(await read(`http://${plain.authority}/`)).toEqual([
      'the key set could not be read: it was redirected from https to http',
    ])
  })

  it('is read up to its size', async () => {
    await using set = await served()
    const text = setOf(jwk('a', PAIRS.rsa))
    set.state.body = text.padEnd(MAX_KEY_SET_BYTES)
    expect(await set.verdict(RSA_TOKEN)).toBe('good')
  })

  it('that never ends is given up when it is too large', async () => {
    await using set = await served()
    const piece = ' '.repeat(64 * 1024)
    set.answer.give = (response) => {
      // One turn of the loop for each piece: client and server of this test share it.
      const more = (): void => {
        response.write(piece, (error) => {
          if (!error) setImmediate(more)
        })
      }
      more()
    }
    expect(await set.keySet.prepare()).toBe(false)
    expect(set.state.problems[0]).toContain('larger than 262144 bytes')
  })

  it('that does not come in time is given up', async () => {
    await using set = await served({ timeoutMs: 20 })
    set.answer.give = () => {}
    expect(await set.keySet.prepare()).toBe(false)
    expect(set.state.problems[0]).toContain('timeout')
  })

  it('is looked at up to a number of keys', async () => {
    await using set = await served()
    const others = Array.from({ length: MAX_KEYS }, (_, at) => ({ kty: 'EC', kid: `k${at}` }))
    set.state.body = setOf(...others.slice(1), jwk('a', PAIRS.rsa))
    expect(await set.verdict(RSA_TOKEN)).toBe('good')
    await using more = await served()
    more.state.body = setOf(...others, jwk('a', PAIRS.rsa))
    expect(await more.verdict(RSA_TOKEN)).toBe('invalid token')
  })

  it('can be a file', async () => {
    using directory = temporaryDirectory()
    const file = directory.write('keys.json', setOf(jwk('a', PAIRS.rsa)))
    await using set = await served({ endpoint: pathToFileURL(file).href, cacheTtlMs: 1000 })
    expect(await set.verdict(RSA_TOKEN)).toBe('good')
    directory.write('keys.json', ' '.repeat(MAX_KEY_SET_BYTES + 1))
    set.state.time = 1000
    expect(await set.verdict(RSA_TOKEN)).toBe('good')
    expect(set.state.problems).toEqual([
      'the key set could not be read: it is larger than 262144 bytes',
    ])
  })

  it.each(['', 'jwks.json', 'ftp://keys.example/jwks', 'http://me:secret@keys.example/'])(
    'is not at %j',
    (endpoint) => {
      const make = (): KeySet => new KeySet({ endpoint })
      expect(make).toThrow(/^invalid key: the (URL of the )?key set /)
      expect(make).not.toThrow(/secret/)
    },
  )
})
