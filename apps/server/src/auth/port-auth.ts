import { type AuthError, isAuthError, JwtVerifier, KeySet } from '@proj/auth'
import type { Logger } from '@proj/tunnel'

import type { AuthSettings } from './auth-settings.ts'

/** How JWTs are judged on one port, or for one tenant. */
export interface PortAuth {
  /** Judges them. */
  readonly verifier: JwtVerifier
  /** Whether a session ends when its token does. */
  readonly endsAtExpiry: boolean
  /** Reads the key set, where there is one, ahead of the first token. Never rejects. */
  prepare(): Promise<unknown>
}

/** Keys of settings, by the names the verifier has for them. */
const KEYS = {
  hmacSecretKey: 'hmac_secret_key',
  rsaPublicKey: 'rsa_public_key',
  ecdsaPublicKey: 'ecdsa_public_key',
  eddsaPublicKey: 'eddsa_public_key',
} as const

/** Whether any key is configured: then tokens are asked for. */
export function hasKeys(auth: AuthSettings): boolean {
  return (
    auth.jwks.endpoint !== undefined ||
    Object.keys(KEYS).some((name) => {
      const key = auth[name as keyof typeof KEYS] // a key of the table above
      return key !== undefined && key.reveal() !== ''
    })
  )
}

/**
 * Makes what the settings say, or nothing when they have no key.
 *
 * @throws {AuthError} IDENTITY_KEY_INVALID.
 */
export function portAuth(auth: AuthSettings, logger: Logger): PortAuth | undefined {
  if (!hasKeys(auth)) return undefined
  const { jwks, audience, issuer } = auth
  const keySet =
    jwks.endpoint === undefined
      ? undefined
      : new KeySet({
          endpoint: jwks.endpoint,
          // Zero is Piko's word for the default.
          ...(jwks.cacheTtlMs > 0 && { cacheTtlMs: jwks.cacheTtlMs }),
          ...(jwks.timeoutMs > 0 && { timeoutMs: jwks.timeoutMs }),
          onError: (error) => logger.warn({ why: error.message }, 'keys of tokens not read'),
        })
  const verifier = new JwtVerifier({
    ...revealed(auth),
    ...(keySet !== undefined && { keySet }),
    ...(audience !== undefined && { audience }),
    ...(issuer !== undefined && { issuer }),
  })
  return {
    verifier,
    endsAtExpiry: !auth.disableDisconnectOnExpiry,
    prepare: async () => await keySet?.prepare(),
  }
}

/** What is wrong with the keys of a port, by the key of the setting below `auth`. */
export function authProblem(auth: AuthSettings): { key: string; message: string } | undefined {
  const silent = { debug() {}, info() {}, warn() {}, error() {} }
  try {
    portAuth(auth, silent)
    return undefined
  } catch (error) {
    if (!isAuthError(error)) throw error
    return { key: settingOf(error), message: inSettings(error) }
  }
}

function settingOf({ message }: AuthError): string {
  const named = Object.entries(KEYS).find(([option]) => message.includes(option))
  return named?.[1] ?? 'jwks.endpoint'
}

function inSettings({ message }: AuthError): string {
  return Object.entries(KEYS).reduce((text, [option, key]) => text.replace(option, key), message)
}

function revealed(auth: AuthSettings): { readonly [Name in keyof typeof KEYS]?: string } {
  const keys = Object.keys(KEYS).map((name) => {
    const key = auth[name as keyof typeof KEYS] // a key of the table above
    return key === undefined ? [] : [[name, key.reveal()]]
  })
  return Object.fromEntries(keys.flat())
}
