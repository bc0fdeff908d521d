/** How the file descriptors of this process are shared between visitors, agents and everything else. */
import { readFileSync } from 'node:fs'

import type { ConnectionShares } from './connection-budget.ts'

/** Assumed where the system has no `/proc/self/limits`. macOS gives 10 240 or more. */
export const ASSUMED_DESCRIPTORS = 10_240

/** Descriptors that visitors never take: a quarter of all, and at least this many. */
const MIN_RESERVE = 96

/** Descriptors that no connection takes: files, listening sockets, connections that are being rejected. */
const OWN_FILES = 48

/** Connections of operators and of programs that read metrics. */
const MIN_ADMIN = 16
const MAX_ADMIN = 256

/** TLS handshakes on one port. */
const MIN_HANDSHAKES = 8

/** Handshakes and admin connections each have this part of the descriptors. */
const SMALL_SHARE = 1 / 32

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

/** What the descriptors are enough for. */
export interface DescriptorShares extends ConnectionShares {
  /** TLS handshakes at once, for each port with TLS. */
  readonly handshakes: number
}

/**
 * How many connections of each kind may be open with this limit of descriptors.
 *
 * @param tlsPorts - number of ports with TLS.
 */
export function shareDescriptors(limit: number, tlsPorts: number): DescriptorShares {
  const visitors = visitorDescriptors(limit)
  const small = Math.floor(limit * SMALL_SHARE)
  const handshakes = Math.max(MIN_HANDSHAKES, small)
  const admin = Math.min(MAX_ADMIN, Math.max(MIN_ADMIN, small))
  const others = OWN_FILES + admin + (tlsPorts === 0 ? 0 : tlsPorts * handshakes)
  const all = limit === Infinity ? Infinity : Math.max(visitors + 1, limit - others)
  return {
    visitors,
    visitorsPerSource: Math.max(1, Math.floor(visitors / 2)),
    all,
    // Half of what is there for agents alone.
    unauthenticated: all === Infinity ? Infinity : Math.max(1, Math.floor((all - visitors) / 2)),
    admin,
    handshakes,
  }
}
