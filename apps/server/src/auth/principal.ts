import type { Right } from '@proj/auth'
import type { Grant } from '@proj/tunnel/server'

/** An authenticated peer; credentials are read once for each request or session. */
export interface Principal extends Omit<Grant, 'permits'> {
  /** Whether it has a right; for `admin` no endpoint is named. */
  permits(right: Right, endpoint?: string): boolean
}

/** A peer on a port that asks for no credentials. */
export const ANONYMOUS: Principal = { identity: 'anonymous', tenant: '', permits: () => true }
