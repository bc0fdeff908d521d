import type { IncomingMessage, Server } from 'node:http'

import {
  type AdminAnswer,
  type AdminApi,
  type AdminPage,
  createAdminServer,
  jsonLine,
  jsonPage,
  metricsPage,
  type PageFile,
  type ReadyStatus,
  type ServerPages,
} from '@proj/program-kit'
import { type ClientCertificate, endpointText } from '@proj/tunnel/server'

import { type Authenticator, showsToken } from '../auth/authenticator.ts'
import { describeGossip, describeNodes, findNodePage } from '../cluster/cluster-pages.ts'
import { describePorts } from '../public-ports/describe-ports.ts'
import { describeTls } from '../tls/tls-status.ts'
import { ANONYMOUS } from '../auth/principal.ts'
import { limitCounts } from './limit-counts.ts'
import { serverMetrics } from './metrics.ts'
import { API_PATH } from './api/admin-api.ts'
import { isSignInPath } from './api/sign-in-routes.ts'
import { ConsoleSessions, type SessionCredentials } from './api/console-sessions.ts'
import type { AdminSources } from './admin-sources.ts'
import { AllWorkers, WORKER_PATH, type WorkerPages } from './worker-pages.ts'
import type { ApiSources } from './api/api-sources.ts'

/** What the admin port shows, and to whom. */
export interface ServerAdminOptions {
  /** What the pages and metrics are made from. */
  readonly sources: AdminSources
  /** Host names of the port besides `localhost`. */
  readonly hosts: readonly string[]
  /** The other processes of this server, whose part is shown with that of this one. Default: there are none. */
  readonly workers?: WorkerPages | undefined
  /** Whether the server is to have visitors, and if not, why. */
  readonly readiness: () => ReadyStatus
  /** The API, made with what the pages show. */
  readonly api: (status: ApiSources, sessions: ConsoleSessions) => AdminApi
  /** What the API shows and does besides. */
  readonly live: Pick<
    ApiSources,
    'accesses' | 'agents' | 'changes' | 'configuration' | 'reservations' | 'urls'
  >
  /** Judges who may look. Default: no credentials are needed. */
  readonly authenticator: Authenticator | undefined
  /** Address of the peer that sent a request, without the port; undefined when its connection is gone. */
  readonly addressOf: (request: IncomingMessage) => string | undefined
  /** The client certificate that the peer has shown. */
  readonly certificateOf: (request: IncomingMessage) => ClientCertificate | undefined
}

/** The admin port of a server. */
export interface ServerAdmin {
  /** Its HTTP server, which does not listen by itself. */
  readonly server: Server
  /** Reads a page of this node for another node, which has judged who asks. */
  readonly read: (path: string) => Promise<AdminAnswer>
}

/**
 * The admin port of a server: `/health`, `/ready`, `/metrics` and `/status/*`, with Piko's routes and
 * shapes where Piko has them, and the API.
 */
