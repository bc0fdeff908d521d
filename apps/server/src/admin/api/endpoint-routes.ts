import type { Gate } from '@proj/auth'
import type {
  DiagnosisStep,
  EndpointDetail,
  EndpointItem,
  EndpointState,
  Failure as FailureItem,
} from '@proj/pages/console'
import type { PortStatus } from '@proj/program-kit'
import {
  type Endpoint,
  endpointKey,
  endpointText,
  type UpstreamRegistry,
} from '@proj/tunnel/server'

import type { ClusterView } from '../../cluster/cluster-view.ts'
import type { EndpointHistory, Failure } from '../../endpoint-history/endpoint-history.ts'
import type { ReservationStore } from '../../store/reservation-store.ts'
import type { TlsMaterial } from '../../tls/tls-material.ts'
import type { TlsPortStatus } from '../../tls/tls-status.ts'
import { ApiError } from './api-error.ts'
import { type ApiRoute, shapeOf } from './api-route.ts'
import { diagnose, type EndpointFacts, stateOf } from './endpoint-diagnosis.ts'
import type { JsonShape, ObjectShape } from './json-shape.ts'
import { pageOf, PAGE_QUERY, pageShape } from './paging.ts'
import { describeHistory } from './server-routes.ts'

/** What is known of endpoints. */
export interface EndpointSources {
  readonly cluster: ClusterView
  readonly registry: UpstreamRegistry<Gate>
  readonly reservations: Pick<ReservationStore, 'find'>
  /** URLs that visitors can open for an endpoint of HTTP. */
  readonly urls: (endpoint: Endpoint) => readonly string[]
  readonly ports: () => readonly PortStatus[]
  readonly history: EndpointHistory
  /** Ports that speak TLS. */
  readonly tlsPorts: readonly TlsPortStatus[]
}

const TEXT: JsonShape = { type: 'string' }
const COUNT: JsonShape = { type: 'integer', minimum: 0 }
const TEXTS: JsonShape = { type: 'array', items: TEXT }
const STATE: JsonShape = {
  type: 'string',
  enum: ['reachable', 'degraded', 'down', 'unknown'],
  description: 'Whether visitors reach the service, as far as this node knows.',
}
const STEP_STATES = ['ok', 'warn', 'bad', 'unknown', 'unchecked'] as const

const SUMMARIES: Readonly<Record<EndpointState, string>> = {
  reachable: 'Reachable.',
  degraded: 'Reachable, but it needs attention:',
  down: 'Not reachable:',
  unknown: 'Not known yet:',
}

/** Schemas of endpoints, by name. */
export const ENDPOINT_SHAPES: Readonly<
  Record<'Endpoint' | 'EndpointDetail' | 'Step' | 'Failure', ObjectShape>
