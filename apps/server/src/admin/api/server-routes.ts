import type { ResolvedValue } from '@proj/config'
import { formatOrigin } from '@proj/config'
import type {
  AccessItem,
  CertificateItem,
  HistoryItem,
  LimitItem,
  ServerInfo,
  SettingItem,
} from '@proj/pages/console'
import type { ServerPages } from '@proj/program-kit'
import type { ConsumerStatus } from '@proj/tunnel/server'

import { type EndpointHistory, STEP_MS } from '../../endpoint-history/endpoint-history.ts'
import { type ApiRoute, shapeOf } from './api-route.ts'
import type { JsonShape, ObjectShape } from './json-shape.ts'
import { pageOf, PAGE_QUERY, pageShape } from './paging.ts'

/** What is shown of this node. */
export interface ServerSources {
  readonly history: EndpointHistory
  readonly accesses: () => readonly ConsumerStatus[]
  readonly tls: () => ServerPages['/status/tls']
  readonly edge: () => ServerPages['/status/edge']
  /** How often each was hit since the start. */
  readonly limits: () => readonly LimitItem[]
  /** Settings in force, secrets masked; empty where the server was not started from settings. */
  readonly configuration: () => readonly ResolvedValue[]
  /** `ready`, or why not. */
  readonly state: () => string
  readonly version: string
  readonly node: string
  /** When the server started, ms since the epoch. */
  readonly startedAt: number
}

const TEXT: JsonShape = { type: 'string' }
const COUNT: JsonShape = { type: 'integer', minimum: 0 }
const COUNTS: JsonShape = { type: 'array', items: COUNT }
const MOMENT: JsonShape = { type: 'string', format: 'date-time' }
const TIMES: JsonShape = { type: 'array', items: { type: ['integer', 'null'] } }

/** Schema of a history. */
export const HISTORY_SHAPE: ObjectShape = {
  type: 'object',
  description: 'The last hour, oldest step first; the last step goes on.',
  properties: {
    stepMs: { type: 'integer', description: 'Length of a step.' },
    requests: COUNTS,
    errors: { ...COUNTS, description: 'Answers of 500 and above, and connections that failed.' },
    rejected: { ...COUNTS, description: 'Visitors that rules or limits have rejected.' },
    p50Ms: { ...TIMES, description: 'Half of the answers took less; null: there was none.' },
    p95Ms: TIMES,
  },
  required: ['stepMs', 'requests', 'errors', 'rejected', 'p50Ms', 'p95Ms'],
}

/** Schemas of what is listed here, by name. */
export const SERVER_SHAPES: Readonly<
  Record<'Server' | 'History' | 'Access' | 'Certificate' | 'Limit' | 'Setting', ObjectShape>
> = {
  Server: {
    type: 'object',
    description: 'The node that was asked.',
    properties: {
      node: TEXT,
      version: TEXT,
      state: { type: 'string', description: 'ready, or why it is not.' },
      started: MOMENT,
      requests: COUNT,
      inFlight: COUNT,
      connections: { ...COUNT, description: 'Visitors connected now.' },
      upgraded: { ...COUNT, description: 'Upgraded connections open now, such as WebSockets.' },
      history: shapeOf('History'),
    },
    required: ['node', 'version', 'state', 'started', 'requests', 'inFlight', 'history'],
  },
  History: HISTORY_SHAPE,
  Access: {
    type: 'object',
    description: 'A consumer: adit access, or a program that dials.',
    properties: {
      identity: TEXT,
      remoteAddress: TEXT,
      software: TEXT,
      since: MOMENT,
      connections: { ...COUNT, description: 'Its connections to endpoints that are open now.' },
    },
    required: ['identity', 'since', 'connections'],
  },
  Certificate: {
    type: 'object',
    description: 'A certificate of a port.',
    properties: {
      listener: { type: 'string', description: 'proxy, upstream or admin.' },
      names: { type: 'array', items: TEXT },
      serial: TEXT,
      expires: MOMENT,
      wantsClientCertificate: { type: 'boolean' },
    },
    required: ['listener', 'names', 'serial', 'expires', 'wantsClientCertificate'],
  },
  Limit: {
    type: 'object',
    description: 'A limit, and how often it was hit since the start.',
    properties: { limit: TEXT, count: COUNT, setting: TEXT },
    required: ['limit', 'count'],
  },
  Setting: {
    type: 'object',
    description: 'A setting in force.',
    properties: {
      key: TEXT,
      value: { type: ['string', 'null'], description: 'Secrets are masked; null: it has none.' },
      origin: { type: 'string', description: 'File and line, variable, flag, or default.' },
    },
    required: ['key', 'value', 'origin'],
  },
}

