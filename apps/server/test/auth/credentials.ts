/**
 * The credentials of the authorization matrix. Each says in plain words what it is good for; how it says
 * so to the server, in a token or a claim, stands beside. The expected outcome is computed from the plain
 * words alone.
 */
import { createToken } from '@proj/auth'

import type { TokenStore } from '../../src/store/token-store.ts'
import { hs256, jwt, storedToken } from './signed.ts'

/** Secret of the keys of the ports. */
export const PORT_SECRET = 'the secret of the ports, thirty-two bytes or more'

/** What the keys of the ports ask of `aud`. */
export const AUDIENCE = 'tunnels'

/** What a credential is good for, in plain words. */
export interface Credential {
  readonly name: string
  /** What is shown; undefined: nothing. */
  readonly token: string | undefined
  /** Whether it is one at all, now and here. */
  readonly isGood: boolean
  readonly mayListen?: boolean
  readonly mayConnect?: boolean
  readonly mayAdmin?: boolean
  /** Endpoints among those of the matrix. */
  readonly endpoints?: readonly string[]
  /** Tenant it is of; '' is none. */
  readonly tenant?: string
}

/** Endpoints of the matrix. */
export const ENDPOINTS = ['pc1', 'pc2', 'web'] as const

const ALL = { mayListen: true, mayConnect: true, mayAdmin: true, endpoints: ENDPOINTS }
const PCS = ['pc1', 'pc2']

/** Makes every credential; the opaque ones are put into the store. */
export async function credentials(tokens: TokenStore): Promise<readonly Credential[]> {
  const now = Math.floor(Date.now() / 1000)
  const opaque = async (wish: Parameters<typeof storedToken>[1]): Promise<string> =>
    (await storedToken(tokens, wish)).text
  const claims = (more: object): object => ({ aud: AUDIENCE, exp: now + 600, ...more })
  const signed = (more: object): string => hs256(PORT_SECRET, claims(more))
  const revoked = await storedToken(tokens)
  await tokens.revoke(revoked.id, Date.now())
  const bad = (name: string, token: string | undefined): Credential => ({
    name,
    token,
    isGood: false,
  })
  const good = (
    name: string,
    token: string,
    words: Omit<Credential, 'name' | 'token' | 'isGood'>,
  ): Credential => ({ name, token, isGood: true, ...words })
  return [
    bad('none', undefined),
    // --- of the server
    good('opaque: listen, all', await opaque({ may: ['listen'] }), {
      mayListen: true,
      endpoints: ENDPOINTS,
    }),
    good('opaque: connect, pc*', await opaque({ may: ['connect'], endpoints: ['pc*'] }), {
      mayConnect: true,
      endpoints: PCS,
    }),
    good('opaque: both, pc1', await opaque({ endpoints: ['pc1'] }), {
      mayListen: true,
      mayConnect: true,
      endpoints: ['pc1'],
    }),
    good('opaque: admin', await opaque({ may: ['admin'], endpoints: [] }), { mayAdmin: true }),
    good('opaque: everything', await opaque({ may: ['listen', 'connect', 'admin'] }), ALL),
    good('opaque: nothing', await opaque({ may: [] }), { endpoints: ENDPOINTS }),
    good('opaque: both, of acme', await opaque({ tenant: 'acme' }), {
      mayListen: true,
      mayConnect: true,
      endpoints: ENDPOINTS,
      tenant: 'acme',
    }),
    bad('opaque: expired', await opaque({ expiresAt: Date.now() - 1 })),
    bad('opaque: revoked', revoked.text),
    bad('opaque: of nobody', createToken().text),
    bad('opaque: mistyped', revoked.text.slice(0, -1)),
    // --- JWTs by the kind of their key
    good('JWT: HS256', signed({}), ALL),
    good('JWT: RS256', jwt('RS256', '', claims({})), ALL),
    good('JWT: ES256', jwt('ES256', '', claims({})), ALL),
    good('JWT: EdDSA', jwt('EdDSA', '', claims({})), ALL),
    // --- JWTs by their claims
    good('JWT: piko pc1, web', signed({ piko: { endpoints: ['pc1', 'web'] } }), {
      ...ALL,
      endpoints: ['pc1', 'web'],
    }),
    good('JWT: piko pc*', signed({ piko: { endpoints: ['pc*'] } }), { ...ALL, endpoints: [] }),
    good('JWT: piko, empty', signed({ piko: { endpoints: [] } }), ALL),
    good('JWT: adit listen pc*', signed({ adit: { may: ['listen'], endpoints: ['pc*'] } }), {
      mayListen: true,
      endpoints: PCS,
    }),
    good('JWT: adit connect', signed({ sub: 'me', adit: { may: ['connect'] } }), {
      mayConnect: true,
      endpoints: ENDPOINTS,
    }),
    good('JWT: adit admin', signed({ adit: { may: ['admin'] } }), {
      mayAdmin: true,
      endpoints: ENDPOINTS,
    }),
    good(
      'JWT: adit pc* and piko pc1, web',
      signed({
        adit: { may: ['listen', 'connect'], endpoints: ['pc*'] },
        piko: { endpoints: ['pc1', 'web'] },
      }),
      { mayListen: true, mayConnect: true, endpoints: ['pc1'] },
    ),
    good(
      'JWT: adit, of acme',
      signed({ adit: { may: ['listen', 'connect', 'admin'], tenant: 'acme' } }),
      { ...ALL, tenant: 'acme' },
    ),
    // --- JWTs that are none
    bad('JWT: expired', signed({ exp: now - 1 })),
    bad('JWT: not yet', signed({ nbf: now + 600 })),
    bad('JWT: other audience', signed({ aud: 'others' })),
    bad('JWT: no audience', signed({ aud: undefined })),
    bad('JWT: other key', hs256('another secret', claims({}))),
    bad('JWT: claim of another shape', signed({ adit: { may: 'listen' } })),
    bad('JWT: unsigned', `${signed({}).split('.').slice(0, 2).join('.')}.`),
  ]
}