> = {
  Endpoint: {
    type: 'object',
    description: 'An endpoint that agents serve now.',
    properties: {
      endpoint: TEXT,
      tenant: { type: 'string', description: 'Empty: none.' },
      sessions: { type: 'integer', description: 'Agent sessions that serve it, on all nodes.' },
      nodes: {
        type: 'array',
        items: {
          type: 'object',
          properties: { node: { type: 'string', description: 'Id of the node.' }, sessions: COUNT },
          required: ['node', 'sessions'],
        },
      },
      urls: { ...TEXTS, description: 'Where visitors reach it, if it speaks HTTP.' },
      reservedFor: {
        type: ['string', 'null'],
        description: 'The identity that has reserved it; null: none has.',
      },
      state: STATE,
      requests: {
        type: 'array',
        items: COUNT,
        description: 'Requests here in the last hour, in 30 steps of 2 minutes; empty: not known.',
      },
    },
    required: ['endpoint', 'tenant', 'sessions', 'nodes', 'urls', 'reservedFor', 'state'],
  },
  EndpointDetail: {
    type: 'object',
    description: 'An endpoint, and why its service is not reachable.',
    properties: {
      endpoint: TEXT,
      tenant: TEXT,
      state: STATE,
      summary: { type: 'string', description: 'The same for people.' },
      urls: TEXTS,
      steps: {
        type: 'array',
        items: shapeOf('Step'),
        description: 'Name, agent, service, rules for visitors, in the order of a request.',
      },
      failures: { type: 'array', items: shapeOf('Failure'), description: 'Newest first.' },
      history: { type: ['object', 'null'], description: 'As History; null: there is none.' },
      agents: TEXTS,
    },
    required: [
      'endpoint',
      'tenant',
      'state',
      'summary',
      'urls',
      'steps',
      'failures',
      'history',
      'agents',
    ],
  },
  Step: {
    type: 'object',
    description: 'A step on the way of a request.',
    properties: {
      step: { type: 'string', enum: ['name', 'agent', 'service', 'rules'] },
      state: { type: 'string', enum: STEP_STATES },
      text: { type: 'string', description: 'What was found, for people.' },
      todo: { type: 'string', description: 'What to do about it, for people.' },
      who: { type: 'string', enum: ['operator', 'agent', 'visitor'], description: 'Who has to.' },
    },
    required: ['step', 'state', 'text'],
  },
  Failure: {
    type: 'object',
    description: 'A request or connection that failed, or was rejected.',
    properties: {
      time: { type: 'string', format: 'date-time' },
      status: { type: 'integer', description: 'Of the answer; 0: a connection of TCP.' },
      code: { type: 'string', description: 'adit-error; empty: the service gave the answer.' },
      method: TEXT,
      path: { type: 'string', description: 'Without its query, the first 100 characters.' },
      requestId: TEXT,
    },
    required: ['time', 'status', 'code', 'method', 'path', 'requestId'],
  },
}

/** The routes of endpoints. */
export function endpointRoutes(sources: EndpointSources): ApiRoute[] {
  return [
    {
      method: 'GET',
      path: '/endpoints',
      summary: 'Lists the endpoints that agents serve, on all nodes.',
      query: PAGE_QUERY,
      answers: { 200: { text: 'A page of endpoints.', shape: pageShape(shapeOf('Endpoint')) } },
      errors: [],
      run: async (call) => {
        const page = pageOf(served(sources), keyOf, call)
        const ports = portsOf(sources)
        return { body: { ...page, items: page.items.map((one) => describe(one, sources, ports)) } }
      },
    },
    {
      method: 'GET',
      path: '/endpoints/{name}',
      summary: 'Shows an endpoint, and why its service is not reachable, as this node knows it.',
      parts: { name: 'Name of the endpoint.' },
      query: {
        tenant: { type: 'string', maxLength: 253, description: 'Its tenant. Default: none.' },
      },
      answers: { 200: { text: 'The endpoint.', shape: shapeOf('EndpointDetail') } },
      errors: ['not-found'],
      run: async ({ path: { name = '' }, query }) => {
        const endpoint = { tenant: String(query['tenant'] ?? ''), name }
        const { registry, history } = sources
        const facts = factsOf(endpoint, sources, portsOf(sources))
        const record = history.find(endpoint)
        const isServed = facts.sessions + facts.elsewhere > 0
        if (!isServed && facts.reservedFor === undefined && record === undefined) {
          throw new ApiError('not-found', 'nothing serves or reserves an endpoint of that name')
        }
        const steps = diagnose(facts, Date.now())
        const state = stateOf(steps)
        const body: EndpointDetail = {
          endpoint: name,
          tenant: endpoint.tenant,
          state,
          summary: summaryOf(state, steps),
          urls: facts.urls,
          steps,
          failures: (record?.failures ?? []).map(describeFailure).toReversed(),
          history: record === undefined ? null : describeHistory(record.rates),
          agents: [...new Set(registry.sessions(endpoint).map(({ agentId }) => agentId))],
        }
        return { body }
      },
    },
  ]
}

function summaryOf(state: EndpointState, steps: readonly DiagnosisStep[]): string {
  const wanted = { reachable: undefined, degraded: 'warn', down: 'bad', unknown: 'unknown' }[state]
  const step = steps.find((one) => one.state === wanted)
  return step === undefined ? SUMMARIES[state] : `${SUMMARIES[state]} ${step.text}.`
}

function describeFailure({ at, ...failure }: Failure): FailureItem {
  return { time: new Date(at).toISOString(), ...failure }
}

/** An endpoint, and where it is served. */
interface Served {
  readonly endpoint: Endpoint
  readonly nodes: { readonly node: string; readonly sessions: number }[]
}

