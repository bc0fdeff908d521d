// @ts-check
// Starts a load generator (load.mjs) and gives it tasks, one at a time.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

// far above the slowest task: what takes longer hangs, and the benchmark must not
const TASK_TIMEOUT_MS = 60_000

/**
 * @param {readonly string[]} [prefix] - put before its command line, such as `ip netns exec NAME`
 * @returns {{ load: import('./measures.mjs').Load, stop: () => void }}
 */
export function startLoader(prefix = []) {
  const [execPath, ...execArgv] = [...prefix, process.execPath]
  const child = fork(join(import.meta.dirname, 'load.mjs'), { execPath, execArgv })
  return {
    async load(kind, options) {
      child.send({ kind, options })
      const signal = AbortSignal.timeout(TASK_TIMEOUT_MS)
      const [{ result, error }] = await once(child, 'message', { signal }).catch((cause) => [
        { error: `no result within ${TASK_TIMEOUT_MS} ms (${cause.message})` },
      ])
      if (error) throw new Error(`${kind} of ${JSON.stringify(options)}: ${error}`)
      return result
    },
    stop: () => child.disconnect(),
  }
}
