/** The inspector of a running agent: what it captures, and where its page is. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Duplex } from 'node:stream'

import { formatHostPort, isLoopbackBind, type ListenAddress } from '@proj/config/address'
import type { InspectedListener, InspectorState } from '@proj/pages'
import { accessLists, hostNames } from '@proj/program-kit'
import { type InheritedSocket, type InheritedSockets, listen } from '@proj/portcheck'
import type { Logger } from '@proj/tunnel'

import type { AgentSettings } from '../settings.ts'
import { Capture } from './capture.ts'
import { createInspectServer } from './inspect-server.ts'
import { Secrets } from './secrets.ts'

/** Name of its sockets when another process takes them over. */
const NAME = 'inspector'

/** How often a service that is down is tried while a page is open, ms. */
const CHECK_MS = 2_000

/** What the inspector shows of the agent. */
export interface InspectedAgent {
  readonly software: string
  /** Whether there is a session with the server; else why not. */
  readonly link: () => { readonly isUp: boolean; readonly problem: string | undefined }
  readonly listeners: () => readonly (Omit<InspectedListener, 'down'> & {
    /** What the dialer found when the service was last not reached. */
    readonly failure: string | undefined
    readonly connect: (signal: AbortSignal) => Promise<Duplex>
  })[]
}

/** A running inspector. */
export interface Inspector extends AsyncDisposable {
  readonly capture: Capture
  /** Where the page is, without the token; undefined: no port was free. */
  readonly url: string | undefined
  /** The address that opens the page: with the token behind `#`, which no browser sends. */
  readonly openUrl: string | undefined
  descriptors(): InheritedSocket[]
  /** Closes the port. */
  close(): void
}

/** Makes what captures, as the settings say. */
export function createCapture({
  keep,
  bodyBytes,
  maxBytes,
  maxPerSecond,
}: AgentSettings['inspector']): Capture {
  return new Capture({ keep, bodyBytes, maxBytes, maxPerSecond })
}

/**
 * Opens the port of the inspector; when it is taken, the next free one. Without any the agent works all the same.
 *
 * @param token - what the API asks for.
 */
export async function openInspector(
  settings: AgentSettings['inspector'],
  capture: Capture,
  agent: InspectedAgent,
  {
    token,
    inherited,
    logger,
    signal,
  }: {
    readonly token: string
    readonly inherited: InheritedSockets
    readonly logger: Logger
    readonly signal: AbortSignal
  },
): Promise<Inspector> {
  const { bindAddr, hosts, secrets: more } = settings
  const ended = new AbortController()
  const isPublic = !bindAddr.every(isLoopbackBind)
  let ports: readonly number[] = []
  const server = createInspectServer({
    capture,
    secrets: new Secrets(more),
    software: agent.software,
    rules: {
      token,
      hosts: [
        ...hosts.map((host) => host.toLowerCase()),
        ...hostNames(bindAddr),
        ...bindAddr.filter(isLoopbackBind).flatMap(hostOf),
      ],
      ports: () => ports,
      isPublic,
    },
    assets: async () =>
      await import('@proj/pages').then(
        ({ inspectorAssets }) => inspectorAssets,
        () => undefined,
      ),
    state: () => stateOf(capture, agent),
    connect: (endpoint) => agent.listeners().find((one) => one.endpoint === endpoint)?.connect,
  })
  try {
    const listeners = await listen(bindAddr, {
      server,
      name: NAME,
      inherited,
      require: 'all',
      conflict: 'next',
      ...accessLists({ allow: undefined, deny: [] }),
      signal,
    })
    ports = listeners.bound.map(({ port }) => port)
    const [first] = listeners.bound
    const isUsual = !isPublic && bindAddr.some(isLocalhost)
    const url = isUsual
      ? `http://localhost:${ports[0] ?? 0}/`
      : `${first?.urls[0]?.replace(/\/$/, '') ?? ''}/`
    logger.debug({ url }, 'inspector open')
    void checkServices(capture, agent, ended.signal)
    return {
      capture,
      url,
      openUrl: `${url}#t=${token}`,
      descriptors: () => listeners.descriptors(NAME),
      close: () => void listeners.close(),
      [Symbol.asyncDispose]: async () => {
        ended.abort()
        server.close()
        server.closeAllConnections()
        await listeners[Symbol.asyncDispose]()
      },
    }
  } catch (error) {
    server.close()
    if (signal.aborted) throw error
    logger.warn({ err: error }, 'the inspector has no port')
    return {
      capture,
      url: undefined,
      openUrl: undefined,
      descriptors: () => [],
      close: () => {},
      [Symbol.asyncDispose]: async () => ended.abort(),
    }
  }
}

/** Whether `localhost` of a browser leads to it: other addresses of loopback have to be named. */
function isLocalhost(address: ListenAddress): boolean {
  return address.kind === 'tcp' && ['localhost', '127.0.0.1', '::1'].includes(address.host)
}

/** The host of an address as a URL has it. */
function hostOf(address: ListenAddress): string[] {
  return address.kind === 'tcp' ? [formatHostPort(address.host, 0).slice(0, -':0'.length)] : []
}

function stateOf(capture: Capture, agent: InspectedAgent): InspectorState {
  const { store, skipped, outages, records, rttMs } = capture
  const { isUp, problem } = agent.link()
  return {
    software: agent.software,
    connected: isUp,
    ...(!isUp && problem !== undefined && { problem }),
    ...(rttMs !== undefined && { rttMs: Math.round(rttMs) }),
    listeners: agent.listeners().map((listener) => {
      const { endpoint, kind, service, urls, online, failure } = listener
      const outage = outages.get(endpoint)
      return {
        endpoint,
        kind,
        service,
        urls,
        online,
        ...(outage !== undefined && {
          down: {
            since: new Date(outage.since).toISOString(),
            text: failure ?? 'the service does not answer',
            refused: outage.refused,
          },
        }),
      }
    }),
    kept: store.size,
    keep: store.limits.keep,
    bytes: store.bytes,
    maxBytes: store.limits.maxBytes,
    bodyBytes: store.limits.bodyBytes,
    skipped,
    recording: records,
  }
}

/** While a page is open, services that are down are tried, so that it says when they are back. */
async function checkServices(
  capture: Capture,
  agent: InspectedAgent,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    await delay(CHECK_MS, undefined, { ref: false, signal }).catch(() => {})
    if (!capture.store.isWatched || signal.aborted) continue
    for (const { endpoint, connect } of agent.listeners()) {
      if (!capture.outages.has(endpoint)) continue
      try {
        const socket = await connect(AbortSignal.any([AbortSignal.timeout(CHECK_MS), signal]))
        socket.destroy()
        capture.noteUp(endpoint)
      } catch {
        // it is still down
      }
    }
  }
}
