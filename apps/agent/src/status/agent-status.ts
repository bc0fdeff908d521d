/**
 * How a running agent fares, as its control API tells it. Scripts read this, so it only grows.
 *
 * Table: the shape of the answer, one interface per part.
 */

/** How one half of the program fares with the server. */
export interface LinkStatus {
  /** `offers` for the listeners, `accesses` for the accesses; each has its own sessions. */
  readonly half: 'offers' | 'accesses'
  /** Whether there is a session with the server now. */
  readonly state: 'connected' | 'connecting'
  /** Wire that is spoken. */
  readonly protocol?: 'adit' | 'piko'
  /** Sessions open now; absent where there are none to count. */
  readonly sessions?: number
  /** Since when it is connected, ISO time. */
  readonly since?: string
  /** What went wrong last; absent once it went well again. */
  readonly lastError?: FailureStatus
  /** Time until the next attempt, ms. */
  readonly nextAttemptMs?: number
}

/** Something that went wrong. */
export interface FailureStatus {
  /** Stable code, where there is one. */
  readonly code?: string
  /** One sentence. */
  readonly text: string
  /** How long ago, ms. */
  readonly ageMs: number
}

/** Connections and bytes. */
export interface TrafficStatus {
  /** Connections open now. */
  readonly open: number
  /** Connections so far. */
  readonly total: number
  /** Bytes towards the service so far, those of open connections included. */
  readonly bytesToService: number
  /** Bytes from the service so far. */
  readonly bytesFromService: number
}

/** One service that is offered. */
export interface ListenerStatus extends TrafficStatus {
  /** Name visitors use. */
  readonly endpoint: string
  /** What it carries. */
  readonly kind: 'http' | 'tcp'
  /** Address of the service. */
  readonly service: string
  /** Where visitors find it. */
  readonly urls: readonly string[]
  /** Whether the server routes visitors here. */
  readonly state: 'online' | 'offline'
  /** Why the service could not be reached the last time. */
  readonly lastFailure?: FailureStatus
}

/** One local address of an access. */
export interface BindStatus {
  /** As it is configured. */
  readonly address: string
  /** Whether it listens. */
  readonly state: 'listening' | 'waiting'
  /** What really listens, as the system reports it. */
  readonly addresses: readonly string[]
  /** Why it waits. */
  readonly why?: string
  /** Who holds the address. */
  readonly holder?: string
}

/** What the server knows of the far side of an access. */
export interface FarStatus {
  /**
   * `served`: agents are there; `unserved`: none is; `refused`: the token is not for it; `unknown`:
   * there is no server to ask, or it is one of Piko.
   */
  readonly state: 'served' | 'unserved' | 'refused' | 'unknown'
  /** Agents that serve the endpoint. */
  readonly agents?: number
  /** Their sessions. */
  readonly sessions?: number
  /** What became of the last connection to the service: `ok` or a reset reason. */
  readonly outcome?: string
  /** How long ago that was, ms. */
  readonly ageMs?: number
}

/** One endpoint that is brought here. */
export interface AccessStatus extends TrafficStatus {
  /** Name of the endpoint. */
  readonly endpoint: string
  /** Its local addresses. */
  readonly binds: readonly BindStatus[]
  /** The far side. */
  readonly far: FarStatus
  /** Connections that were reset so far. */
  readonly failures: number
  /** Why the last of them was. */
  readonly lastFailure?: FailureStatus
}

/** A running agent. */
export interface AgentStatus {
  /** Program and version. */
  readonly software: string
  /** Process id. */
  readonly pid: number
  /** ISO time. */
  readonly startedAt: string
  /** URL of the server, without credentials. */
  readonly server: string
  /** Whether everything on this side is as configured: links, listeners and binds. */
  readonly ready: boolean
  /** Whether it was told to end and only finishes what runs. */
  readonly stopping: boolean
  /** Its halves that have something to do. */
  readonly links: readonly LinkStatus[]
  /** What it offers. */
  readonly listeners: readonly ListenerStatus[]
  /** What it brings. */
  readonly accesses: readonly AccessStatus[]
}
