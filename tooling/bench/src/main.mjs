// @ts-check
// `pnpm bench`: how much the way through Adit costs, as ratios to the straight way and to one hop
// through nginx, on the machine it runs on. Rounds alternate between the legs, so that what else the
// machine does meets all of them. Figures in absolute terms say little about any other machine.
//
//     pnpm bench [--rounds 11] [--json] [--previous DIR] [--rules]
//     pnpm bench --cluster [--rounds 11] [--json] [--database-url URL]
//     pnpm bench --inspect [--rounds 15] [--json]
//     pnpm bench --crowds [--rounds 5] [--json] [--previous DIR] [--groups fresh,many,mixed,tls]
//     pnpm bench --distance [--rounds 3] [--json] [--previous DIR] [--rtt 50] [--loss 1] [--rate 200]
//
// With --previous the built checkout in DIR is one more leg: what a change costs, in one run; with --rules listeners
// with rules and limits are one. With --distance
// the legs are a long line instead of loopback (distance.mjs); with --crowds many visitors do what they do at once
// (crowds.mjs); with --cluster the legs are two nodes (hop.mjs), with --inspect agents with and without their
// inspector (inspect.mjs).
import { mkdtempSync, rmSync } from 'node:fs'
import { cpus, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { CROWD_GROUPS, CROWD_ROWS, measureCrowd, startCrowds, warmUpCrowd } from './crowds.mjs'
import { distanceRows, measureDistance, startDistance } from './distance.mjs'
import { HOP_ROWS, measureHop, startHop } from './hop.mjs'
import { INSPECT_ROWS, measureInspect, startInspect } from './inspect.mjs'
import { startLegs } from './legs.mjs'
import { startLoader } from './loader.mjs'
import { LARGE_BYTES, ROWS, SMALL_BYTES, measure, warmUp } from './measures.mjs'
import { peakRssBytes } from './process-usage.mjs'
import { formatResults, results } from './results.mjs'

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string' },
    json: { type: 'boolean', default: false },
    previous: { type: 'string' },
    rules: { type: 'boolean', default: false },
    cluster: { type: 'boolean', default: false },
    inspect: { type: 'boolean', default: false },
    'database-url': { type: 'string' },
    crowds: { type: 'boolean', default: false },
    groups: { type: 'string', default: CROWD_GROUPS.join() },
    distance: { type: 'boolean', default: false },
    rtt: { type: 'string', default: '50' },
    loss: { type: 'string', default: '1' },
    rate: { type: 'string', default: '200' },
  },
})
const say = (/** @type {string} */ text) => options.json || console.log(text)

const folder = mkdtempSync(join(tmpdir(), 'adit-bench-'))
process.once('SIGINT', () => process.exit(130)) // the children end with us
try {
  const busy = loadavg()[0]?.toFixed(1)
  const machine = `Node ${process.version}, ${cpus().length} x ${cpus()[0]?.model.trim()}, load average ${busy}`
  say(machine)
  if (options.cluster) await runCluster(machine)
  else if (options.inspect) await runInspect(machine)
  else if (options.crowds) await runCrowds(machine)
  else await (options.distance ? runDistance(machine) : runLoopback(machine))
} finally {
  rmSync(folder, { recursive: true, force: true })
}

/** @param {string} machine */
async function runLoopback(machine) {
  const loaders = [startLoader(), startLoader()]
  const [load, background] = loaders.map((loader) => loader.load)
  if (load === undefined || background === undefined) return
  const sizes = [SMALL_BYTES, LARGE_BYTES]
  const { legs, notes, stop } = await startLegs(folder, sizes, {
    previous: options.previous,
    hasRules: options.rules,
  })
  try {
    for (const note of notes) say(note)
    for (const leg of legs) await warmUp(leg, load, background)
    say('warmed up')
    const rounds = await runRounds(legs, Number(options.rounds ?? 11), (leg) =>
      measure(leg, load, background),
    )
    const memory = legs.flatMap(({ processes }) =>
      processes.map(({ name, pid }) => ({ name, peakRssBytes: peakRssBytes(pid) })),
    )
    report(machine, notes, ROWS, rounds, legs, memory)
  } finally {
    await stop()
    for (const loader of loaders) loader.stop()
  }
}

