// /proc/<pid>/stat: who started a process, and when.
import { readFile } from 'node:fs/promises'

/** Two facts of a process. */
export interface ProcessStat {
  /** Process id of the parent. */
  readonly parent: number
  /** Start, in ticks since boot. */
  readonly startTicks: number
}

/** Reads the facts; undefined when the process is gone. */
export async function readStat(pid: number): Promise<ProcessStat | undefined> {
  try {
    return parseStat(await readFile(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return undefined
  }
}

/**
 * Fields 4 and 22 of /proc/<pid>/stat: the parent, and the start in ticks since boot. The name in
 * field 2 may hold spaces and parentheses of its own.
 */
export function parseStat(stat: string): ProcessStat | undefined {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const [parent, startTicks] = [Number(fields[1] ?? Number.NaN), Number(fields[19] ?? Number.NaN)]
  return Number.isInteger(parent) && Number.isInteger(startTicks)
    ? { parent, startTicks }
    : undefined
}
