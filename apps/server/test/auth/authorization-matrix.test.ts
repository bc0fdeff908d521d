// Every verb with every kind of credential, for endpoints inside and outside of its scope, in every
// tenant: what the server says must be what a rule of a few lines says, which knows nothing of tokens.
import { JwtVerifier } from '@proj/auth'
import { Agent } from '@proj/tunnel'
import { certificateAuthority } from '@proj/testkit/certificates'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { Authenticator, type AuthenticatorOptions } from '../../src/auth/authenticator.ts'
import type { PortAuth } from '../../src/auth/port-auth.ts'
import { Server } from '../../src/server.ts'
import type { ServerListener } from '../../src/server-listener.ts'
import { MemoryTokenStore } from '../../src/store/token-store.ts'
import { memoryStore } from '../../src/store/store.ts'
import { TlsFront } from '../../src/tls/tls-front.ts'
import { readTlsMaterial } from '../../src/tls/tls-material.ts'
import { AUDIENCE, type Credential, credentials, ENDPOINTS, PORT_SECRET } from './credentials.ts'
import { authOf, hs256, pemOf, storedToken } from './signed.ts'
import { isRefusal, type Shown, VERBS } from './verbs.ts'

const silent = { debug() {}, info() {}, warn() {}, error() {} }
const NO_LIMIT = { amount: Infinity, periodMs: 1000 }

type VerbName = keyof typeof VERBS

/** What a verb needs; `holder` is anybody who was recognised. */
const NEEDS: Readonly<Record<VerbName, 'listen' | 'connect' | 'admin' | 'holder'>> = {
  'listen by route': 'listen',
  'listen by message': 'listen',
  'connect by route': 'connect',
  'connect by stream': 'connect',
  query: 'connect',
  reserve: 'listen',
  release: 'holder',
  list: 'holder',
  'admin page': 'admin',
  metrics: 'admin',
}

/** Verbs that name no endpoint, or for which none is judged. */
const NAMELESS: ReadonlySet<VerbName> = new Set<VerbName>([
  'release',
  'list',
  'admin page',
  'metrics',
])

/** The rule. Operators have no tenants. */
function mayPass(
  credential: Credential,
  verb: VerbName,
  endpoint: string,
  named?: string,
): boolean {
  const { isGood, mayListen = false, mayConnect = false, mayAdmin = false } = credential
  const { endpoints = [], tenant = '' } = credential
  const need = NEEDS[verb]
  if (!isGood) return false
  if (need === 'admin') return mayAdmin
  if (named !== undefined && named !== tenant) return false
  if (need === 'holder') return true
  const may = need === 'listen' ? mayListen : mayConnect
  if (!may || !endpoints.includes(endpoint)) return false
  // A session by message begins with an endpoint of its own.
  return verb !== 'listen by message' || endpoints.includes('pc1')
}

async function startServer(
  options: Partial<AuthenticatorOptions> & Pick<AuthenticatorOptions, 'tokens'>,
  tls: Partial<Record<'proxy' | 'upstream' | 'admin', Omit<ServerListener, 'at'>>> = {},
) {
  const store = memoryStore(silent)
  const limits = { handshakeRate: NO_LIMIT, failureRate: NO_LIMIT }
  const authenticator = new Authenticator({
    audit: store.audit,
    logger: silent,
    ...limits,
    ...options,
  })
  const server = await Server.start({
    proxy: { at: '127.0.0.1:0', ...tls.proxy },
    upstream: { at: '127.0.0.1:0', ...tls.upstream },
    admin: { at: '127.0.0.1:0', ...tls.admin },
    software: 'test',
    logger: silent,
    store,
    authenticator,
    // What is permitted reaches an endpoint without an agent, and is not to wait for one.
    waits: { absentWaitMs: 0 },
  })
  const scheme = tls.proxy === undefined ? 'http' : 'https'
  const url = (name: 'proxy' | 'upstream' | 'admin'): string =>
    `${scheme}://127.0.0.1:${server.listeners[name].bound[0]?.port}`
  const urls = { proxy: url('proxy'), upstream: url('upstream'), admin: url('admin') }
  return { server, authenticator, urls }
}

/** What the server says of each case, beside what the rule says, where the two differ. */
async function differences(
  urls: Pick<Shown, 'proxy' | 'upstream' | 'admin'>,
  list: readonly Credential[],
  verb: VerbName,
  named: string | undefined,
): Promise<string[]> {
  const found: string[] = []
  for (const credential of list) {
    for (const endpoint of NAMELESS.has(verb) ? ['pc1'] : ENDPOINTS) {
      const shown = { ...urls, token: credential.token, tenant: named }
      const answer = await VERBS[verb](shown, endpoint)
      const expected = mayPass(credential, verb, endpoint, named)
      if (isRefusal(answer) === expected) {
        const word = expected ? 'pass' : 'be refused'
        found.push(`${credential.name} for ${endpoint} should ${word}: ${answer}`)
      }
    }
  }
  return found
}

