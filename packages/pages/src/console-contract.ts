/** The JSON of the server's API as the console reads it, and the files of the page. docs/api.md has the API. */
import type { PageAsset } from './contract.ts'

/** The files of the console's page. */
export declare const consoleAssets: readonly PageAsset[]

/** A page of a list. */
export interface ListPage<Item> {
  readonly items: readonly Item[]
  /** Absent: it was the last page. */
  readonly next?: string
  /** Nodes that did not answer. */
  readonly unreachable?: readonly string[]
}

/** `GET /session`. */
export interface Session {
  readonly identity: string
  /** Whether changes are allowed without more. */
  readonly mayChange: boolean
  readonly ends: string | null
}

/** `POST /session`. */
export interface NewSession extends Session {
  readonly proof: string
}

/** An item of `GET /endpoints`. */
export interface EndpointItem {
  readonly endpoint: string
  readonly tenant: string
  readonly sessions: number
  readonly nodes: readonly { readonly node: string; readonly sessions: number }[]
  readonly urls: readonly string[]
  readonly reservedFor: string | null
}

/** An item of `GET /agents`: one endpoint of one session. */
export interface AgentItem {
  readonly node: string
  /** Behind its tenant and a slash, if it has one. */
  readonly endpoint: string
  readonly session: string
  readonly agent?: string
  readonly protocol: 'adit' | 'piko'
  /** Program and version, as the agent says. */
  readonly software?: string
  readonly roundTripMs?: number
  /** As whom it has authorised itself; absent from older nodes. */
  readonly identity?: string
  readonly remoteAddress?: string
  readonly connectedAt: string
  readonly openStreams: number
}

/** An item of `GET /tokens`. */
export interface TokenItem {
  readonly id: string
  readonly identity: string
  readonly name: string
  readonly tenant: string
  readonly may: readonly string[]
  readonly endpoints: readonly string[]
  readonly created: string
  readonly expires: string | null
  readonly revoked: string | null
  readonly lastUse: string | null
  readonly state: 'good' | 'expired' | 'revoked'
}

/** `POST /tokens`. */
export interface NewToken extends TokenItem {
  readonly token: string
}

/** An item of `GET /reservations`. */
export interface ReservationItem {
  readonly tenant: string
  readonly endpoint: string
  readonly kind: 'http' | 'tcp'
  readonly identity: string
  readonly since: string
  readonly port?: number
}

/** An item of `GET /audit`. */
export type AuditItem = Readonly<Record<string, string | number>> & {
  readonly time: string
  readonly event: string
}

/** An item of `GET /nodes`. */
export interface NodeItem {
  readonly id: string
  readonly status: 'active' | 'unreachable' | 'left'
  readonly endpoints: number
  readonly upstreams: number
  readonly version: string
  readonly local: boolean
  readonly sessions: number
  readonly proxy_addr?: string
  readonly admin_addr?: string
}

/** An item of `GET /ports`. */
export interface PortItem {
  readonly node: string
  readonly port: number
  readonly endpoint: string
  readonly tenant?: string
  readonly identity: string
  readonly since: string
  readonly heldUntil?: string
  readonly sessions: number
  readonly addresses: readonly string[]
  readonly visitors?: number
  readonly connections?: number
  readonly refused?: number
  readonly bytesIn?: number
  readonly bytesOut?: number
}
