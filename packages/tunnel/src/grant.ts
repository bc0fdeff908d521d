/** What a peer wants to do with an endpoint. */
export type EndpointAction = 'listen' | 'connect'

/** What an authorised peer may do, asked again for every endpoint its session touches. */
export interface Grant {
  /** Who it is, for logs and conflicts; no secret. */
  readonly identity: string
  /** Whether the peer may do this with this endpoint. */
  permits(action: EndpointAction, endpoint: string): boolean
}

/** Lets everyone do everything: right on loopback, and the app's decision elsewhere. */
export function allowAll(): Grant {
  return { identity: 'anonymous', permits: () => true }
}
