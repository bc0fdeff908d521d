import type { Agent, Consumer, ServerConnection } from '@proj/tunnel'
import type { Traffic } from '@proj/tunnel/io'

import type {
  AccessStatus,
  AgentStatus,
  ConnectionStatus,
  FailureReason,
  FailureStatus,
  FarStatus,
  LinkStatus,
  ListenerStatus,
  RecentRequest,
  RefusalStatus,
  TrafficStatus,
} from '@proj/program-kit'
import { formatListenerAddr } from '../listeners/listener-addr.ts'
import type { ListenerRefusal } from '../listeners/listener-refusal.ts'
import type { ConnectionMonitor } from '../connect/connection-monitor.ts'
import type { RunningAccess, RunningConfig, RunningListener } from '../running-config.ts'

/** The parts of a running agent that its status describes. */
export interface DescribedAgent {
  /** Program and version. */
  readonly software: string
  /** URLs of the servers. */
  readonly urls: readonly string[]
  readonly agent: Agent
  readonly consumer: Consumer
  /** The connections of the two with the server. */
  readonly links: { readonly listeners: ConnectionMonitor; readonly accesses: ConnectionMonitor }
  readonly running: Pick<RunningConfig, 'listeners' | 'accesses'>
  /** Aborted when the agent stops. */
  readonly stop: AbortSignal
  /** Whether a successor has taken over: this process only finishes what runs. */
  readonly isReplaced?: () => boolean
  /** Where the page of the inspector is; undefined: there is none. */
  readonly inspect?: () => string | undefined
  /** The last requests, at most so many, for the user of the agent alone. */
  readonly recent?: (most: number) => readonly RecentRequest[]
  /** The same with the token, for the terminal of the agent alone. */
  readonly openInspector?: () => string | undefined
}

/** How long the server may take to answer a query about an endpoint, ms. */
const QUERY_TIMEOUT_MS = 2_000

const STARTED_AT = new Date(Date.now() - performance.now()).toISOString()

/**
 * Describes a running agent, with what the server says of the far sides.
 *
 * @param far - by endpoint, what is already known of the far sides: these are not asked for.
 */
export async function describeAgent(
  described: DescribedAgent,
  far?: ReadonlyMap<string, FarStatus>,
): Promise<AgentStatus> {
  const { software, urls, running, stop, consumer, isReplaced } = described
  const inspect = described.inspect?.()
  const links = linksOf(described)
  const countsRequests = described.agent.protocol === 'adit'
  const listeners = running.listeners.map((one) => describeListener(one, countsRequests))
  const accesses = await Promise.all(
    running.accesses.map(async (access) => {
      const { endpoint } = access.made
      return describeAccess(access, far?.get(endpoint) ?? (await farSide(consumer, endpoint)))
    }),
  )
  const ready =
    links.every(({ state }) => state === 'connected') &&
    listeners.every(({ state }) => state === 'online') &&
    accesses.every(({ binds }) => binds.every(({ state }) => state === 'listening'))
  return {
    software,
    pid: process.pid,
    startedAt: STARTED_AT,
    server: urls.map(withoutCredentials).join(', '),
    // Of a process that was replaced, its successor is ready: a monitor must not see a gap.
    ready: (ready && !stop.aborted) || isReplaced?.() === true,
    stopping: stop.aborted,
    links,
    listeners,
    accesses,
    ...(inspect !== undefined && { inspect }),
  }
}

/** Asks the server for the state of an endpoint. */
export async function farSide(consumer: Consumer, endpoint: string): Promise<FarStatus> {
  const signal = AbortSignal.timeout(QUERY_TIMEOUT_MS)
  const state = await consumer.query(endpoint, { signal }).catch(() => undefined)
  if (state === undefined) return { state: 'unknown' }
  const { upstreams, agents, outcome, ageMs, permitted } = state
  return {
    state: permitted ? (upstreams > 0 ? 'served' : 'unserved') : 'refused',
    ...(agents !== undefined && { agents }),
    sessions: upstreams,
    ...(outcome !== undefined && { outcome }),
    ...(ageMs !== undefined && { ageMs }),
  }
}

function linksOf({ running, agent, consumer, links }: DescribedAgent): LinkStatus[] {
  const offers = describeLink('offers', links.listeners, agent, agent.sessions)
  const sessions = consumer.protocol === 'adit' ? consumer.connections.length : undefined
  const accesses = describeLink('accesses', links.accesses, consumer, sessions)
  return [
    ...(running.listeners.length > 0 ? [offers] : []),
    ...(running.accesses.length > 0 ? [accesses] : []),
  ]
}

