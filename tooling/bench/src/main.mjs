// @ts-check
// `pnpm bench`: how much the way through Adit costs, as ratios to the straight way and to one hop
// through nginx, on the machine it runs on. Rounds alternate between the legs, so that what else the
// machine does meets all of them. Figures in absolute terms say little about any other machine.
//
//     pnpm bench [--rounds 11] [--json] [--previous DIR]
//
// With --previous the built checkout in DIR is one more leg: what a change costs, in one run.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { cpus, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { startLegs } from './legs.mjs'
import { LARGE_BYTES, SMALL_BYTES, measure, warmUp } from './measures.mjs'
import { peakRssBytes } from './process-usage.mjs'
import { formatResults, results } from './results.mjs'

// far above the slowest task: what takes longer hangs, and the benchmark must not
const TASK_TIMEOUT_MS = 60_000

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '11' },
    json: { type: 'boolean', default: false },
    previous: { type: 'string' },
  },
})
const say = (/** @type {string} */ text) => options.json || console.log(text)

const folder = mkdtempSync(join(tmpdir(), 'adit-bench-'))
const loader = fork(join(import.meta.dirname, 'load.mjs'))
process.once('SIGINT', () => process.exit(130)) // the children end with us
try {
  const { legs, notes, stop } = await startLegs(
    folder,
    [SMALL_BYTES, LARGE_BYTES],
    options.previous,
  )
  try {
    const busy = loadavg()[0]?.toFixed(1)
    const machine = `Node ${process.version}, ${cpus().length} x ${cpus()[0]?.model.trim()}, load average ${busy}`
    for (const line of [machine, ...notes]) say(line)
    for (const leg of legs) await warmUp(leg, load)
    say('warmed up')
    const rounds = await runRounds(legs, Number(options.rounds))
    const result = results(
      rounds,
      legs.map(({ name }) => name),
    )
    const memory = legs.flatMap(({ processes }) =>
      processes.map(({ name, pid }) => ({ name, peakRssBytes: peakRssBytes(pid) })),
    )
    if (options.json) {
      console.log(JSON.stringify({ machine, notes, ...result, memory }, null, 2))
    } else {
      console.log(`\n${formatResults(result)}\n`)
      for (const { name, peakRssBytes: bytes } of memory) {
        console.log(`peak RSS of ${name}: ${(bytes / 1024 / 1024).toFixed(0)} MiB`)
      }
    }
  } finally {
    await stop()
  }
} finally {
  loader.disconnect()
  rmSync(folder, { recursive: true, force: true })
}

/**
 * @param {import('./legs.mjs').Leg[]} legs
 * @param {number} count
 */
async function runRounds(legs, count) {
  const rounds = []
  for (let index = 0; index < count; index++) {
    /** @type {import('./results.mjs').Round} */
    const round = {}
    // every other round the other way round: no leg always follows the same one
    for (const leg of index % 2 === 0 ? legs : legs.toReversed()) {
      round[leg.name] = await measure(leg, load)
    }
    rounds.push(round)
    say(`round ${index + 1} of ${count}`)
  }
  return rounds
}

/**
 * Runs one task in the load process.
 *
 * @param {string} kind
 * @param {object} task
 */
async function load(kind, task) {
  loader.send({ kind, options: task })
  const signal = AbortSignal.timeout(TASK_TIMEOUT_MS)
  const [{ result, error }] = await once(loader, 'message', { signal }).catch((cause) => [
    { error: `no result within ${TASK_TIMEOUT_MS} ms (${cause.message})` },
  ])
  if (error) throw new Error(`${kind} of ${JSON.stringify(task)}: ${error}`)
  return result
}