/** A history as the API shows it. */
export function describeHistory(rates: EndpointHistory['total']): HistoryItem {
  const steps = rates.steps(performance.now())
  return {
    stepMs: STEP_MS,
    requests: steps.map(({ requests }) => requests),
    errors: steps.map(({ errors }) => errors),
    rejected: steps.map(({ rejected }) => rejected),
    p50Ms: steps.map(({ p50Ms }) => p50Ms),
    p95Ms: steps.map(({ p95Ms }) => p95Ms),
  }
}

/** The routes of this node. */
export function serverRoutes(sources: ServerSources): ApiRoute[] {
  return [
    {
      method: 'GET',
      path: '/server',
      summary: 'Shows the node that is asked, with its requests of the last hour.',
      answers: { 200: { text: 'The node.', shape: shapeOf('Server') } },
      errors: [],
      run: async () => {
        const { connections, requests, inFlight, upgraded } = sources.edge()
        const body: ServerInfo = {
          node: sources.node,
          version: sources.version,
          state: sources.state(),
          started: new Date(sources.startedAt).toISOString(),
          requests,
          inFlight,
          connections,
          upgraded,
          history: describeHistory(sources.history.total),
        }
        return { body }
      },
    },
    {
      method: 'GET',
      path: '/accesses',
      summary: 'Lists the consumers that are connected to this node.',
      query: PAGE_QUERY,
      answers: { 200: { text: 'A page of consumers.', shape: pageShape(shapeOf('Access')) } },
      errors: [],
      run: async (call) => {
        const found = sources.accesses().map(({ since, ...one }, at) => ({
          key: `${since} ${String(at).padStart(6, '0')}`,
          shown: { ...one, since: new Date(since).toISOString() } satisfies AccessItem,
        }))
        const page = pageOf(found, ({ key }) => key, call)
        return { body: { ...page, items: page.items.map(({ shown }) => shown) } }
      },
    },
    {
      method: 'GET',
      path: '/certificates',
      summary: 'Lists the certificates of the ports of this node.',
      query: PAGE_QUERY,
      answers: {
        200: { text: 'A page of certificates.', shape: pageShape(shapeOf('Certificate')) },
      },
      errors: [],
      run: async (call) => {
        const found: readonly CertificateItem[] = Object.entries(sources.tls()).flatMap(
          ([listener, { certificates, wantsClientCertificate }]) =>
            certificates.map((one) => ({ listener, wantsClientCertificate, ...one })),
        )
        return { body: pageOf(found, ({ listener, serial }) => `${listener} ${serial}`, call) }
      },
    },
    {
      method: 'GET',
      path: '/limits',
      summary: 'Lists the limits of this node, and how often each was hit since the start.',
      query: PAGE_QUERY,
      answers: { 200: { text: 'A page of limits.', shape: pageShape(shapeOf('Limit')) } },
      errors: [],
      run: async (call) => ({ body: pageOf(sources.limits(), ({ limit }) => limit, call) }),
    },
    {
      method: 'GET',
      path: '/configuration',
      summary: 'Lists the settings in force on this node, and where each comes from.',
      query: PAGE_QUERY,
      answers: { 200: { text: 'A page of settings.', shape: pageShape(shapeOf('Setting')) } },
      errors: [],
      run: async (call) => {
        const found = sources.configuration().map(({ key, text, origin }, at) => ({
          at,
          shown: { key, value: text ?? null, origin: formatOrigin(origin) } satisfies SettingItem,
        }))
        const page = pageOf(found, ({ at }) => String(at).padStart(6, '0'), call)
        return { body: { ...page, items: page.items.map(({ shown }) => shown) } }
      },
    },
  ]
}