function describeLink(
  half: LinkStatus['half'],
  link: ConnectionMonitor,
  { protocol, connections, refusedServers }: Agent | Consumer,
  sessions: number | undefined,
): LinkStatus {
  const { isUp, connectedAt, problem } = link
  const error = problem?.error
  return {
    half,
    state: isUp ? 'connected' : 'connecting',
    ...(isUp && protocol !== undefined && { protocol }),
    ...(isUp && sessions !== undefined && { sessions }),
    ...(connections.length > 0 && { connections: connections.map(describeConnection) }),
    ...(refusedServers.size > 0 && {
      refusedBy: [...refusedServers].map(([url, why]) => ({
        server: withoutCredentials(url),
        ...reasonOf(why),
      })),
    }),
    ...(connectedAt !== undefined && { since: new Date(connectedAt).toISOString() }),
    ...(problem !== undefined && error !== undefined && { lastError: failure(error, problem.at) }),
    ...(problem !== undefined && {
      nextAttemptMs: Math.max(0, problem.nextAttemptAt - Date.now()),
    }),
  }
}

function describeConnection({ url, serverId }: ServerConnection): ConnectionStatus {
  return { server: withoutCredentials(url), ...(serverId !== undefined && { serverId }) }
}

function describeListener(
  { setting, made, request }: RunningListener,
  countsRequests: boolean,
): ListenerStatus {
  const { listener, lastFailure, traffic, refusal } = made
  return {
    endpoint: listener.endpoint,
    kind: listener.kind,
    service: formatListenerAddr(setting.addr),
    urls: listener.urls,
    state: listener.online ? 'online' : 'offline',
    ...(refusal !== undefined && !listener.online && { refused: describeRefusal(refusal) }),
    ...(request !== undefined && { isAdded: true }),
    ...(!listener.isUp && { isDown: true }),
    ...(listener.others.agents > 0 && { others: listener.others }),
    ...describeTraffic(traffic, 'service'),
    ...(countsRequests &&
      listener.kind === 'http' && { requests: { open: traffic.busy, total: traffic.requests } }),
    ...(lastFailure !== undefined && { lastFailure: failure(lastFailure, lastFailure.at) }),
  }
}

function describeRefusal(refusal: ListenerRefusal): RefusalStatus {
  const { hint, at, againAt } = refusal
  return {
    ...failure(refusal, at),
    ...(hint !== undefined && { hint }),
    nextAttemptMs: Math.max(0, againAt - Date.now()),
  }
}

function describeAccess({ made, binds }: RunningAccess, far: FarStatus): AccessStatus {
  const { endpoint, traffic, failures, lastFailure } = made
  return {
    endpoint,
    binds: binds.map(({ text: address, addresses, waiting }) => ({
      address,
      state: waiting === undefined ? 'listening' : 'waiting',
      addresses,
      ...(waiting !== undefined && { why: waiting.why }),
      ...(waiting?.holder !== undefined && { holder: waiting.holder }),
    })),
    far,
    ...describeTraffic(traffic, 'consumer'),
    failures,
    ...(lastFailure !== undefined && { lastFailure: failure(lastFailure, lastFailure.at) }),
  }
}

/** @param socket - the side whose sockets the traffic counts. */
function describeTraffic(traffic: Traffic, socket: 'service' | 'consumer'): TrafficStatus {
  const { open, total, bytesToSocket, bytesFromSocket } = traffic
  const toService = socket === 'service' ? bytesToSocket : bytesFromSocket
  const fromService = socket === 'service' ? bytesFromSocket : bytesToSocket
  return { open, total, bytesToService: toService, bytesFromService: fromService }
}

function failure(error: unknown, at: number): FailureStatus {
  return { ...reasonOf(error), ageMs: Math.max(0, Date.now() - at) }
}

function reasonOf(error: unknown): FailureReason {
  const { code, text, message } = error as { code?: unknown; text?: unknown; message?: unknown }
  return { ...(typeof code === 'string' && { code }), text: String(text ?? message ?? error) }
}

function withoutCredentials(text: string): string {
  const url = new URL(text)
  url.username = ''
  url.password = ''
  return url.href
}
