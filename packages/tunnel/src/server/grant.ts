/** What a peer wants to do with an endpoint. */
export type EndpointAction = 'listen' | 'connect'

/** What an authorised peer may do, asked again for every endpoint its session touches. */
export interface Grant {
  /**
   * Who it is, for logs and conflicts; no secret. Sessions of one identity share a name, another's are
   * refused it.
   */
  readonly identity: string
  /** Whose names it uses: a name in one tenant never meets the same name in another. '' is the usual one. */
  readonly tenant: string
  /**
   * Aborted with an Error when the right is over, because it expired or was revoked: what lives on it is
   * cut. Absent: it lasts as long as the session.
   */
  readonly ended?: AbortSignal
  /** Whether the peer may do this with this endpoint. */
  permits(action: EndpointAction, endpoint: string): boolean
}

/** Lets everyone do everything: right on loopback, and the app's decision elsewhere. */
export function allowAll(): Grant {
  return { identity: 'anonymous', tenant: '', permits: () => true }
}
