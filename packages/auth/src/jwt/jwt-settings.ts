/**
 * The settings of JWTs, wherever they are: `auth` of the server's ports and tenants, and `visitors.jwt` of
 * endpoints. The names are Piko's.
 */
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

import { isAuthError } from '../errors.ts'
import { type JwtDemand, jwtVerifierOf } from './jwt-demand.ts'
import type { KeyOption } from './static-keys.ts'

/** Settings of the JWTs that are accepted, to be put into a group. */
export const JWT_SETTINGS: {
  /** Secret of HS256, HS384 and HS512. */
  readonly hmacSecretKey: Setting<Secret | undefined>
  /** Key of RS256, RS384 and RS512. */
  readonly rsaPublicKey: Setting<Secret | undefined>
  /** Key of ES256, ES384 and ES512. */
  readonly ecdsaPublicKey: Setting<Secret | undefined>
  /** Key of EdDSA. */
  readonly eddsaPublicKey: Setting<Secret | undefined>
  /** What `aud` must be or hold. */
  readonly audience: Setting<string | undefined>
  /** What `iss` must be. */
  readonly issuer: Setting<string | undefined>
  /** A key set at a URL, instead of a key. */
  readonly jwks: {
    readonly endpoint: Setting<string | undefined>
    readonly cacheTtlMs: Setting<number>
    readonly timeoutMs: Setting<number>
  }
} = {
  hmacSecretKey: setting(secret(), {
    description: 'Secret of JWTs signed with HS256, HS384 or HS512.',
    hidden: true,
  }),
  rsaPublicKey: setting(secret(), {
    description: 'PEM text of the public key of JWTs signed with RS256, RS384 or RS512.',
    hidden: true,
  }),
  ecdsaPublicKey: setting(secret(), {
    description: 'PEM text of the public key of JWTs signed with ES256, ES384 or ES512.',
    hidden: true,
  }),
  eddsaPublicKey: setting(secret(), {
    description: 'PEM text of the public key of JWTs signed with EdDSA (Ed25519).',
    hidden: true,
  }),
  audience: setting(text(), { description: 'What `aud` of a JWT must be or hold.', hidden: true }),
  issuer: setting(text(), { description: 'What `iss` of a JWT must be.', hidden: true }),
  jwks: {
    endpoint: setting(
      text({
        pattern: /(https?|file):\/\/.+/,
        allowed: 'a URL with http://, https:// or file://',
        name: 'url',
      }),
      { description: 'URL of the key set of JWTs, instead of a key in this file.', hidden: true },
    ),
    cacheTtlMs: setting(duration({ min: '1s' }), {
      default: '1h',
      description: 'How old the keys may be before they are read again.',
      hidden: true,
    }),
    timeoutMs: setting(duration({ min: '10ms' }), {
      default: '10s',
      description: 'How long reading them may take.',
      hidden: true,
    }),
  },
}

/** {@link JWT_SETTINGS} for the groups that Piko has too: in its files 0 is the default of a duration. */
export const PIKO_JWT_SETTINGS: typeof JWT_SETTINGS = {
  ...JWT_SETTINGS,
  jwks: {
    endpoint: JWT_SETTINGS.jwks.endpoint,
    cacheTtlMs: setting(duration(), {
      default: '1h',
      description: 'How old the keys may be before they are read again; 0: one hour.',
      hidden: true,
    }),
    timeoutMs: setting(duration(), {
      default: '10s',
      description: 'How long reading them may take; 0: 10 seconds.',
      hidden: true,
    }),
  },
}

/** The values of {@link JWT_SETTINGS}. */
export type JwtSettings = Resolved<typeof JWT_SETTINGS>

/** Keys of a file, by the names of the options. */
const KEYS: Readonly<Record<KeyOption, string>> = {
  hmacSecretKey: 'hmac_secret_key',
  rsaPublicKey: 'rsa_public_key',
  ecdsaPublicKey: 'ecdsa_public_key',
  eddsaPublicKey: 'eddsa_public_key',
}

/** Whether any key is configured. Piko takes an empty key as none. */
export function hasJwtKeys(settings: JwtSettings): boolean {
  if (settings.jwks.endpoint !== undefined) return true
  return keysIn(settings).some(([, key]) => key !== '')
}

/** What the settings demand; undefined when they name no key. An empty key is named, but no verifier takes it. */
export function jwtDemand(settings: JwtSettings): JwtDemand | undefined {
  const { audience, issuer, jwks } = settings
  const { endpoint, cacheTtlMs, timeoutMs } = jwks
  const keys = keysIn(settings)
  if (keys.length === 0 && endpoint === undefined) return undefined
  return {
    ...Object.fromEntries(keys),
    ...(audience !== undefined && { audience }),
    ...(issuer !== undefined && { issuer }),
    ...(endpoint !== undefined && {
      jwks: {
        endpoint,
        ...(cacheTtlMs > 0 && { cacheTtlMs }),
        ...(timeoutMs > 0 && { timeoutMs }),
      },
    }),
  }
}

/**
 * What is wrong with the settings, each under its key; no message repeats a key.
 *
 * @param group - key path of the group, such as `proxy.auth`
 */
export function* jwtProblems(group: string, settings: JwtSettings): Generator<RuleProblem> {
  if (!hasJwtKeys(settings)) {
    const { audience = '', issuer = '' } = settings
    const lone = audience === '' ? issuer !== '' && 'issuer' : 'audience'
    if (lone !== false) {
      yield {
        key: `${group}.${lone}`,
        message: 'it is asked of tokens, but no key for them is set',
      }
    }
    return
  }
  try {
    jwtVerifierOf(jwtDemand(settings) ?? {})
  } catch (error) {
    if (!isAuthError(error)) throw error
    const { option, text: problem, detail, message } = error
    const key = isKeyOption(option) ? KEYS[option] : undefined
    yield key === undefined
      ? { key: `${group}.jwks.endpoint`, message }
      : { key: `${group}.${key}`, message: `${problem}: ${key} ${detail ?? 'cannot be used'}` }
  }
}

/** Keys that are set and empty: where a key is the only protection, such a file must not be accepted. */
export function emptyJwtKeys(settings: JwtSettings): string[] {
  return keysIn(settings).flatMap(([option, key]) => (key === '' ? [KEYS[option]] : []))
}

/** Key in the group of the first setting that names a key. */
export function firstJwtKey(settings: JwtSettings): string | undefined {
  const [first] = keysIn(settings)
  if (first !== undefined) return KEYS[first[0]]
  return settings.jwks.endpoint === undefined ? undefined : 'jwks.endpoint'
}

function keysIn(settings: JwtSettings): [option: KeyOption, key: string][] {
  const { hmacSecretKey, rsaPublicKey, ecdsaPublicKey, eddsaPublicKey } = settings
  const keys = { hmacSecretKey, rsaPublicKey, ecdsaPublicKey, eddsaPublicKey }
  return Object.entries(keys).flatMap(([option, key]) =>
    key !== undefined && isKeyOption(option) ? [[option, key.reveal()]] : [],
  )
}

function isKeyOption(name: string | undefined): name is KeyOption {
  return name !== undefined && Object.hasOwn(KEYS, name)
}
