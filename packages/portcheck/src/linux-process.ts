// What /proc tells about a process. Nothing here runs a program. Every read may fail: the process
// may be gone, another user's, or hidden.
import { readFile, readlink } from 'node:fs/promises'
import { basename } from 'node:path'

import { readStat } from './linux-stat.ts'
import { printable } from './printable.ts'

/** USER_HZ, the unit of times in /proc/<pid>/stat; 100 on every architecture Node runs on. */
const TICKS_PER_SECOND = 100

/** Longest command line read, in characters. */
const MAX_COMMAND_CHARACTERS = 1024

/** A process as far as it may be known. */
export interface ProcessFacts {
  readonly pid: number
  readonly name?: string
  /** ISO 8601, to the second. */
  readonly startedAt?: string
}

/** Reads name and age of a process; both are absent when it is gone. */
export async function readProcess(pid: number): Promise<ProcessFacts> {
  const [name, startedAt] = await Promise.all([readName(pid), readStart(pid)])
  return {
    pid,
    ...(name === undefined ? {} : { name }),
    ...(startedAt === undefined ? {} : { startedAt }),
  }
}

/** The command line, escaped; undefined when it may not be read. May hold secrets. */
export async function readCommandLine(pid: number): Promise<string | undefined> {
  const raw = await read(`/proc/${pid}/cmdline`)
  if (raw === undefined || raw === '') return undefined
  return printable(raw.replaceAll('\0', ' ').trimEnd(), MAX_COMMAND_CHARACTERS)
}

/**
 * Whether a process is an earlier run of the calling program: same executable, same arguments, same
 * working directory, started before it. Full equality, since "the same interpreter" would say it of
 * every script.
 */
export async function isPreviousInstance(pid: number): Promise<boolean> {
  const [theirs, ours] = await Promise.all([readIdentity(String(pid)), readIdentity('self')])
  if (theirs === undefined || ours === undefined) return false
  const isSame = theirs.every((one, at) => one === ours[at])
  if (!isSame) return false
  const [stat, ownStat] = await Promise.all([readStat(pid), readStat(process.pid)])
  return stat !== undefined && ownStat !== undefined && stat.startTicks <= ownStat.startTicks
}

async function readIdentity(who: string): Promise<string[] | undefined> {
  try {
    const links = [readlink(`/proc/${who}/exe`), readlink(`/proc/${who}/cwd`)]
    return await Promise.all([...links, readFile(`/proc/${who}/cmdline`, 'latin1')])
  } catch {
    return undefined
  }
}

/**
 * The executable's file name, or what the process calls itself where the link may not be read. The
 * latter is cut at 15 bytes and, for Node since 22, the name of its main thread.
 */
async function readName(pid: number): Promise<string | undefined> {
  try {
    const path = await readlink(`/proc/${pid}/exe`)
    return printable(basename(path.replace(/ \(deleted\)$/, '')))
  } catch {
    const comm = await read(`/proc/${pid}/comm`)
    return comm === undefined ? undefined : printable(comm.replace(/\n$/, ''))
  }
}

async function readStart(pid: number): Promise<string | undefined> {
  const [stat, system] = await Promise.all([readStat(pid), read('/proc/stat')])
  const bootSeconds = Number(/^btime (\d+)$/m.exec(system ?? '')?.[1])
  if (!(bootSeconds > 0) || stat === undefined) return undefined
  const seconds = bootSeconds + Math.floor(stat.startTicks / TICKS_PER_SECOND)
  return new Date(seconds * 1000).toISOString().replace('.000Z', 'Z')
}

async function read(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch {
    return undefined
  }
}
