// Finds the holders of a port on this system.
import { findDarwinHolders } from './darwin.ts'
import type { Holder } from './holder.ts'
import { findLinuxHolders } from './linux.ts'
import { findWindowsHolders } from './windows.ts'

/**
 * Finds every socket on a local port, listeners first.
 * @returns undefined when this system cannot tell, which is not the same as an empty list
 */
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
