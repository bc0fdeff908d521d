// One look at who holds a port, on the system at hand. Undefined means "cannot tell", which is not
// the same as "nobody".
import { findDarwinHolders } from './darwin-holders.ts'
import type { Holder } from './holder.ts'
import { findLinuxHolders } from './linux-holders.ts'
import { findWindowsHolders } from './windows-holders.ts'

/** Finds every socket on a local port, listeners first; undefined when this system cannot tell. */
export async function findHolders(
  port: number,
  options: { readonly commandLine?: boolean } = {},
): Promise<readonly Holder[] | undefined> {
  const { commandLine = false } = options
  if (process.platform === 'linux') return await findLinuxHolders(port, { commandLine })
  if (process.platform === 'darwin') return await findDarwinHolders(port)
  if (process.platform === 'win32') return await findWindowsHolders(port)
  return undefined
}
