// The processes that have a socket open, from the links in /proc/<pid>/fd of the processes that this user
// can read.
import { readdir, readlink } from 'node:fs/promises'

import { errnoOf } from '../claim/bind-verdict.ts'

/** The processes that have sockets open. */
export interface SocketOwners {
  /** For each socket number the lowest process id that has it open. */
  readonly pids: ReadonlyMap<number, number>
  /** Whether some process could not be read. */
  readonly hidden: boolean
}

/** Finds the processes that have the given sockets open. */
export async function findSocketOwners(inodes: ReadonlySet<number>): Promise<SocketOwners> {
  const pids = new Map<number, number>()
  if (inodes.size === 0) return { pids, hidden: false }
  const processes = await listProcesses()
  // Every namespace has a process 1. With hidepid=2 the processes of other users are not listed.
  let hidden = !processes.includes(1)
  const links = new Map([...inodes].map((inode) => [`socket:[${inode}]`, inode]))
  for (const pid of processes) {
    let fds: string[]
    try {
      fds = await readdir(`/proc/${pid}/fd`)
    } catch (error) {
      // EPERM with hidepid=1. A process that has ended is ENOENT.
      hidden ||= ['EACCES', 'EPERM'].includes(errnoOf(error))
      continue
    }
    for (const link of await Promise.all(fds.map(async (fd) => await readFd(pid, fd)))) {
      const inode = links.get(link)
      if (inode !== undefined && !pids.has(inode)) pids.set(inode, pid)
    }
    if (pids.size === inodes.size) break
  }
  return { pids, hidden }
}

async function listProcesses(): Promise<number[]> {
  try {
    const names = await readdir('/proc')
    return names.filter((name) => /^\d+$/.test(name)).map(Number)
  } catch {
    return []
  }
}

async function readFd(pid: number, fd: string): Promise<string> {
  try {
    return await readlink(`/proc/${pid}/fd/${fd}`)
  } catch {
    return ''
  }
}
