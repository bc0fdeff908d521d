import {
  bindNotes,
  type BindNote,
  formatBindNotes,
  formatTable,
  jsonLine,
  type TextOutput,
} from '@proj/program-kit'
import type { BoundAddress, Listeners } from '@proj/portcheck'

import type { Cluster } from './cluster/cluster.ts'
import { SOFTWARE } from './version.ts'

/** Who connects to a port. */
const WHO: ReadonlyMap<string, string> = new Map([
  ['proxy', 'visitors'],
  ['upstream', 'agents'],
  ['admin', 'operators'],
])

/** What is bound for one port. */
export interface OpenedPort {
  readonly name: string
  readonly bound: readonly BoundAddress[]
  readonly warnings: readonly BindNote[]
}

/** Looks at what is bound. It connects once to every address, to see whether the connection arrives here. */
export async function lookAt(
  listeners: Readonly<Record<'proxy' | 'upstream' | 'admin', Listeners>>,
): Promise<readonly OpenedPort[]> {
  return await Promise.all(
    Object.entries(listeners).map(async ([name, one]) => {
      return { name, bound: one.bound, warnings: await bindNotes(one) }
    }),
  )
}

/** Prints what is bound, as the sockets report it, with warnings. */
export function announce(
  opened: readonly OpenedPort[],
  {
    stdout,
    json,
    cluster,
    workers = 1,
  }: {
    readonly stdout: TextOutput
    readonly json: boolean
    /** The node that the server is, if it is one. */
    readonly cluster?: Pick<Cluster, 'view' | 'bound'> | undefined
    /** Number of processes that accept. Default: 1, which is not printed. */
    readonly workers?: number
  },
): void {
  if (json) {
    const listeners = opened.map(({ name, bound, warnings }) => ({
      name,
      addresses: bound.flatMap(({ sockets }) => sockets.map(({ address }) => address)),
      urls: bound.flatMap(({ urls }) => urls),
      warnings,
    }))
    const { id, boot, address } = cluster?.view.local ?? {}
    const node = cluster && { id, boot, address }
    const ready = { event: 'ready', software: SOFTWARE, listeners, node }
    stdout.write(jsonLine(workers === 1 ? ready : { ...ready, workers }))
    return
  }
  const rows = opened.flatMap(({ name, bound }) =>
    bound.flatMap(rowsOf).map((row, index) => [index === 0 ? (WHO.get(name) ?? name) : '', ...row]),
  )
  if (workers > 1) rows.push(['workers', String(workers), '', ''])
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
  const notes = formatBindNotes(opened.flatMap(({ warnings }) => warnings))
  stdout.write(`${SOFTWARE.replace('/', ' ')}\n\n${formatTable(rows, { indent: 2 })}\n${notes}`)
}

/** A row for each socket and each URL, side by side: address, families, URL. */
function rowsOf({ sockets, urls }: BoundAddress): string[][] {
  return Array.from({ length: Math.max(sockets.length, urls.length) }, (_, index) => {
    const socket = sockets[index]
    return [socket?.address ?? '', socket?.families ?? '', urls[index] ?? '']
  })
}
