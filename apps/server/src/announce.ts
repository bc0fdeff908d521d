import {
  bindNotes,
  formatBindNotes,
  formatTable,
  jsonLine,
  type TextOutput,
} from '@proj/program-kit'
import type { BoundAddress, Listeners } from '@proj/portcheck'

import type { Cluster } from './cluster/cluster.ts'
import type { Server } from './server.ts'
import { SOFTWARE } from './version.ts'

/** Who connects to a port. */
const WHO: ReadonlyMap<string, string> = new Map([
  ['proxy', 'visitors'],
  ['upstream', 'agents'],
  ['admin', 'operators'],
])

/**
 * Prints what is bound, as the sockets report it, with warnings. It connects once to every address, to see
 * whether the connection arrives here.
 */
export async function announce(
  server: Server,
  {
    stdout,
    json,
    cluster,
  }: {
    readonly stdout: TextOutput
    readonly json: boolean
    /** The node that the server is, if it is one. */
    readonly cluster?: Pick<Cluster, 'view' | 'bound'> | undefined
  },
): Promise<void> {
  const opened = Object.entries(server.listeners) as [string, Listeners][]
  const named = await Promise.all(
    opened.map(async ([name, listeners]) => ({
      name,
      bound: listeners.bound,
      warnings: await bindNotes(listeners),
    })),
  )
  if (json) {
    const listeners = named.map(({ name, bound, warnings }) => ({
      name,
      addresses: bound.flatMap(({ sockets }) => sockets.map(({ address }) => address)),
      urls: bound.flatMap(({ urls }) => urls),
      warnings,
    }))
    const { id, boot, address } = cluster?.view.local ?? {}
    const node = cluster && { id, boot, address }
    stdout.write(jsonLine({ event: 'ready', software: SOFTWARE, listeners, node }))
    return
  }
  const rows = named.flatMap(({ name, bound }) =>
    bound.flatMap(rowsOf).map((row, index) => [index === 0 ? (WHO.get(name) ?? name) : '', ...row]),
  )
  if (cluster !== undefined) {
    const { id, address } = cluster.view.local
    const known = `node ${id}, the others connect to ${address}`
    const sockets = cluster.bound.flatMap((one) => one.sockets)
    rows.push(
      ...sockets.map((socket, index) =>
        index === 0
          ? ['nodes', socket.address, socket.families, known]
          : ['', socket.address, socket.families, ''],
      ),
    )
  }
  const notes = formatBindNotes(named.flatMap(({ warnings }) => warnings))
  stdout.write(`${SOFTWARE.replace('/', ' ')}\n\n${formatTable(rows, { indent: 2 })}\n${notes}`)
}

/** A row for each socket and each URL, side by side: address, families, URL. */
function rowsOf({ sockets, urls }: BoundAddress): string[][] {
  return Array.from({ length: Math.max(sockets.length, urls.length) }, (_, index) => {
    const socket = sockets[index]
    return [socket?.address ?? '', socket?.families ?? '', urls[index] ?? '']
  })
}