export function createServerAdmin(options: ServerAdminOptions): ServerAdmin {
  const { sources, hosts, readiness, authenticator, addressOf, certificateOf } = options
  const isProtected = (): boolean => authenticator?.isProtected('admin') ?? false
  const status: { readonly [Path in keyof ServerPages]: () => ServerPages[Path] } = {
    '/status/upstream/endpoints': () => describeEndpoints(sources),
    '/status/upstream/sessions': () => describeSessions(sources),
    '/status/edge': () => describeEdge(sources),
    '/status/ports': () => describePorts(sources.publicPorts),
    '/status/tls': () => describeTls(sources.tls),
    '/status/cluster/nodes': () => describeNodes(sources),
    '/status/gossip/nodes': () => describeGossip(sources),
  }
  const pages = new Map<string, AdminPage>([
    ['/health', () => ({})],
    ['/ready', () => readyPage(readiness())],
    ['/metrics', metricsPage(() => serverMetrics(sources))],
    ...Object.entries(status).map(([path, read]) => [path, jsonPage<unknown>(read)] as const),
  ])
  const sessions = new ConsoleSessions()
  const findPage = (path: string, query: string) => findNodePage(sources, path, query)
  const all =
    options.workers &&
    new AllWorkers(sources.cluster, options.workers, {
      endpoints: status['/status/upstream/endpoints'],
      sessions: status['/status/upstream/sessions'],
      edge: status['/status/edge'],
      nodes: status['/status/cluster/nodes'],
      metrics: () => serverMetrics(sources),
    })
  const server = createAdminServer({
    pages: new Map([...pages, ...(all?.pages ?? [])]),
    findPage,
    site: { path: '/console', files: consoleFiles },
    api: options.api(
      {
        ...options.live,
        cluster: sources.cluster,
        registry: sources.registry,
        history: sources.edge.history,
        sessions: () => describeSessions(sources),
        ports: () => describePorts(sources.publicPorts),
        nodes: () => describeNodes(sources),
        tls: () => describeTls(sources.tls),
        tlsPorts: sources.tls,
        edge: () => describeEdge(sources),
        limits: () => limitCounts(sources),
        state: () => readiness().state,
        version: sources.cluster.local.version,
        node: sources.cluster.local.id,
        startedAt: Date.now(),
      },
      sessions,
    ),
    hosts,
    needsCredentials: isProtected,
    authorize: async (request, isProbe) => {
      const remoteAddress = addressOf(request)
      const credentials = sessionOf(request, sessions)
      const person =
        credentials !== undefined && 'identity' in credentials ? credentials : undefined
      if (person !== undefined || isSignIn(request)) {
        // There are no credentials to judge; requests are limited as if there were.
        const { identity, tenant } = person === undefined ? ANONYMOUS : { ...person, tenant: '' }
        const isKnown = person !== undefined
        const denial = isKnown
          ? authenticator?.limits.admitKnown(remoteAddress)
          : authenticator?.limits.admit(remoteAddress)
        return denial ?? { identity, tenant, isKnown, remoteAddress }
      }
      const certificate = certificateOf(request)
      const verdict = await authenticator?.authorizeAdmin({
        headers:
          credentials !== undefined && 'token' in credentials
            ? { ...request.headers, authorization: `Bearer ${credentials.token}` }
            : request.headers,
        remoteAddress,
        isProbe,
        hasSession: credentials !== undefined,
        ...(certificate !== undefined && { certificate }),
      })
      if (verdict !== undefined && 'status' in verdict) {
        // It counts as one failure of its address, however often the page goes on asking.
        if (credentials !== undefined && verdict.status === 401) {
          sessions.endOf(request.headers, request.socket.localPort ?? 0)
        }
        return verdict
      }
      const { identity, tenant } = verdict ?? ANONYMOUS
      // Also on a port that asks for no credentials the key of the operator is one.
      const isKnown = isProtected() || (verdict ?? ANONYMOUS) !== ANONYMOUS
      return { identity, tenant, isKnown, remoteAddress }
    },
  })
  if (all !== undefined) pages.set(WORKER_PATH, all.answer)
  const read = async (path: string): Promise<AdminAnswer> =>
    await (findPage(path, '') ?? pages.get(path) ?? (() => ({ status: 404 })))()
  return { server, read }
}

/** What the session of a request stands for; credentials of its own come first. */
function sessionOf(
  { headers, url = '', socket }: IncomingMessage,
  sessions: ConsoleSessions,
): SessionCredentials | undefined {
  if (showsToken(headers) || !url.startsWith(`${API_PATH}/`)) return undefined
  return sessions.find(headers, socket.localPort ?? 0)?.credentials
}

function isSignIn({ url = '' }: IncomingMessage): boolean {
  const [path = ''] = url.split('?')
  return path.startsWith(API_PATH) && isSignInPath(path.slice(API_PATH.length))
}

/** Not read before a browser asks. */
async function consoleFiles(): Promise<readonly PageFile[] | undefined> {
  return await import('@proj/pages/console').then(
    ({ consoleAssets }) => consoleAssets,
    () => undefined,
  )
}

/** The numbers are no secret: probes have no token, and names are not among them. */
function readyPage(readiness: ReadyStatus): AdminAnswer {
  return {
    status: readiness.ready ? 200 : 503,
    type: 'application/json',
    body: jsonLine(readiness),
  }
}

function describeEndpoints({ registry }: AdminSources): ServerPages['/status/upstream/endpoints'] {
  const counts = [...registry.snapshot()].map(
    ([endpoint, upstreams]) => [endpointText(endpoint), upstreams.length] as const,
  )
  return Object.fromEntries(counts)
}

function describeSessions({ registry }: AdminSources): ServerPages['/status/upstream/sessions'] {
  return [...registry.snapshot()].flatMap(([endpoint, upstreams]) =>
    upstreams.map((upstream) => {
      const { id, agentId, protocol, remoteAddress, software, roundTripMs } = upstream
      return {
        endpoint: endpointText(endpoint),
        session: id,
        agent: agentId,
        protocol,
        ...(software !== undefined && { software }),
        identity: upstream.identity,
        ...(roundTripMs !== undefined && { roundTripMs: Math.round(roundTripMs * 10) / 10 }),
        ...(remoteAddress !== undefined && { remoteAddress }),
        connectedAt: new Date(upstream.connectedAt).toISOString(),
        openStreams: upstream.openStreams,
      }
    }),
  )
}

function describeEdge({ edge, descriptorsExhausted }: AdminSources): ServerPages['/status/edge'] {
  const { connections, stats } = edge
  const { requests, inFlight, upgraded, bytesIn, bytesOut, statuses } = stats
  const byStatus = Object.fromEntries(statuses)
  return {
    connections,
    requests,
    inFlight,
    upgraded,
    bytesIn,
    bytesOut,
    statuses: byStatus,
    secondsWithoutDescriptors: descriptorsExhausted(),
  }
}
