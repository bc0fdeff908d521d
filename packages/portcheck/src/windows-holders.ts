// Holders on Windows, from `netstat -ano` and `tasklist`. State words are translated with the
// system's language, so listeners are told by their foreign address, which has port 0. The parsers
// are tested on samples of output; they were never run on Windows by their authors.
import type { Holder } from './holder.ts'
import { noteOn } from './known-holders.ts'
import { printable } from './printable.ts'
import { runTool, WINDOWS_TOOLS } from './run-tool.ts'

/** Finds who holds a port; undefined when netstat cannot be run. */
export async function findWindowsHolders(port: number): Promise<Holder[] | undefined> {
  const output = await runTool(`${WINDOWS_TOOLS}\\netstat.exe`, ['-ano'])
  if (output === undefined) return undefined
  return await Promise.all(
    parseNetstat(output, port).map(async (holder) => {
      if (holder.pid === undefined) return holder
      const args = ['/FI', `PID eq ${holder.pid}`, '/FO', 'CSV', '/NH']
      const name = parseTasklist((await runTool(`${WINDOWS_TOOLS}\\tasklist.exe`, args)) ?? '')
      if (name === undefined) return holder
      const note = noteOn(name)
      return { ...holder, name: printable(name), ...(note === undefined ? {} : { note }) }
    }),
  )
}

/** Parses `netstat -ano`, keeping TCP sockets whose local port is `port`. */
export function parseNetstat(output: string, port: number): Holder[] {
  const holders = new Map<string, Holder>()
  for (const line of output.split(/\r?\n/)) {
    const [proto, local = '', foreign = '', ...rest] = line.trim().split(/\s+/)
    const pid = rest.at(-1) ?? ''
    if (proto !== 'TCP' || !local.endsWith(`:${port}`) || !/^\d+$/.test(pid)) continue
    const host = local.slice(0, local.lastIndexOf(':')).replace(/^\[(.*)\]$/, '$1')
    const state = foreign.endsWith(':0') ? 'listening' : pid === '0' ? 'time-wait' : 'connected'
    const owner = pid === '0' ? { hiddenBecause: 'no-owner' as const } : { pid: Number(pid) }
    holders.set(`${host} ${state} ${pid}`, { host, port, state, ...owner })
  }
  return [...holders.values()].toSorted((a, b) => rank(a) - rank(b))
}

/** Reads the image name out of `tasklist /FO CSV /NH`. */
export function parseTasklist(output: string): string | undefined {
  return /^"([^"]+)","\d+"/m.exec(output)?.[1]
}

function rank(holder: Holder): number {
  return holder.state === 'listening' ? 0 : 1
}
