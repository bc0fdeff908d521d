import { PIKO_JWT_SETTINGS } from '@proj/auth'
import { boolean, type Resolved, setting } from '@proj/config'

/** Which JWTs one port, or one tenant, accepts. The names are Piko's. */
export const AUTH_SETTINGS = {
  ...PIKO_JWT_SETTINGS,
  disableDisconnectOnExpiry: setting(boolean(), {
    default: 'false',
    description: 'Whether a session outlives the token it was opened with.',
    hidden: true,
  }),
} as const

/** The values of `AUTH_SETTINGS`. */
export type AuthSettings = Resolved<typeof AUTH_SETTINGS>
