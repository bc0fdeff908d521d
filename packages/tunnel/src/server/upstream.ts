import type { Channel, ChannelSink } from '@proj/mux'

import type { RejectedAnswer } from '../protocol/control-message.ts'
import type { Endpoint } from '../protocol/endpoint.ts'
import type { StreamRecord } from '../protocol/stream-record.ts'

/** One session of an agent, as far as an endpoint's visitors are concerned. */
export interface Upstream {
  /** Names the session in logs. */
  readonly id: string
  /**
   * Names the agent across its parallel sessions; visitors are spread over agents, not sessions. The agent has
   * chosen it, so agents of two identities may have the same.
   */
  readonly peer: string
  /** Id of the agent for operators, chosen by the server: no two identities have the same. */
  readonly agentId: string
  /** Wire spoken: Piko's baseline or ours. */
  readonly protocol: 'piko' | 'adit'
  /** Who authorised itself as what, of which tenant; see `Grant`. */
  readonly identity: string
  /** Tenant whose endpoints it serves. */
  readonly tenant: string
  /** IP address of the agent; undefined when its connection was gone already. */
  readonly remoteAddress: string | undefined
  /** Program and version of the agent, as it says; undefined when it has not said, as Piko's never does. */
  readonly software?: string | undefined
  /** The last round trip to the agent, ms; undefined before the first. */
  readonly roundTripMs?: number | undefined
  /** When the session was accepted, ms since the epoch. */
  readonly connectedAt: number
  /** Aborted when the session takes no more streams; such a one is never picked. */
  readonly leaving: AbortSignal
  /** Streams open now. */
  readonly openStreams: number
  /** Whether a stream moves much now, so that others wait behind it; absent: that is not known. */
  readonly carriesBulk?: boolean
  /** Most streams that may be open at once. */
  readonly maxStreams: number
  /** Streams that can be opened before the agent has to acknowledge some; Infinity when the session is over. */
  readonly openable: number
  /** Endpoints it serves now. */
  readonly endpointCount: number
  /** Whether the agent owes an answer; it is then picked only when there is no other. */
  readonly suspect: boolean
  /**
   * Whether it is another node of the cluster, whose agents serve the endpoint. A stream of kind `tcp` then
   * brings one byte before all others, when an agent has taken it; see `openConnection`.
   */
  readonly isRemote?: boolean
  /** Key of the one agent of that node that gets the streams; undefined: the node chooses one for each. */
  readonly agentKey?: string | undefined
  /** Streams for an endpoint that are open now. */
  streamsOf(endpoint: string): number
  /**
   * Opens a stream to the agent. The record travels ahead where the session speaks our protocol.
   *
   * @throws {MuxError} when the session takes none.
   */
  openStream(record: StreamRecord, sink?: ChannelSink): Channel
  /**
   * Waits while too many streams wait for the agent's acknowledgement: after `openStream` threw
   * MUX_ACK_BACKLOG. Resolves also when the session is over.
   */
  whenRoom(options: { readonly signal: AbortSignal }): Promise<void>
  /**
   * A request waits for the agent longer than usual: unless the agent sends anything within DOUBT_MS (or at
   * once), the session is `suspect` until it does. Unlike after `probe`, it does not end.
   */
  doubt(isAtOnce?: boolean): void
  /** Another agent began or ceased to serve an endpoint of the session. */
  agentsChanged?(endpoint: Endpoint): void
  /** An answer of a service was rejected, which its owner has to know; absent where the agent cannot be told. */
  answerRejected?(rejected: RejectedAnswer): void
  /** Pings the agent; without an answer the session ends soon. */
  probe(): void
  /**
   * Ends the session now, in a way that makes the agent come back.
   *
   * @param why - for the log.
   */
  end(why: string): void
}
