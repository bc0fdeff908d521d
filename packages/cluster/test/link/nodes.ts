// Nodes of one cluster in one process: real sockets and TLS between them, and a table that the test writes.
import { once } from 'node:events'
import { createServer as createHttpServer, type IncomingMessage } from 'node:http'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'

import { RecordingLogger } from '@proj/testkit/recording-logger'
import { listening, type Listening } from '@proj/testkit/listening'
import {
  ConsumerAcceptor,
  type Endpoint,
  type LocalRoute,
  type ReadVisitorRules,
  UpstreamAcceptor,
  UpstreamRegistry,
  VisitorWaits,
  type VisitorRules,
} from '@proj/tunnel/server'
import { onTestFinished } from 'vitest'

import { type LinkCertificate, makeLinkCertificate } from '../../src/link/certificate.ts'
import { ClusterLinks } from '../../src/link/cluster-links.ts'
import type { LinkTls } from '../../src/link/link-tls.ts'
import type { ReadNodePage } from '../../src/link/node-page.ts'
import type { ClusterNode } from '../../src/model.ts'
import { ClusterTable } from '../../src/table/cluster-table.ts'

/** Rules `{ allow: [address] }`; `{ unreadable: true }` cannot be read. */
export const readVisitorRules: ReadVisitorRules = (rules, kind) => {
  if ('unreadable' in rules) throw new Error('unreadable')
  const { allow = [] } = rules as { allow?: string[] }
  return {
    id: `${kind} ${JSON.stringify(rules)}`,
    admitsConnection: (address) => address !== undefined && allow.includes(address),
  }
}
const closedRules: VisitorRules = { id: 'closed', admitsConnection: () => false }

/** A node of a test. */
export class TestNode {
  readonly table = new ClusterTable()
  readonly registry: UpstreamRegistry
  readonly logger = new RecordingLogger()
  readonly row: ClusterNode
  readonly links: ClusterLinks<VisitorRules>
  readonly port: Listening
  readonly certificate: LinkCertificate
  /** Reads a page for another node. */
  readPage: ReadNodePage = async (path) =>
    await Promise.resolve({ status: 200, type: 'text/plain', body: path })
  readonly #others: TestNode[] = []

  constructor(
    row: ClusterNode,
    tls: LinkTls,
    server: Server,
    port: Listening,
    { waitMs: absentWaitMs = 50, unknownWaitMs, isLocal = false }: NodeOptions,
  ) {
    this.registry = new UpstreamRegistry(new VisitorWaits({ absentWaitMs }))
    this.row = row
    this.port = port
    this.certificate = tls.certificate
    const { registry, table, logger } = this
    this.links = new ClusterLinks({
      self: row,
      tls,
      isLocal,
      table,
      registry,
      readVisitorRules,
      closedRules,
      readPage: async (path) => await this.readPage(path),
      ...(unknownWaitMs !== undefined && { unknownWaitMs }),
      logger,
    })
    server.on('connection', (socket) => this.links.accept(socket))
    registry.on('route', (endpoint, route) => this.tell(endpoint, route))
  }

  /** Tells the other nodes what this one serves, as the database would. */
  tell(endpoint: Endpoint, route: LocalRoute | undefined): void {
    for (const { table } of this.#others) {
      const node = table.node(this.row.id)
      if (node === undefined) continue
      if (route === undefined) table.removeRoute(endpoint, node.id)
      else table.putRoute(endpoint, { ...route, epoch: route.epoch ?? 1, node })
    }
  }

  /** Makes both know each other. */
  meet(other: TestNode): void {
    this.knows(other)
    other.knows(this)
  }

  /** Puts the row of another node into this one's table. */
  knows(other: TestNode, row: ClusterNode = other.row): void {
    this.table.putNode(row)
    if (!other.#others.includes(this)) other.#others.push(this)
    for (const [endpoint, route] of other.registry.localRoutes()) other.tell(endpoint, route)
  }
}

/** What may be different in a node of a test. */
interface NodeOptions {
  readonly tls?: Partial<LinkTls>
  /** How long its visitors wait for an endpoint that is not served, ms. Default: 50. */
  readonly waitMs?: number
  /** As in ClusterLinksOptions. */
  readonly unknownWaitMs?: number
  /** As in ClusterLinksOptions. */
  readonly isLocal?: boolean
}

/** Starts a node that the test's end stops. */
export async function startNode(id: string, options: NodeOptions = {}): Promise<TestNode> {
  const { certificate = makeLinkCertificate(id), ca } = options.tls ?? {}
  const server = createServer()
  const port = await listening(server)
  const row: ClusterNode = {
    id,
    boot: `${id}-boot`,
    address: port.authority,
    fingerprint: certificate.fingerprint,
    version: '1.0.0',
    isLeaving: false,
    load: { sessions: 0, streams: 0 },
  }
  const node = new TestNode(row, { certificate, ca }, server, port, options)
  onTestFinished(async () => {
    await node.links.close(AbortSignal.abort())
    await port.close()
  })
  return node
}

/**
 * Starts a node with a unix socket, that the test's end stops.
 *
 * @param isLocal - whether it connects to those of others.
 */
export async function startLocalNode(
  id: string,
  folder: string,
  isLocal = true,
): Promise<TestNode> {
  const { row: tcp, port, certificate } = await startNode(id)
  const path = join(folder, `${id}.sock`)
  const row = { ...tcp, address: `unix:${path}`, fingerprint: `${id}-boot` }
  const node = new TestNode(row, { certificate }, createServer(), port, { isLocal })
  const server = createServer((socket) => node.links.acceptLocal(socket)).listen(path)
  await once(server, 'listening')
  onTestFinished(async () => {
    await node.links.close(AbortSignal.abort())
    server.close()
  })
  return node
}

/** Opens the ports of a node for agents and consumers on one address, until the test's end. */
export async function serve({ registry, logger }: TestNode): Promise<string> {
  const upstream = new UpstreamAcceptor({ registry, logger, readVisitorRules })
  const consumers = new ConsumerAcceptor({ registry, logger })
  const http = createHttpServer(upstream.handleRequest)
  http.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const { method = '', url = '/', headers } = request
    const { remoteAddress, remotePort } = request.socket
    if (!consumers.matches(method, url)) upstream.handleUpgrade(request, socket, head)
    else {
      const from = { method, path: url, headers, remoteAddress, remotePort }
      void consumers.handle(from, socket, head)
    }
  })
  const port = await listening(http)
  onTestFinished(async () => {
    consumers.destroy()
    upstream.destroy()
    await port.close()
  })
  return `http://${port.authority}`
}

/** Starts nodes that know one another. */
export async function startNodes(...ids: readonly string[]): Promise<TestNode[]> {
  const nodes = await Promise.all(ids.map((id) => startNode(id)))
  for (const [at, one] of nodes.entries()) for (const other of nodes.slice(at + 1)) one.meet(other)
  return nodes
}
