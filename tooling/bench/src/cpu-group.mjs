// @ts-check
// Gives processes a part of one core together, as a small machine would: a control group of Linux (version 1 or 2),
// which only root can make.
import { existsSync, mkdirSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Short, so that a process is held up for a few ms at a time. Linux takes 1 ms at least. */
const PERIOD_US = 5_000

const ROOT = '/sys/fs/cgroup'

/**
 * @param {number} share - of one core
 * @returns {{ add: (pid: number) => void, remove: () => void } | undefined} remove: once its processes have ended;
 *   undefined: there can be no group here
 */
export function cpuGroup(share) {
  const quota = Math.round(PERIOD_US * share)
  const isFirstVersion = existsSync(join(ROOT, 'cpu/cpu.shares'))
  const group = join(ROOT, isFirstVersion ? 'cpu' : '', `adit-bench-${process.pid}`)
  try {
    mkdirSync(group)
  } catch {
    return undefined
  }
  const remove = () => rmdirSync(group)
  try {
    if (isFirstVersion) {
      writeFileSync(join(group, 'cpu.cfs_period_us'), String(PERIOD_US))
      writeFileSync(join(group, 'cpu.cfs_quota_us'), String(quota))
    } else writeFileSync(join(group, 'cpu.max'), `${quota} ${PERIOD_US}`)
  } catch {
    remove()
    return undefined
  }
  return { add: (pid) => writeFileSync(join(group, 'cgroup.procs'), String(pid)), remove }
}