/** @param {string} machine */
async function runCluster(machine) {
  const loader = startLoader()
  const { load } = loader
  const { legs, stop } = await startHop(folder, load, options['database-url'])
  try {
    const rounds = await runRounds(legs, Number(options.rounds ?? 11), (leg) =>
      measureHop(leg, load),
    )
    report(machine, [], HOP_ROWS, rounds, legs, [])
  } finally {
    await stop()
    loader.stop()
  }
}

/** @param {string} machine */
async function runInspect(machine) {
  const loader = startLoader()
  const { load } = loader
  const { legs, stop } = await startInspect(folder, load)
  try {
    const rounds = await runRounds(legs, Number(options.rounds ?? 15), (leg) =>
      measureInspect(leg, load),
    )
    report(machine, [], INSPECT_ROWS, rounds, legs, [])
  } finally {
    await stop()
    loader.stop()
  }
}

/** @param {string} machine */
async function runCrowds(machine) {
  const groups = options.groups.split(',')
  const unknown = groups.find((group) => !CROWD_GROUPS.includes(group))
  if (unknown !== undefined) {
    throw new Error(`--groups ${unknown}: known are ${CROWD_GROUPS.join()}`)
  }
  const loaders = [startLoader(), startLoader()]
  const [load, background] = loaders.map((loader) => loader.load)
  if (load === undefined || background === undefined) return
  const { legs, stop } = await startCrowds(folder, options.previous)
  try {
    for (const leg of legs) await warmUpCrowd(leg, load, groups)
    say('warmed up')
    const rounds = await runRounds(legs, Number(options.rounds ?? 5), (leg) =>
      measureCrowd(leg, load, background, groups),
    )
    report(machine, [], CROWD_ROWS, rounds, legs, [])
  } finally {
    await stop()
    for (const loader of loaders) loader.stop()
  }
}

/** @param {string} machine */
async function runDistance(machine) {
  const line = {
    rttMs: Number(options.rtt),
    lossPercent: Number(options.loss),
    mbitPerSecond: Number(options.rate),
  }
  const { legs, notes, stop } = await startDistance(folder, line, options.previous)
  try {
    for (const note of notes) say(note)
    const rounds = await runRounds(legs, Number(options.rounds ?? 3), measureDistance)
    report(machine, notes, distanceRows(line), rounds, legs, [])
  } finally {
    await stop()
  }
}

/**
 * @param {string} machine
 * @param {readonly string[]} notes
 * @param {import('./results.mjs').Rows} rows
 * @param {import('./results.mjs').Round[]} rounds
 * @param {readonly { name: string }[]} legs
 * @param {readonly { name: string, peakRssBytes: number }[]} memory
 */
function report(machine, notes, rows, rounds, legs, memory) {
  const names = legs.map(({ name }) => name)
  const result = results(rounds, names, rows)
  if (options.json) {
    console.log(JSON.stringify({ machine, notes, ...result, memory }, null, 2))
    return
  }
  console.log(`\n${formatResults(result)}\n`)
  for (const { name, peakRssBytes: bytes } of memory) {
    console.log(`peak RSS of ${name}: ${(bytes / 1024 / 1024).toFixed(0)} MiB`)
  }
}

/**
 * @template {{ name: string }} L
 * @param {readonly L[]} legs
 * @param {number} count
 * @param {(leg: L) => Promise<Record<string, number>>} measureLeg
 */
async function runRounds(legs, count, measureLeg) {
  const rounds = []
  for (let index = 0; index < count; index++) {
    /** @type {import('./results.mjs').Round} */
    const round = {}
    // every other round the other way round: no leg always follows the same one
    for (const leg of index % 2 === 0 ? legs : legs.toReversed()) {
      round[leg.name] = await measureLeg(leg)
    }
    rounds.push(round)
    say(`round ${index + 1} of ${count}`)
  }
  return rounds
}
