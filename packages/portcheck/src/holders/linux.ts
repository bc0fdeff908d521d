// Holders on Linux: the socket table lists the sockets and their users, and /proc/<pid>/fd the processes,
// as far as this user can read it. A holder without a process has the reason.
import { readFile } from 'node:fs/promises'
import cluster from 'node:cluster'

import { type Holder, noteOn } from './holder.ts'
import { isPreviousInstance, readCommandLine, readProcess, readStat } from './linux-process.ts'
import { findSocketOwners, type SocketOwners } from './linux-socket-owners.ts'
import { readSocketTable, type SocketRow } from './linux-socket-table.ts'
import { printable } from './printable.ts'

/** Most holders in a result; a busy server has thousands of connections on one port. */
const MAX_HOLDERS = 32

/** Finds the holders of a port; undefined when the socket table cannot be read. */
export async function findLinuxHolders(
  port: number,
  options: { readonly commandLine: boolean },
): Promise<Holder[] | undefined> {
  const table = await readSocketTable(port)
  if (table === undefined) return undefined
  const rows = distinct(table)
  if (rows.length === 0) return []
  const inodes = new Set(rows.map((row) => row.inode).filter((inode) => inode !== 0))
  const [owners, users] = await Promise.all([findSocketOwners(inodes), readUsers()])
  return await Promise.all(
    rows.map(async (row) => {
      const user = users.get(row.uid)
      const { address: host, state, uid } = row
      return {
        host,
        port,
        state,
        uid,
        ...(user === undefined ? {} : { user }),
        ...(await readOwner(row, owners, options)),
      }
    }),
  )
}

/** Listeners first; of the other sockets one per address, state and user. */
function distinct(rows: readonly SocketRow[]): SocketRow[] {
  const listening = rows.filter((row) => row.state === 'listening')
  const others = new Map(
    rows
      .filter((row) => row.state !== 'listening')
      .map((row) => [`${row.address} ${row.state} ${row.uid} ${row.inode === 0}`, row]),
  )
  return [...listening, ...others.values()].slice(0, MAX_HOLDERS)
}

async function readOwner(
  row: SocketRow,
  owners: SocketOwners,
  options: { readonly commandLine: boolean },
): Promise<Partial<Holder>> {
  if (row.inode === 0) return { hiddenBecause: 'no-owner' }
  const pid = owners.pids.get(row.inode)
  if (pid === undefined) return { hiddenBecause: owners.hidden ? 'permission' : 'namespace' }
  const facts = await readProcess(pid)
  const note = facts.name === undefined ? undefined : noteOn(facts.name)
  const relation = await relationOf(pid)
  const isOwnUser = row.uid === process.geteuid?.()
  const commandLine = options.commandLine && isOwnUser ? await readCommandLine(pid) : undefined
  return {
    ...facts,
    ...(note === undefined ? {} : { note }),
    ...(relation === undefined ? {} : { relation }),
    ...(commandLine === undefined ? {} : { commandLine }),
  }
}

async function relationOf(pid: number): Promise<Holder['relation']> {
  if (pid === process.pid) return 'self'
  // The sockets of a cluster worker belong to the primary or to another worker.
  if (cluster.isWorker && [pid, (await readStat(pid))?.parent].includes(process.ppid)) return 'self'
  return (await isPreviousInstance(pid)) ? 'previous-instance' : undefined
}

/** Returns the names of user ids. Users of a directory service stay numbers, because a lookup uses the network. */
async function readUsers(): Promise<ReadonlyMap<number, string>> {
  const text = await readFile('/etc/passwd', 'utf8').catch(() => '')
  const users = new Map<number, string>()
  for (const line of text.split('\n')) {
    const [name = '', , uid = ''] = line.split(':')
    if (/^\d+$/.test(uid) && !users.has(Number(uid))) users.set(Number(uid), printable(name))
  }
  return users
}
