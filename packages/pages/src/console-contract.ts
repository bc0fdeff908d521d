/** The JSON of the server's API, shared by the console and the server, and the files of the page. docs/api.md has the API. */
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

/** `GET /sign-in`. */
export interface SignInWays {
  /** Host of the OpenID provider; null: none is configured. */
  readonly provider: string | null
}

/** `POST /sign-in/oidc`. */
export interface BegunSignIn {
  readonly url: string
  /** Kept by the tab, and sent with the answer of the provider. */
  readonly pending: string
}

/** An item of `GET /endpoints`. */
export interface EndpointItem {
  readonly endpoint: string
  readonly tenant: string
  readonly sessions: number
  readonly nodes: readonly { readonly node: string; readonly sessions: number }[]
  readonly urls: readonly string[]
  readonly reservedFor: string | null
  readonly state: EndpointState
  /** Requests of the last hour in 30 steps; empty: not known. */
  readonly requests?: readonly number[]
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

/** An item of `GET /domains`. */
export interface DomainItem {
  readonly tenant: string
  readonly identity: string
  readonly domain: string
  readonly endpoint: string
  readonly state: 'pending' | 'proved' | 'missing'
  /** The DNS record that proves it; absent where a file does. */
  readonly record?: { readonly name: string; readonly type: string; readonly value: string }
  /** The file that proves it; absent where a record does. */
  readonly file?: { readonly url: string; readonly content: string }
  readonly since: string
  readonly checkedAt?: string
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

/** How a step of a diagnosis is. */
export type StepState = 'ok' | 'warn' | 'bad' | 'unknown' | 'unchecked'

/** How an endpoint is as a whole. */
export type EndpointState = 'reachable' | 'degraded' | 'down' | 'unknown'

/** A step of the way of a request. */
export interface DiagnosisStep {
  readonly step: 'name' | 'agent' | 'service' | 'rules'
  readonly state: StepState
  readonly text: string
  readonly todo?: string
  readonly who?: 'operator' | 'agent' | 'visitor'
}

/** The last hour in steps, oldest first; the last one goes on. */
export interface HistoryItem {
  readonly stepMs: number
  readonly requests: readonly number[]
  readonly errors: readonly number[]
  readonly rejected: readonly number[]
  readonly p50Ms: readonly (number | null)[]
  readonly p95Ms: readonly (number | null)[]
}

/** A request that failed. */
export interface Failure {
  readonly time: string
  /** 0: a connection of TCP. */
  readonly status: number
  /** Empty: the service gave the answer. */
  readonly code: string
  readonly method: string
  readonly path: string
  readonly requestId: string
}

/** `GET /endpoints/{name}`. */
export interface EndpointDetail {
  readonly endpoint: string
  readonly tenant: string
  readonly state: EndpointState
  readonly summary: string
  readonly urls: readonly string[]
  readonly steps: readonly DiagnosisStep[]
  /** Newest first. */
  readonly failures: readonly Failure[]
  /** Null: there is none, because it was not served here, or there are too many endpoints. */
  readonly history: HistoryItem | null
  readonly agents: readonly string[]
}

/** `GET /server`. */
export interface ServerInfo {
  readonly node: string
  readonly version: string
  readonly state: string
  readonly started: string
  readonly requests: number
  readonly inFlight: number
  readonly connections: number
  readonly upgraded: number
  readonly history: HistoryItem
}

/** An item of `GET /accesses`. */
export interface AccessItem {
  readonly identity: string
  readonly remoteAddress?: string
  readonly software?: string
  readonly since: string
  readonly connections: number
}

/** An item of `GET /certificates`. */
export interface CertificateItem {
  readonly listener: string
  readonly names: readonly string[]
  readonly serial: string
  readonly expires: string
  readonly wantsClientCertificate: boolean
}

/** An item of `GET /limits`. */
export interface LimitItem {
  /** Names it. */
  readonly limit: string
  /** How often it was hit since the start. */
  readonly count: number
  /** The setting that changes it; absent: there is none. */
  readonly setting?: string
}

/** An item of `GET /configuration`. */
export interface SettingItem {
  readonly key: string
  readonly value: string | null
  readonly origin: string
}