describe('a server with keys of every kind and tokens', () => {
  const tokens = new MemoryTokenStore()
  let list: readonly Credential[] = []
  let started: Awaited<ReturnType<typeof startServer>>

  beforeAll(async () => {
    const verifier = new JwtVerifier({
      hmacSecretKey: PORT_SECRET,
      rsaPublicKey: pemOf('RS256'),
      ecdsaPublicKey: pemOf('ES256'),
      eddsaPublicKey: pemOf('EdDSA'),
      audience: AUDIENCE,
    })
    const auth: PortAuth = { verifier, endsAtExpiry: true }
    const ports = { upstream: { auth }, proxy: { auth }, admin: { auth } }
    list = await credentials(tokens)
    started = await startServer({ tokens, ports })
  })
  afterAll(() => {
    started.server.destroy()
    started.authenticator[Symbol.dispose]()
  })

  const verbs = Object.keys(VERBS) as VerbName[] // keys of the table
  const cases = verbs.flatMap((verb) =>
    [undefined, 'acme', 'zeta'].map((named) => ({ verb, named })),
  )
  test.for(cases)('$verb as tenant $named', { timeout: 120_000 }, async ({ verb, named }) => {
    expect(await differences(started.urls, list, verb, named)).toEqual([])
  })

  test.for([
    ['listen by route', 'none', 'pc1', undefined, '401 missing authorization'],
    ['listen by route', 'JWT: expired', 'pc1', undefined, '401 expired token'],
    ['listen by route', 'JWT: other audience', 'pc1', undefined, '401 invalid token'],
    ['listen by route', 'opaque: expired', 'pc1', undefined, '401 invalid token'],
    ['listen by route', 'opaque: revoked', 'pc1', undefined, '401 invalid token'],
    ['listen by route', 'opaque: of nobody', 'pc1', undefined, '401 invalid token'],
    ['listen by route', 'JWT: HS256', 'pc1', 'acme', '401 unknown tenant'],
    ['listen by route', 'JWT: adit connect', 'pc1', undefined, '401 endpoint not permitted'],
    ['listen by route', 'JWT: adit listen pc*', 'web', undefined, '401 endpoint not permitted'],
    ['listen by route', 'JWT: adit, of acme', 'web', 'acme', '101'],
    ['connect by route', 'JWT: piko pc1, web', 'pc2', undefined, '401 endpoint not permitted'],
    ['connect by route', 'JWT: piko pc1, web', 'web', undefined, '502 no available upstreams'],
    ['connect by stream', 'opaque: connect, pc*', 'web', undefined, 'reset 7'],
    ['connect by stream', 'opaque: connect, pc*', 'pc2', undefined, 'reset 8'],
    ['query', 'opaque: connect, pc*', 'web', undefined, 'not-permitted'],
    ['reserve', 'opaque: listen, all', 'web', undefined, '503 reserved names would be lost'],
    ['reserve', 'opaque: both, pc1', 'web', undefined, '403 endpoint not permitted'],
    ['list', 'none', '', undefined, '401 missing authorization'],
    ['admin page', 'JWT: adit, of acme', '', 'zeta', '200 '],
    ['admin page', 'opaque: listen, all', '', undefined, '401 not permitted'],
  ] as const)('%s with %s for %s', async ([verb, name, endpoint, named, expected]) => {
    const token = list.find((credential) => credential.name === name)?.token
    const answer = await VERBS[verb]({ ...started.urls, token, tenant: named }, endpoint)
    expect(answer.slice(0, expected.length)).toBe(expected)
  })
})

