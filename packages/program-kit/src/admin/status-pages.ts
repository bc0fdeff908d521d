/**
 * The contract of the admin pages: the JSON of every status page of both programs. Who writes a page and
 * who reads it use these types. Scripts read the pages, too: fields are added, never changed.
 */
import type { WorkerLoad } from './worker-load.ts'

/** The status pages of a server, by path. */
export interface ServerPages {
  /** Agent sessions by endpoint, as Piko has them. */
  readonly '/status/upstream/endpoints': Readonly<Record<string, number>>
  readonly '/status/upstream/sessions': readonly SessionStatus[]
  readonly '/status/edge': EdgeStatus
  readonly '/status/ports': readonly PortStatus[]
  /** By name of the port; a port without TLS is absent. */
  readonly '/status/tls': Readonly<Record<string, TlsStatus>>
  /** Every node of the cluster; a server alone is one. */
  readonly '/status/cluster/nodes': readonly NodeStatus[]
  /** The same for Piko's command on its gossip, which does not exist here. */
  readonly '/status/gossip/nodes': readonly GossipNodeStatus[]
}

/** One node of a cluster. The names with an underscore are Piko's. */
export interface NodeStatus {
  /** Names it, across restarts. */
  readonly id: string
  /** `left`: it is about to stop; `unreachable`: the node that was asked has no connection to it. */
  readonly status: 'active' | 'unreachable' | 'left'
  /** Host and port that the other nodes connect to; empty on a server alone. */
  readonly proxy_addr: string
  /** Empty: nodes ask one another over their own connections. */
  readonly admin_addr: string
  /** Endpoints that have an agent there. */
  readonly endpoints: number
  /** Agent sessions by endpoint, summed up. */
  readonly upstreams: number
  /** Names this run of it. */
  readonly boot: string
  /** Version of its program. */
  readonly version: string
  /** Whether it is the node that was asked. */
  readonly local: boolean
  /** Agent sessions. */
  readonly sessions: number
  /** Since when the database of the cluster has not answered this node, ISO 8601; absent: it answers. */
  readonly databaseAwaySince?: string
  /** Which worker it is, where the nodes are processes of one server; absent: it is none, or does not answer. */
  readonly worker?: WorkerLoad
}

/** One node with its endpoints: the pages `/status/cluster/nodes/ID` and `/status/cluster/nodes/local`. */
export interface NodeDetails extends Omit<NodeStatus, 'endpoints' | 'upstreams'> {
  /** Agent sessions by endpoint. */
  readonly endpoints: Readonly<Record<string, number>>
}

/** A node as Piko's `gossip nodes` shows it. */
export interface GossipNodeStatus {
  /** Names it. */
  readonly id: string
  /** Host and port of its cluster port. */
  readonly addr: string
  /** Always 0. */
  readonly version: number
  /** Whether it is about to stop. */
  readonly left: boolean
  /** Whether the node that was asked has no connection to it. */
  readonly unreachable: boolean
  /** Always the time of Go that means none. */
  readonly expiry: string
}

/** A node as Piko's `gossip node` shows it. */
export interface GossipEntries extends GossipNodeStatus {
  /** Its address, and agent sessions by endpoint. */
  readonly Entries: readonly {
    readonly key: string
    readonly value: string
    readonly version: number
    readonly internal: boolean
    readonly deleted: boolean
  }[]
}

/** The status pages of an agent, by path. */
export interface AgentPages {
  readonly '/status': AgentStatus
}

/** The page `/ready` of a server, as its body says it. Older servers send none. */
export interface ReadyStatus {
  /** Whether the answer is 200. */
  readonly ready: boolean
  /** `waiting`: for endpoints that were there before the start. */
  readonly state: 'starting' | 'waiting' | 'ready' | 'stopping'
  /** Absent when none is known of before the start. */
  readonly endpoints?: ReturnedEndpoints
}

/** Endpoints that had agents before a server started. */
export interface ReturnedEndpoints {
  /** How many they were. */
  readonly before: number
  /** How many of them have had an agent since. */
  readonly back: number
  /** How many of them the server has to have, or had to, before it is ready. */
  readonly needed: number
}

/** One endpoint of one agent's session. */
export interface SessionStatus {
  /** Name of the endpoint. */
  readonly endpoint: string
  /** Id of the session in the server's log. */
  readonly session: string
  /** Which agent; absent for agents of Piko. */
  readonly agent?: string
  /** Protocol of the session, `adit` or `piko`. */
  readonly protocol: string
  /** Program and version of the agent, as it says; absent when it has not. */
  readonly software?: string
  /** As whom it has authorised itself; absent from older servers. */
  readonly identity?: string
  /** The last round trip, ms; absent before the first. */
  readonly roundTripMs?: number
  /** Address the agent came from; absent when the connection is already gone. */
  readonly remoteAddress?: string
  /** When the session began, ISO 8601. */
  readonly connectedAt: string
  /** Streams open on the session now, of all its endpoints. */
  readonly openStreams: number
}

