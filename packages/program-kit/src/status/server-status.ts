/** What a server's admin port says of itself, for the `status` command of both programs. */

import { printable } from '@proj/config'

import type {
  EdgeStatus,
  NodeStatus,
  PortStatus,
  ReadyStatus,
  ReturnedEndpoints,
  ServerPages,
  SessionStatus,
} from '../admin/status-pages.ts'
import { AdminAnswerError, type AdminTlsFiles, adminRequests } from './admin-request.ts'
import { EXIT, UserError } from '../process/exit-code.ts'
import { roughSize } from '../output/rough-size.ts'
import { formatTable } from '../output/format-table.ts'

/** The state of a server. */
export interface ServerStatus {
  /** Whether it takes visitors and agents. */
  readonly ready: boolean
  /** Why, and how many endpoints are back since the start; absent from older servers. */
  readonly readiness?: ReadyStatus
  /** State of the proxy port. */
  readonly edge: EdgeStatus
  /** Every endpoint of every session. */
  readonly sessions: readonly SessionStatus[]
  /** Every public port that is claimed; empty from a server without the page. */
  readonly ports: readonly PortStatus[]
  /** Every node of its cluster; empty from a server without the page. */
  readonly nodes: readonly NodeStatus[]
}

/** How long the admin port may take, ms. It answers from memory. */
const TIMEOUT_MS = 5_000

/** Node's codes of certificates that were not accepted. */
const CERTIFICATE_CODES = /CERT|UNABLE_TO_|SELF_SIGNED/

/**
 * Asks the admin port of a server.
 *
 * @param url - of the admin port.
 * @param files - to trust and to show, where it speaks TLS.
 * @param token - to show, where it asks for one.
 * @throws {UserError} exit code 1 when there is no answer or one of another program, 4 when the token is rejected.
 */
export async function readServerStatus(
  url: string,
  files: AdminTlsFiles = {},
  token?: string,
): Promise<ServerStatus> {
  const request = await adminRequests(files)
  try {
    const signal = AbortSignal.timeout(TIMEOUT_MS)
    const headers: Record<string, string> =
      token === undefined ? {} : { authorization: `Bearer ${token}` }
    const get = async (path: string): Promise<Response> =>
      await request(new URL(path, url), { signal, headers })
    const page = async <Path extends keyof ServerPages>(path: Path): Promise<ServerPages[Path]> => {
      const response = await get(path)
      if (response.status === 401 || response.status === 403) throw await refused(url, response)
      if (!response.ok) throw new Error(`${path} answered ${response.status}`)
      return (await response.json()) as ServerPages[Path] // a server of ours wrote it
    }
    const [ready, edge, sessions, ports, nodes] = await Promise.all([
      get('/ready'),
      page('/status/edge'),
      page('/status/upstream/sessions'),
      get('/status/ports'),
      get('/status/cluster/nodes'),
    ])
    const readiness = await readReadiness(ready)
    return {
      ready: ready.ok,
      ...(readiness !== undefined && { readiness }),
      edge,
      sessions,
      ports: ports.ok ? ((await ports.json()) as ServerPages['/status/ports']) : [],
      nodes: nodes.ok ? ((await nodes.json()) as ServerPages['/status/cluster/nodes']) : [],
    }
  } catch (error) {
    if (error instanceof UserError) throw error
    throw new UserError(`no status from ${url}: ${reasonOf(error)}`, {
      exitCode: EXIT.failed,
      hint: hintOf(error),
      cause: error,
    })
  }
}

/** An older server has no body there. */
async function readReadiness(ready: Response): Promise<ReadyStatus | undefined> {
  const body: unknown = await ready.json().catch(() => undefined)
  const isOurs = typeof body === 'object' && body !== null && 'state' in body
  return isOurs ? (body as ReadyStatus) : undefined // a server of ours wrote it
}

async function refused(url: string, response: Response): Promise<UserError> {
  // The body is of a server of ours; only a refusal that is not about the token has a hint.
  const body = (await response.json().catch(() => ({}))) as { error?: string; hint?: string }
  return new UserError(`no status from ${url}: ${body.error ?? 'not permitted'}`, {
    exitCode: EXIT.refused,
    hint:
      body.hint ??
      'give a token that may see it: adit-server token create --may admin, then admin.token_file',
  })
}

/** Writes the state of a server as text. */
export function formatServerStatus(status: ServerStatus): string {
  const { ready, readiness, edge, sessions, ports, nodes } = status
  const returned = readiness?.endpoints
  const awaySince = nodes.find(({ local }) => local)?.databaseAwaySince
  const statuses = Object.entries(edge.statuses).map(([status, count]) => `${status}: ${count}`)
  const overview = [
    ['server', ready ? 'ready' : `not ready: ${readiness?.state ?? 'starting or stopping'}`],
    ...(returned === undefined ? [] : [['endpoints', formatReturned(returned)]]),
    ...(awaySince === undefined
      ? []
      : [['database', `away since ${printable(awaySince).slice(0, 19)}Z: no new names`]]),
    ['visitors', `${edge.connections} connected, ${edge.upgraded} of them upgraded`],
    ['requests', `${edge.requests} so far, ${edge.inFlight} running`],
    ['answers', statuses.length === 0 ? 'none yet' : statuses.join(', ')],
    ['bytes', `${roughSize(edge.bytesIn)} in, ${roughSize(edge.bytesOut)} out`],
    ...(edge.secondsWithoutDescriptors
      ? [['no free descriptor', `for ${edge.secondsWithoutDescriptors} s: raise ulimit -n`]]
      : []),
  ]
  return `${formatTable(overview)}\n${formatNodes(nodes)}${formatSessions(sessions)}${formatPorts(ports)}`
}

