import type { Right } from '@proj/auth'
import type { Grant } from '@proj/tunnel/server'

/** Somebody who was recognised, once per request or session; nobody reads the credentials again. */
export interface Principal extends Omit<Grant, 'permits'> {
  /** Whether it has a right; for `admin` no endpoint is named. */
  permits(right: Right, endpoint?: string): boolean
}

/** Somebody of whom nothing is asked. */
export const ANONYMOUS: Principal = { identity: 'anonymous', tenant: '', permits: () => true }
