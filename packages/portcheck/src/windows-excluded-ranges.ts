// Port ranges that Windows keeps for virtual machines and containers. A bind there fails with EACCES
// while no tool shows a holder. The parser is tested on samples of output; it was never run on Windows
// by its authors.
import type { PortRange } from '@proj/config/address'

import { runTool, WINDOWS_TOOLS } from './run-tool.ts'

/** Reads `netsh int ipv4 show excludedportrange protocol=tcp`: two columns of ports. */
export function parseExcludedRanges(output: string): PortRange[] {
  return [...output.matchAll(/^\s*(\d{1,5})\s+(\d{1,5})\s*\*?\s*$/gm)].map(([, first, last]) => ({
    first: Number(first),
    last: Number(last),
  }))
}

/** The port ranges that Windows keeps for itself, IPv4 and IPv6; they change with every boot. */
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