/** The proxy port; bytes are those of visitors. */
export interface EdgeStatus {
  /** Visitors connected now. */
  readonly connections: number
  /** Requests since the server started. */
  readonly requests: number
  /** Requests running now. */
  readonly inFlight: number
  /** Upgraded connections open now. */
  readonly upgraded: number
  /** Bytes received from visitors. */
  readonly bytesIn: number
  /** Bytes sent to visitors. */
  readonly bytesOut: number
  /** Number of answers by HTTP status. */
  readonly statuses: Readonly<Record<string, number>>
  /** Seconds in which no file descriptor was free, so that new connections were closed without an answer. */
  readonly secondsWithoutDescriptors?: number
}

/** A public TCP port. */
export interface PortStatus {
  /** Number of the port, 1 to 65535. */
  readonly port: number
  /** The endpoint its visitors reach. */
  readonly endpoint: string
  /** Tenant of the endpoint; absent on servers without tenants. */
  readonly tenant?: string
  /** Identity of the token that claimed it. */
  readonly identity: string
  /** When it was claimed, ISO 8601. */
  readonly since: string
  /** Until when it is kept while no agent serves it, ISO time; absent while one does. */
  readonly heldUntil?: string
  /** Agent sessions that serve it. */
  readonly sessions: number
  /** Addresses it listens on, host and port. */
  readonly addresses: readonly string[]
  /** Visitors connected now. */
  readonly visitors: number
  /** Visitors since it was claimed. */
  readonly connections: number
  /** Visitors the access lists rejected. */
  readonly refused: number
  /** Bytes received from visitors. */
  readonly bytesIn: number
  /** Bytes sent to visitors. */
  readonly bytesOut: number
}

/** TLS of one port. */
export interface TlsStatus {
  /** The certificates it shows. */
  readonly certificates: readonly {
    /** Host names and addresses, or the subject of a certificate without any. */
    readonly names: readonly string[]
    readonly serial: string
    /** ISO 8601. */
    readonly expires: string
  }[]
  /** Whether it asks clients for a certificate. */
  readonly wantsClientCertificate: boolean
  /** Handshakes running now as `inProgress`, and those that ended, by result. */
  readonly handshakes: Readonly<Record<string, number>>
}

/** The connection of an agent with the server: its listeners and its accesses have sessions of their own. */
export interface LinkStatus {
  /** `offers` is that of the listeners. */
  readonly half: 'offers' | 'accesses'
  /** Whether there is a session with the server now. */
  readonly state: 'connected' | 'connecting'
  /** Protocol of the session. */
  readonly protocol?: 'adit' | 'piko'
  /** Sessions open now; absent where there are none to count. */
  readonly sessions?: number
  /** The sessions that are open now; absent where there are none to count. */
  readonly connections?: readonly ConnectionStatus[]
  /** Servers of several that have rejected this agent and are not tried again; absent for none. */
  readonly refusedBy?: readonly ({ readonly server: string } & FailureReason)[]
  /** Since when it is connected, ISO time. */
  readonly since?: string
  /** The last failure to connect; absent while connected. */
  readonly lastError?: FailureStatus
  /** Time until the next attempt, ms. */
  readonly nextAttemptMs?: number
}

/** A session of an agent with a server. */
export interface ConnectionStatus {
  /** URL of the server. */
  readonly server: string
  /** Id that the server has given itself for as long as it runs; absent until it has told, and from Piko. */
  readonly serverId?: string
}

/** Why something failed. */
export interface FailureReason {
  /** Stable code, where there is one. */
  readonly code?: string
  /** One sentence for people. */
  readonly text: string
}

/** The last failure of a connection, a listener or an access. */
export interface FailureStatus extends FailureReason {
  /** How long ago, ms. */
  readonly ageMs: number
}

/** Why a server does not give an agent an endpoint. */
export interface RefusalStatus extends FailureStatus {
  /** What to do about it. */
  readonly hint?: string
  /** Time until the server is asked again, ms. */
  readonly nextAttemptMs: number
}

/** Connections and bytes of a listener or an access. */
export interface TrafficStatus {
  /** Connections open now. */
  readonly open: number
  /** Connections since the start, open ones included. */
  readonly total: number
  /** Bytes towards the service so far, those of open connections included. */
  readonly bytesToService: number
  /** Bytes from the service so far. */
  readonly bytesFromService: number
}