describe('a server with tenants', () => {
  const tokens = new MemoryTokenStore()
  let list: readonly Credential[] = []
  let started: Awaited<ReturnType<typeof startServer>>

  beforeAll(async () => {
    const tenants = new Map([
      ['acme', authOf('the key of acme')],
      ['beta', authOf('the key of beta')],
    ])
    const all = { isGood: true, mayListen: true, mayConnect: true, endpoints: ENDPOINTS }
    const { text } = await storedToken(tokens, { tenant: 'beta', endpoints: ['pc*'] })
    list = [
      { name: 'none', token: undefined, isGood: false },
      { name: 'of acme', token: hs256('the key of acme', {}), ...all, tenant: 'acme' },
      { name: 'of beta', token: hs256('the key of beta', {}), ...all, tenant: 'beta' },
      { name: 'opaque of beta', token: text, ...all, endpoints: ['pc1', 'pc2'], tenant: 'beta' },
      { name: 'of nobody', token: hs256('the key of zeta', {}), isGood: false },
    ]
    started = await startServer({ tokens, tenants })
  })
  afterAll(() => {
    started.server.destroy()
    started.authenticator[Symbol.dispose]()
  })

  const verbs = (Object.keys(VERBS) as VerbName[]).filter((verb) => NEEDS[verb] !== 'admin')
  const cases = verbs.flatMap((verb) => ['acme', 'beta', 'zeta'].map((named) => ({ verb, named })))
  test.for(cases)('$verb as tenant $named', async ({ verb, named }) => {
    expect(await differences(started.urls, list, verb, named)).toEqual([])
  })

  test.for(verbs)(
    '%s without a tenant, which only a token of the server says itself',
    async (verb) => {
      const answers = await Promise.all(
        list.map(async ({ token }) =>
          isRefusal(await VERBS[verb]({ ...started.urls, token }, 'pc1')),
        ),
      )
      expect(answers).toEqual([true, true, true, false, true])
    },
  )

  test('one name in two tenants is two endpoints', async () => {
    const agent = (tenantId: string): Agent =>
      new Agent({
        url: started.urls.upstream,
        token: hs256(`the key of ${tenantId}`, {}),
        tenantId,
        connections: 1,
      })
    await using acme = agent('acme')
    await using beta = agent('beta')
    await acme.listen('pg', { kind: 'tcp' }).ready()
    const connect = async (tenant: string): Promise<string> =>
      await VERBS['connect by route'](
        { ...started.urls, token: hs256(`the key of ${tenant}`, {}), tenant },
        'pg',
      )
    expect([await connect('acme'), await connect('beta')]).toEqual([
      '101',
      '502 no available upstreams',
    ])
    await beta.listen('pg', { kind: 'tcp' }).ready()
    expect(await connect('beta')).toBe('101')
    expect(started.server.registry.count({ tenant: '', name: 'pg' })).toBe(0)
  })
})

describe('a server with authorities of client certificates', () => {
  const authority = certificateAuthority()
  const stranger = certificateAuthority()
  const mine = authority.issue({ name: 'agent', usage: 'client' })
  const theirs = stranger.issue({ name: 'agent', usage: 'client' })
  let started: Awaited<ReturnType<typeof startServer>>
  let jwtToo: Awaited<ReturnType<typeof startServer>>

  beforeAll(async () => {
    const front = async (listener: string): Promise<{ at: string; tls: TlsFront }> => {
      using folder = temporaryDirectory()
      const { cert, key } = authority.issue({ name: 'server' })
      const material = await readTlsMaterial({
        minVersion: 'TLSv1.2',
        cert: [folder.write('cert.pem', cert)],
        key: [folder.write('key.pem', key)],
        clientCas: folder.write('cas.pem', authority.cert),
      })
      if (Array.isArray(material)) throw new Error('no material')
      const limits = { handshakeTimeoutMs: 5_000, maxHandshakes: 100 }
      return {
        at: '127.0.0.1:0',
        tls: new TlsFront({ listener, material, logger: silent, ...limits }),
      }
    }
    const fronts = async () => ({
      proxy: await front('proxy'),
      upstream: await front('upstream'),
      admin: await front('admin'),
    })
    const asked = { hasClientAuthorities: true }
    const tokens = new MemoryTokenStore()
    const plain = { upstream: asked, proxy: asked, admin: asked }
    started = await startServer({ tokens, ports: plain }, await fronts())
    const auth = authOf(PORT_SECRET)
    const both = {
      upstream: { ...asked, auth },
      proxy: { ...asked, auth },
      admin: { ...asked, auth },
    }
    jwtToo = await startServer({ tokens, ports: both }, await fronts())
  })
  afterAll(() => {
    for (const { server } of [started, jwtToo]) server.destroy()
  })

  const verbs = Object.keys(VERBS) as VerbName[] // keys of the table
  const ca = authority.cert
  const shown = { ca, cert: mine.cert, key: mine.key }

  test.for(verbs)('%s passes with a certificate, where nothing else is asked', async (verb) => {
    const answer = await VERBS[verb]({ ...started.urls, tls: shown }, 'web')
    expect({ answer, refused: isRefusal(answer) }).toMatchObject({ refused: false })
    // Who shows a token is judged by the token.
    const token = hs256('another secret', {})
    expect(isRefusal(await VERBS[verb]({ ...started.urls, tls: shown, token }, 'web'))).toBe(true)
  })

  test.for(verbs)('%s needs a JWT as well where there are keys', async (verb) => {
    expect(isRefusal(await VERBS[verb]({ ...jwtToo.urls, tls: shown }, 'web'))).toBe(true)
    const token = hs256(PORT_SECRET, {})
    expect(isRefusal(await VERBS[verb]({ ...jwtToo.urls, tls: shown, token }, 'web'))).toBe(false)
  })

  test('a certificate of a stranger, or none, gets no further than TLS', async () => {
    const route = VERBS['listen by route']
    const other = { ca, cert: theirs.cert, key: theirs.key }
    for (const tls of [other, { ca }]) {
      const answer = await route({ ...started.urls, tls }, 'web').catch(() => 'no connection')
      expect(answer).toMatch(/^(no connection|4\d\d )/)
    }
    expect(started.server.registry.snapshot().size).toBe(0)
  })
})
