// @ts-check
// CPU time and memory of processes, as the kernel counts them (proc(5)).
import { readFileSync } from 'node:fs'

// utime and stime count in clock ticks, of which Linux shows 100 a second to every program
const TICKS_PER_SECOND = 100

/**
 * CPU seconds, user and system, that a process and its children have used so far.
 *
 * @param {number} pid
 * @returns {number}
 */
export function cpuSeconds(pid) {
  // the program name, in brackets, may hold anything; the fields after it may not
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const own = (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
  return own + sum(childrenOf(pid).map(cpuSeconds))
}

/**
 * The most memory a process and its children have had resident at any time, bytes (children added
 * up, as if their peaks fell together).
 *
 * @param {number} pid
 * @returns {number}
 */
export function peakRssBytes(pid) {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const own = Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024
  return own + sum(childrenOf(pid).map(peakRssBytes))
}

/** @param {number} pid */
function childrenOf(pid) {
  const list = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim()
  return list === '' ? [] : list.split(' ').map(Number)
}

/** @param {number[]} values */
function sum(values) {
  return values.reduce((total, value) => total + value, 0)
}
