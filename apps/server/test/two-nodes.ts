// Two servers that are nodes of one cluster, in one process and without a database: what each of them serves is
// written into the other's table at once.
import { createServer, type Server as NetServer } from 'node:net'

import { ClusterLinks, type ClusterNode, ClusterTable, makeLinkCertificate } from '@proj/cluster'
import { parsePolicy, Gate, PasswordChecks, SourceLimiter, VISITOR_FAILURES } from '@proj/auth'
import { listening } from '@proj/testkit/listening'

import { VisitorGates } from '../src/auth/visitor-gates.ts'
import type { Server } from '../src/server.ts'

const logger = { debug() {}, info() {}, warn() {}, error() {} }

/** What joins the two. */
export interface TwoNodes extends AsyncDisposable {
  /** Links of the first server, and of the second. */
  readonly links: readonly [ClusterLinks<Gate>, ClusterLinks<Gate>]
}

interface Joined {
  readonly row: ClusterNode
  readonly table: ClusterTable
  readonly links: ClusterLinks<Gate>
  readonly server: Server
  readonly stop: () => Promise<void>
}

/** Makes two servers nodes of one cluster. */
export async function joinNodes(one: Server, other: Server): Promise<TwoNodes> {
  const [a, b] = [await nodeOf('a', one), await nodeOf('b', other)]
  follow(a, b)
  follow(b, a)
  return {
    links: [a.links, b.links],
    async [Symbol.asyncDispose]() {
      await a.stop()
      await b.stop()
    },
  }
}

async function nodeOf(id: string, server: Server): Promise<Joined> {
  const port: NetServer = createServer()
  const at = await listening(port)
  const certificate = makeLinkCertificate(id)
  const row: ClusterNode = {
    id,
    boot: `${id}-boot`,
    address: at.authority,
    fingerprint: certificate.fingerprint,
    version: '0.0.0',
    isLeaving: false,
    load: { sessions: 0, streams: 0 },
  }
  const table = new ClusterTable()
  const parts = { checks: new PasswordChecks(), failures: new SourceLimiter(VISITOR_FAILURES) }
  const links = new ClusterLinks({
    self: row,
    tls: { certificate },
    table,
    registry: server.registry,
    readVisitorRules: new VisitorGates().read,
    closedRules: new Gate(parsePolicy({ allow: [] }), parts),
    onLongLivedOver: (session) => server.edge.endLongLived(session, 'server'),
    logger,
  })
  port.on('connection', (socket) => links.accept(socket))
  const stop = async (): Promise<void> => {
    await links.close(AbortSignal.abort())
    await at.close()
  }
  return { row, table, links, server, stop }
}

/** Tells `to` what `from` serves. */
function follow(to: Joined, from: Joined): void {
  const node = to.table.putNode(from.row)
  const { registry } = from.server
  registry.on('route', (endpoint, route) => {
    if (route === undefined) to.table.removeRoute(endpoint, node.id)
    else to.table.putRoute(endpoint, { ...route, node, epoch: route.epoch ?? 1 })
  })
}
