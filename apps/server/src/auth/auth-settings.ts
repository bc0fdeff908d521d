import { boolean, duration, type Resolved, secret, setting, text } from '@proj/config'

/** What one port, or one tenant, demands of JWTs. Keys are Piko's. */
export const AUTH_SETTINGS = {
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
  disableDisconnectOnExpiry: setting(boolean(), {
    default: 'false',
    description: 'Whether a session outlives the token it was opened with.',
    hidden: true,
  }),
  jwks: {
    endpoint: setting(
      text({
        pattern: /(https?|file):\/\/.+/,
        allowed: 'a URL with http://, https:// or file://',
        name: 'url',
      }),
      { description: 'Where the keys of JWTs are, instead of one in this file.', hidden: true },
    ),
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
} as const

/** The values of `AUTH_SETTINGS`. */
export type AuthSettings = Resolved<typeof AUTH_SETTINGS>
