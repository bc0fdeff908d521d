import { formatTable, type TextOutput } from '@proj/console'
import type { BoundAddress, Listeners } from '@proj/portcheck'

import type { Server } from './server.ts'
import { SOFTWARE } from './version.ts'

/** Who connects to a listener. */
const WHO: ReadonlyMap<string, string> = new Map([
  ['proxy', 'visitors'],
  ['upstream', 'agents'],
  ['admin', 'operators'],
])

/** Says what is really bound, from the sockets, and what is not as one might think. */
export function announce(
  server: Server,
  { stdout, json }: { readonly stdout: TextOutput; readonly json: boolean },
): void {
  const named = Object.entries(server.listeners) as [string, Listeners][]
  if (json) {
    const listeners = named.map(([name, { bound }]) => ({
      name,
      addresses: bound.flatMap(({ sockets }) => sockets.map(({ address }) => address)),
      urls: bound.flatMap(({ urls }) => urls),
      warnings: bound.flatMap(({ warnings }) => warnings),
    }))
    stdout.write(`${JSON.stringify({ event: 'ready', software: SOFTWARE, listeners })}\n`)
    return
  }
  const rows = named.flatMap(([name, { bound }]) =>
    bound.flatMap(rowsOf).map((row, index) => [index === 0 ? (WHO.get(name) ?? name) : '', ...row]),
  )
  const warnings = named.flatMap(([, { bound }]) =>
    bound.flatMap((one) =>
      one.warnings.map(({ code, text, hint }) => `warning: ${text} (${code})\n  ${hint}\n`),
    ),
  )
  const title = SOFTWARE.replace('/', ' ')
  stdout.write(`${title}\n\n${formatTable(rows, 2)}\n${warnings.join('')}`)
}

/** A row for each socket and each URL, side by side: address, families, URL. */
function rowsOf({ sockets, urls }: BoundAddress): string[][] {
  return Array.from({ length: Math.max(sockets.length, urls.length) }, (_, index) => {
    const socket = sockets[index]
    return [socket?.address ?? '', socket?.families ?? '', urls[index] ?? '']
  })
}
