// Facts about a process from /proc; no program is run. Every read can fail: the process can have ended,
// belong to another user, or be hidden.
import { readFile, readlink } from 'node:fs/promises'
import { basename } from 'node:path'
import { printable } from './printable.ts'

/** USER_HZ, the unit of times in /proc/<pid>/stat; 100 on every architecture Node runs on. */
const TICKS_PER_SECOND = 100

/** Longest command line read, in characters. */
const MAX_COMMAND_CHARACTERS = 1024

/** Facts about a process. */
export interface ProcessFacts {
  readonly pid: number
  readonly name?: string
  /** ISO 8601, to the second. */
  readonly startedAt?: string
}

/** Reads name and start of a process; both are absent when it has ended. */
export async function readProcess(pid: number): Promise<ProcessFacts> {
  const [name, startedAt] = await Promise.all([readName(pid), readStart(pid)])
  return {
    pid,
    ...(name === undefined ? {} : { name }),
    ...(startedAt === undefined ? {} : { startedAt }),
  }
}

/** Returns the command line, escaped; undefined when it cannot be read. Can contain secrets. */
export async function readCommandLine(pid: number): Promise<string | undefined> {
  const raw = await read(`/proc/${pid}/cmdline`)
  if (raw === undefined || raw === '') return undefined
  return printable(raw.replaceAll('\0', ' ').trimEnd(), MAX_COMMAND_CHARACTERS)
}

/**
 * Tells whether a process is an earlier run of the calling program: same executable, same arguments,
 * same working directory, and an earlier start. The executable alone is the same for every script.
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
 * Returns the file name of the executable, or the name that the process gave itself when the link cannot
 * be read. The latter has at most 15 bytes and is the name of the main thread in Node 22 and newer.
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

/** Two facts from /proc/<pid>/stat. */
export interface ProcessStat {
  /** Process id of the parent. */
  readonly parent: number
  /** Start, in ticks since boot. */
  readonly startTicks: number
}

/** Reads the facts; undefined when the process has ended. */
export async function readStat(pid: number): Promise<ProcessStat | undefined> {
  try {
    return parseStat(await readFile(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return undefined
  }
}

/**
 * Parses fields 4 and 22 of /proc/<pid>/stat: the parent, and the start in ticks since boot. The name in
 * field 2 can contain spaces and parentheses.
 */
export function parseStat(stat: string): ProcessStat | undefined {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const [parent, startTicks] = [Number(fields[1] ?? Number.NaN), Number(fields[19] ?? Number.NaN)]
  return Number.isInteger(parent) && Number.isInteger(startTicks)
    ? { parent, startTicks }
    : undefined
}
