// The process that listens on a unix socket: /proc/net/unix has the path and the number of every such socket
// of this network namespace, and the links in /proc/<pid>/fd its process. One line each:
//   Num RefCount Protocol Flags Type St Inode Path
import { readFile } from 'node:fs/promises'

import { readProcess } from './linux-process.ts'
import { findSocketOwners } from './linux-socket-owners.ts'

/** __SO_ACCEPTCON of include/linux/net.h: the socket listens. */
const LISTENS = 0x10000

/** Describes the process that listens on a path: `node (pid 12, since …)`; undefined when it is not known. */
export async function findUnixHolder(path: string): Promise<string | undefined> {
  if (process.platform !== 'linux') return undefined
  const table = await readFile('/proc/net/unix', 'utf8').catch(() => '')
  const inode = findUnixSocket(table, path)
  if (inode === undefined) return undefined
  const { pids } = await findSocketOwners(new Set([inode]))
  const pid = pids.get(inode)
  if (pid === undefined) return 'a hidden process'
  const { name = 'a process', startedAt } = await readProcess(pid)
  const facts = [`pid ${pid}`, ...(startedAt === undefined ? [] : [`since ${startedAt}`])]
  return `${pid === process.pid ? 'this process' : name} (${facts.join(', ')})`
}

/** Ends the name that `listenUnix` binds before the path leads to it; the table shows that name. */
const BOUND_SUFFIX = /~[0-9a-f]{6}$/

/** The name that is bound for a path. */
export function boundNameOf(path: string, unique: Buffer): string {
  return `${path}~${unique.toString('hex')}`
}

/** Returns the number of the socket that listens on a path; the newest of several. */
export function findUnixSocket(table: string, path: string): number | undefined {
  let found: number | undefined
  for (const line of table.split('\n')) {
    if (!line.endsWith(` ${path}`) && !line.replace(BOUND_SUFFIX, '').endsWith(` ${path}`)) continue
    const [, , , flags = '', , , inode = ''] = line.split(/\s+/)
    if ((Number.parseInt(flags, 16) & LISTENS) !== 0) found = Number(inode)
  }
  return found
}