function formatReturned({ before, back, needed }: ReturnedEndpoints): string {
  const all = `${back} of the ${before} from before the start are back`
  return back < needed ? `${all}, ${needed} are needed` : all
}

function formatSessions(sessions: ServerStatus['sessions']): string {
  if (sessions.length === 0) return 'no agent is connected\n'
  // An agent has several sessions, and is one line.
  const agents = new Map<string, ServerStatus['sessions'][number][]>()
  for (const session of sessions) {
    const { endpoint, agent = session.session, remoteAddress = '-' } = session
    const key = JSON.stringify([endpoint, agent, remoteAddress])
    const known = agents.get(key)
    if (known === undefined) agents.set(key, [session])
    else known.push(session)
  }
  const rows = [...agents.values()].flatMap((all) => {
    const [first] = all.toSorted((a, b) => a.connectedAt.localeCompare(b.connectedAt))
    if (first === undefined) return []
    return [
      [
        printable(first.endpoint),
        first.agent ?? '-',
        first.remoteAddress ?? '-',
        first.protocol,
        String(all.length),
        String(all.reduce((sum, { openStreams }) => sum + openStreams, 0)),
        `${first.connectedAt.slice(0, 19)}Z`,
      ],
    ]
  })
  const heads = ['ENDPOINT', 'AGENT', 'FROM', 'WIRE', 'SESSIONS', 'STREAMS', 'SINCE']
  return formatTable([heads, ...rows])
}

/** The workers of one server: what a node has besides, such as an address, is no matter of the operator's. */
function formatWorkers(nodes: ServerStatus['nodes']): string {
  const rows = nodes.map(({ status, sessions, endpoints, worker }) => [
    worker === undefined ? '-' : String(worker.worker),
    worker === undefined ? '-' : String(worker.pid),
    status === 'left' ? 'leaving' : worker === undefined ? 'no answer' : status,
    String(sessions),
    String(endpoints),
    worker === undefined ? '-' : String(worker.visitors),
    worker === undefined ? '-' : `${Math.round(worker.load * 100)}%`,
    worker === undefined ? '-' : roughSize(worker.memoryBytes),
    worker === undefined ? '-' : `${worker.delayMs} ms`,
  ])
  const heads = [
    'WORKER',
    'PID',
    'STATE',
    'AGENTS',
    'ENDPOINTS',
    'VISITORS',
    'LOAD',
    'MEMORY',
    'DELAY',
  ]
  return `${formatTable([heads, ...rows])}\n`
}

/** A server alone shows nothing of nodes. */
function formatNodes(nodes: ServerStatus['nodes']): string {
  if (nodes.some(({ worker }) => worker !== undefined)) return formatWorkers(nodes)
  if (nodes.every(({ local, proxy_addr: address }) => local && address === '')) return ''
  const rows = nodes.map((node) => [
    printable(node.id) + (node.local ? ' (this one)' : ''),
    printable(node.version),
    node.status === 'left' ? 'leaving' : node.status,
    String(node.sessions),
    String(node.endpoints),
    printable(node.proxy_addr),
  ])
  const versions = new Set(nodes.map(({ version }) => version))
  const skew =
    versions.size > 1 ? 'nodes have different versions: upgrade those that are older\n' : ''
  const heads = ['NODE', 'VERSION', 'STATE', 'AGENTS', 'ENDPOINTS', 'ADDRESS']
  return `${formatTable([heads, ...rows])}${skew}\n`
}

function formatPorts(ports: ServerStatus['ports']): string {
  if (ports.length === 0) return ''
  const rows = ports.map((port) => [
    String(port.port),
    printable(port.endpoint),
    port.identity,
    port.heldUntil === undefined ? 'served' : `kept until ${port.heldUntil.slice(0, 19)}Z`,
    String(port.visitors),
    roughSize(port.bytesIn),
    roughSize(port.bytesOut),
  ])
  const heads = ['PORT', 'ENDPOINT', 'OWNER', 'STATE', 'VISITORS', 'IN', 'OUT']
  return `\n${formatTable([heads, ...rows])}`
}

function hintOf(error: unknown): string {
  const { code } = error as { readonly code?: unknown }
  if (typeof code === 'string' && CERTIFICATE_CODES.test(code)) {
    return 'name the authority of its certificate with --ca, and a host of the certificate with --url'
  }
  if (error instanceof AdminAnswerError) return 'is that the admin port of a server of Adit?'
  return 'is the server running here? name its admin port with --url'
}

/** The cause tells more than fetch, whose own message is always the same. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const { cause = error } = error
  if (cause instanceof AggregateError) return reasonOf(cause.errors[0])
  return cause instanceof Error ? cause.message : error.message
}
