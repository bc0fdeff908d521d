/** How the file descriptors of this process are shared between visitors, agents and everything else. */
import { readFileSync } from 'node:fs'

import type { ConnectionShares } from './connection-budget.ts'

/** Assumed where the system has no `/proc/self/limits`. macOS gives 10 240 or more. */
export const ASSUMED_DESCRIPTORS = 10_240

/** Descriptors that visitors never take: a quarter of all, and at least this many. */
const MIN_RESERVE = 96

/** Descriptors that no connection takes: files, listening sockets, operators, connections being rejected. */
const OWN_FILES = 64

/** Reads the limit of open files (RLIMIT_NOFILE) of this process. */
export function readDescriptorLimit(): number {
  try {
    return parseDescriptorLimit(readFileSync('/proc/self/limits', 'latin1'))
  } catch {
    return ASSUMED_DESCRIPTORS
  }
}

/** Reads the soft limit of open files in the text of `/proc/self/limits` (proc_pid_limits(5)). */
export function parseDescriptorLimit(text: string): number {
  const soft = /^Max open files +(\d+|unlimited) /m.exec(text)?.[1]
  if (soft === undefined) return ASSUMED_DESCRIPTORS
  return soft === 'unlimited' ? Infinity : Number(soft)
}

/** How many of the descriptors are for visitors, 1 or more. */
export function visitorDescriptors(limit: number): number {
  return Math.max(1, Math.min(Math.floor(limit * 0.75), limit - MIN_RESERVE))
}

/** How many connections of each kind may be open with this limit of descriptors. */
export function shareDescriptors(limit: number): ConnectionShares {
  const visitors = visitorDescriptors(limit)
  const all = Math.max(visitors + 1, limit - OWN_FILES)
  return {
    visitors,
    visitorsPerSource: Math.max(1, Math.floor(visitors / 2)),
    all,
    // Half of what is there for agents alone.
    unauthenticated: limit === Infinity ? Infinity : Math.max(1, Math.floor((all - visitors) / 2)),
  }
}