/** Requests of a listener. */
export interface RequestsStatus {
  /** Requests that run now, and connections that have become WebSockets. */
  readonly open: number
  /** Requests that were answered since the start. */
  readonly total: number
}

/** A request or a connection that was the last, or one of the last. */
export interface RecentRequest {
  /** When it began, ISO 8601. */
  readonly at: string
  /** Name of the endpoint. */
  readonly endpoint: string
  /** Method of the request; empty for a TCP connection. */
  readonly method: string
  /** Path with its query, secrets hidden; the visitor for a TCP connection. */
  readonly target: string
  /** Status of the answer; absent while there is none. */
  readonly status?: number
  /** Why there is no answer, or not all of it. */
  readonly code?: string
  /** How long it took, ms; absent while it runs. */
  readonly totalMs?: number
}

/** State of one listener. `open` and `total` are connections to the service: requests follow one another on them. */
export interface ListenerStatus extends TrafficStatus {
  /** Requests of an HTTP service; absent for TCP, and with a server of Piko, where they are not known. */
  readonly requests?: RequestsStatus
  /** Name of the endpoint. */
  readonly endpoint: string
  /** What the service speaks. */
  readonly kind: 'http' | 'tcp'
  /** Address of the service. */
  readonly service: string
  /** Where visitors reach it. */
  readonly urls: readonly string[]
  /** Whether the server routes visitors here. */
  readonly state: 'online' | 'offline'
  /** The server has refused the endpoint; absent while it is online, and before the server has answered. */
  readonly refused?: RefusalStatus
  /** It was added by a command and is not in the configuration. */
  readonly isAdded?: true
  /** The service fails the health checks; absent: it passes them, or there are none. */
  readonly isDown?: true
  /** Other agents that serve the endpoint, and how many other IP addresses they have; absent for none. */
  readonly others?: { readonly agents: number; readonly hosts: number }
  /** The last failure to reach the service. */
  readonly lastFailure?: FailureStatus
}

/** One local address of an access. */
export interface BindStatus {
  /** As it is configured. */
  readonly address: string
  /** `waiting`: the address is taken or does not exist yet. */
  readonly state: 'listening' | 'waiting'
  /** What really listens, as the system reports it. */
  readonly addresses: readonly string[]
  /** Why it waits; absent while it listens. */
  readonly why?: string
  /** Who holds the address. */
  readonly holder?: string
}

/** What the server knows of the endpoint of an access. */
export interface FarStatus {
  /**
   * `served`: agents serve it; `unserved`: none does; `refused`: the token does not allow it; `unknown`:
   * there is no connection to the server, or it is a server of Piko.
   */
  readonly state: 'served' | 'unserved' | 'refused' | 'unknown'
  /** Agents that serve the endpoint. */
  readonly agents?: number
  /** Sessions of these agents. */
  readonly sessions?: number
  /** Result of the last connection to the service: `ok` or a reset reason. */
  readonly outcome?: string
  /** How long ago that was, ms. */
  readonly ageMs?: number
}

/** State of one access. */
export interface AccessStatus extends TrafficStatus {
  /** Name of the endpoint. */
  readonly endpoint: string
  /** One entry per configured local address. */
  readonly binds: readonly BindStatus[]
  /** The endpoint at the server. */
  readonly far: FarStatus
  /** Connections that were reset so far. */
  readonly failures: number
  /** The reason of the last reset. */
  readonly lastFailure?: FailureStatus
}

/** State of a running agent: the page `/status`. */
export interface AgentStatus {
  /** Program and version, `adit/1.2.3`. */
  readonly software: string
  /** Process id, for `kill`. */
  readonly pid: number
  /** When the program started, ISO 8601. */
  readonly startedAt: string
  /** URL of the server, without credentials; of several, separated by commas. */
  readonly server: string
  /**
   * Whether everything here is as configured: connections to the server, listeners and local addresses. Also
   * true of a process that finishes its connections after an upgrade in place.
   */
  readonly ready: boolean
  /** Whether it drains before it ends. */
  readonly stopping: boolean
  /** Connections with the server that are needed. */
  readonly links: readonly LinkStatus[]
  /** One entry per listener. */
  readonly listeners: readonly ListenerStatus[]
  /** One entry per access. */
  readonly accesses: readonly AccessStatus[]
  /** Where the page of the inspector is; its token is told by `adit inspect` alone. Absent: there is none. */
  readonly inspect?: string
  /** The last requests, the newest first, to this user alone; absent without an inspector. */
  readonly recent?: readonly RecentRequest[]
}
