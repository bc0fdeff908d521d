// Holders and reserved ports on Windows, from `netstat -ano`, `tasklist` and `netsh`. Names of states are in
// the language of the system, so a listener is recognised by its foreign address, which has port 0. The
// parsers are tested with samples of output, not on Windows.
import { type Holder, noteOn } from './holder.ts'
import { printable } from './printable.ts'
import { runTool, WINDOWS_TOOLS } from './run-tool.ts'
import type { PortRange } from '@proj/config/address'

/** Finds the holders of a port; undefined when netstat cannot be run. */
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

/** Parses `netstat -ano` and keeps the TCP sockets whose local port is `port`. */
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

/** Parses the image name in the output of `tasklist /FO CSV /NH`. */
export function parseTasklist(output: string): string | undefined {
  return /^"([^"]+)","\d+"/m.exec(output)?.[1]
}

function rank(holder: Holder): number {
  return holder.state === 'listening' ? 0 : 1
}

/** Parses `netsh int ipv4 show excludedportrange protocol=tcp`: two columns of ports. */
export function parseExcludedRanges(output: string): PortRange[] {
  return [...output.matchAll(/^\s*(\d{1,5})\s+(\d{1,5})\s*\*?\s*$/gm)].map(([, first, last]) => ({
    first: Number(first),
    last: Number(last),
  }))
}

/**
 * Returns the port ranges that Windows reserves for virtual machines and containers, IPv4 and IPv6. They
 * change with every boot. A bind in them fails with EACCES, and no tool shows a holder.
 */
export async function readExcludedRanges(): Promise<PortRange[]> {
  const outputs = await Promise.all(
    ['ipv4', 'ipv6'].map(
      async (family) =>
        await runTool(`${WINDOWS_TOOLS}\\netsh.exe`, [
          'int',
          family,
          'show',
          'excludedportrange',
          'protocol=tcp',
        ]),
    ),
  )
  return outputs.flatMap((output) => parseExcludedRanges(output ?? ''))
}
