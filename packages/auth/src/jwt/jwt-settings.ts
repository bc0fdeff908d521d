import {
  duration,
  type Resolved,
  type RuleProblem,
  type Secret,
  secret,
  setting,
  type Setting,
  text,
} from '@proj/config'

import { type JwtDemand, verifierOf } from './jwt-demand.ts'

/** Settings of tokens that let visitors in; the keys are those of the server's `proxy.auth`. */
export const JWT_SETTINGS: {
  /** Secret of HS256, HS384 and HS512. */
  readonly hmacSecretKey: Setting<Secret | undefined>
  /** Key of RS256, RS384 and RS512. */
  readonly rsaPublicKey: Setting<Secret | undefined>
  /** Key of ES256, ES384 and ES512. */
  readonly ecdsaPublicKey: Setting<Secret | undefined>
  /** Key of EdDSA. */
  readonly eddsaPublicKey: Setting<Secret | undefined>
  /** What `aud` must be. */
  readonly audience: Setting<string | undefined>
  /** What `iss` must be. */
  readonly issuer: Setting<string | undefined>
  /** Keys that are read from elsewhere. */
  readonly jwks: {
    readonly endpoint: Setting<string | undefined>
    readonly cacheTtlMs: Setting<number>
    readonly timeoutMs: Setting<number>
  }
} = {
  hmacSecretKey: setting(secret(), {
    description: 'Secret of tokens signed with HS256 and its kin.',
  }),
  rsaPublicKey: setting(secret(), { description: 'PEM text of the key of RS256 and its kin.' }),
  ecdsaPublicKey: setting(secret(), { description: 'PEM text of the key of ES256 and its kin.' }),
  eddsaPublicKey: setting(secret(), { description: 'PEM text of the key of EdDSA (Ed25519).' }),
  audience: setting(text(), { description: 'What `aud` of a token must be or hold.' }),
  issuer: setting(text(), { description: 'What `iss` of a token must be.' }),
  jwks: {
    endpoint: setting(
      text({
        pattern: /(https?|file):\/\/.+/,
        allowed: 'a URL with http://, https:// or file://',
        name: 'url',
      }),
      { description: 'Where the keys are, instead of one in this file.' },
    ),
    cacheTtlMs: setting(duration({ min: '1s' }), {
      default: '1h',
      description: 'How old the keys may be before they are read again.',
    }),
    timeoutMs: setting(duration({ min: '10ms' }), {
      default: '10s',
      description: 'How long reading them may take.',
    }),
  },
}

type JwtSettings = Resolved<typeof JWT_SETTINGS>

/** Keys of settings, by the names a file has for them. */
const KEYS = {
  hmacSecretKey: 'hmac_secret_key',
  rsaPublicKey: 'rsa_public_key',
  ecdsaPublicKey: 'ecdsa_public_key',
  eddsaPublicKey: 'eddsa_public_key',
} as const

/** What the settings demand; undefined when they name no key. */
export function jwtDemand(settings: JwtSettings): JwtDemand | undefined {
  const { audience, issuer, jwks, ...keys } = settings
  const { endpoint, cacheTtlMs, timeoutMs } = jwks
  const texts = Object.entries(keys).flatMap(([name, key]) =>
    key === undefined ? [] : [[name, key.reveal()] as const],
  )
  if (texts.length === 0 && endpoint === undefined) return undefined
  return {
    ...Object.fromEntries(texts),
    ...(audience !== undefined && { audience }),
    ...(issuer !== undefined && { issuer }),
    ...(endpoint !== undefined && { jwks: { endpoint, cacheTtlMs, timeoutMs } }),
  }
}

/** What is wrong with the settings of tokens; no message repeats a key. */
export function* jwtProblems(
  key: string,
  settings: JwtSettings,
  kind?: 'http' | 'tcp',
): Generator<RuleProblem> {
  const demand = jwtDemand(settings)
  const named = Object.entries(KEYS).find(([name]) => demand !== undefined && name in demand)?.[1]
  const place = `${key}.${named ?? 'jwks.endpoint'}`
  if (demand === undefined) {
    const lone = settings.audience === undefined ? settings.issuer && 'issuer' : 'audience'
    if (lone !== undefined && lone !== '') {
      yield { key: `${key}.${lone}`, message: 'it is asked of tokens, but no key for them is set' }
    }
    return
  }
  if (kind === 'tcp') {
    const message = 'it is for protocol http: a TCP connection has no token'
    yield { key: place, message, hint: 'use allow and deny' }
  }
  try {
    verifierOf(demand)
  } catch (error) {
    yield { key: place, message: error instanceof Error ? error.message : String(error) }
  }
}