/** The endpoints of this node and of the others. */
function served({ cluster, registry }: EndpointSources): Served[] {
  const found = new Map<string, Served>()
  const add = (endpoint: Endpoint, node: string, sessions: number): void => {
    const key = endpointKey(endpoint)
    const one = found.get(key) ?? { endpoint, nodes: [] }
    found.set(key, one)
    one.nodes.push({ node, sessions })
  }
  for (const [endpoint, upstreams] of registry.snapshot()) {
    add(endpoint, cluster.local.id, upstreams.length)
  }
  for (const [endpoint, routes] of cluster.entries()) {
    // A name that is only claimed has no session yet.
    for (const { node, sessions } of routes) if (sessions > 0) add(endpoint, node.id, sessions)
  }
  return [...found.values()]
}

function keyOf({ endpoint: { tenant, name } }: Served): string {
  return `${tenant}\n${name}`
}

/** Public ports by the text of their endpoint. */
function portsOf({ ports }: EndpointSources): ReadonlyMap<string, number> {
  return new Map(ports().map(({ endpoint, port }) => [endpoint, port]))
}

function describe(
  { endpoint, nodes }: Served,
  sources: EndpointSources,
  ports: ReadonlyMap<string, number>,
): EndpointItem {
  const facts = factsOf(endpoint, sources, ports)
  return {
    endpoint: endpoint.name,
    tenant: endpoint.tenant,
    sessions: nodes.reduce((sum, { sessions }) => sum + sessions, 0),
    nodes,
    urls: facts.urls,
    reservedFor: facts.reservedFor ?? null,
    state: stateOf(diagnose(facts, Date.now())),
    requests: sources.history.find(endpoint)?.rates.recent(performance.now()) ?? [],
  }
}

function factsOf(
  endpoint: Endpoint,
  sources: EndpointSources,
  ports: ReadonlyMap<string, number>,
): EndpointFacts {
  const { registry, reservations, history } = sources
  const local = registry.localRoute(endpoint)
  const sessions = local?.sessions ?? 0
  // A visitor cannot open one of TCP by its name.
  const urls = local?.kind === 'tcp' ? [] : sources.urls(endpoint)
  const rates = history.find(endpoint)?.rates
  const { rejected, requests } = rates?.lastHour(performance.now()) ?? { rejected: 0, requests: 0 }
  return {
    reservedFor: reservations.find(endpoint)?.identity,
    kind: local?.kind,
    urls,
    port: ports.get(endpointText(endpoint)),
    certificate: certificateOf(urls[0], sources.tlsPorts),
    sessions,
    suspects: registry.suspects(endpoint),
    elsewhere: registry.count(endpoint) - sessions,
    isDown: local?.isDown ?? false,
    last: registry.lastOutcome(endpoint),
    rules: [...new Set((registry.rules(endpoint) ?? []).flatMap(({ kinds }) => kinds))],
    rejected,
    requests,
  }
}

/** Host names whose certificate is remembered. */
const MAX_HOSTS = 10_000

/**
 * Certificates of host names that were looked for: a list is read every few seconds, and checking one name against
 * one certificate takes about 15 us. A reload makes another material.
 */
const certificates = new WeakMap<TlsMaterial, Map<string, EndpointFacts['certificate']>>()

/** The certificate of the proxy port that browsers get for a URL. */
function certificateOf(
  url: string | undefined,
  tls: readonly TlsPortStatus[],
): EndpointFacts['certificate'] {
  const proxy = tls.find(({ name }) => name === 'proxy')
  if (proxy === undefined || url === undefined || !url.startsWith('https:')) return undefined
  const host = new URL(url).hostname
  const { material } = proxy.front
  const known = certificates.get(material) ?? new Map<string, EndpointFacts['certificate']>()
  certificates.set(material, known)
  const before = known.get(host)
  if (before !== undefined) return before
  const fitting = material.certificates.find((one) => one.checkHost(host) !== undefined)
  const expires = fitting && new Date(fitting.validTo).toISOString()
  const found = { fits: fitting !== undefined, expires }
  if (known.size >= MAX_HOSTS) known.clear()
  known.set(host, found)
  return found
}
