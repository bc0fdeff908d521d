// The command: chooses scenarios, runs one after another, prints the table.
import { randomInt } from 'node:crypto'
import { cpus, loadavg } from 'node:os'
import { parseArgs } from 'node:util'

import { isAditBuilt } from '@proj/scripts/adit-processes'

import { formatDetails, formatFailure, formatTable } from './report.ts'
import { isRestarts, type RestartScenario, runRestarts } from './restart-scenario.ts'
import { runScenario, skippedResult, type Result, type Scenario } from './scenario.ts'
import { SCENARIOS } from './scenarios/all.ts'

const USAGE = `pnpm chaos [--seed N] [--only NAME] [--minutes N] [--times N] [--rate N] [--json] [--list]

  --seed N      repeats what is sent and which faults are made; printed at the start
  --only NAME   scenarios whose names begin so; long ones need their whole name
  --minutes N   time for all scenarios together; each makes its faults at least once (default 5)
  --times N     rounds of each scenario of restarts; each has a small number of its own
  --rate N      their requests per second (default 200)
  --json        one JSON document instead of the table
  --list        names, faults and expectations`

type AnyScenario = Scenario | RestartScenario

const MAX_SEED = 2 ** 32

/** Runs it. Returns the exit code: 0 passed, 1 a scenario failed, 2 a wrong argument. */
export async function chaos(
  args: readonly string[],
  hasNamespaces: boolean,
  scenarios: readonly AnyScenario[] = SCENARIOS,
): Promise<number> {
  const options = readOptions(args, scenarios)
  if (typeof options === 'string') {
    console.error(`${options}\n\n${USAGE}`)
    return 2
  }
  const { chosen, seed, minutes, times, rate, json, list } = options
  if (list) {
    for (const { name, fault, expects } of chosen) console.log(`${name}\n  ${fault}\n  ${expects}`)
    return 0
  }
  const needsBuild = chosen.some((one) => {
    return isRestarts(one) || typeof one.stage === 'function' || !one.stage?.direct
  })
  if (process.platform !== 'linux' || (needsBuild && !isAditBuilt())) {
    console.error('it needs Linux and the build: pnpm build')
    return 2
  }
  const say = (text: string): void => void (json || console.log(text))
  const busy = loadavg()[0]?.toFixed(1)
  const machine = `Node ${process.version}, ${cpus().length} x ${cpus()[0]?.model.trim()}, load average ${busy}`
  say(`seed ${seed}; ${machine}`)
  if (!hasNamespaces) {
    say('no namespaces of its own (root, unshare): scenarios that need them are skipped')
  }
  const results: Result[] = []
  for (const scenario of chosen) {
    const missing = scenario.missing?.()
    if (missing !== undefined) {
      results.push(skippedResult(scenario, seed, missing))
      continue
    }
    say(`${scenario.name}: ${scenario.fault}`)
    const result = isRestarts(scenario)
      ? await runRestarts(scenario, seed, { times, rate })
      : await runScenario(scenario, seed, (minutes * 60) / chosen.length)
    results.push(result)
    if (result.problems.length > 0) say(formatFailure(result))
  }
  const failed = results.filter(({ problems }) => problems.length > 0)
  if (json) console.log(JSON.stringify({ seed, machine, results }, null, 2))
  else {
    console.log(`\n${formatTable(results)}\n`)
    for (const details of results.map(formatDetails)) {
      if (details !== undefined) console.log(details)
    }
    for (const result of failed) console.log(`\n${formatFailure(result)}`)
  }
  return failed.length > 0 ? 1 : 0
}

interface Options {
  readonly chosen: readonly AnyScenario[]
  readonly seed: number
  readonly minutes: number
  /** Undefined: as many as each scenario has. */
  readonly times: number | undefined
  /** Requests per second of scenarios of restarts; undefined: the default of the load. */
  readonly rate: number | undefined
  readonly json: boolean
  readonly list: boolean
}

function readOptions(args: readonly string[], scenarios: readonly AnyScenario[]): Options | string {
  try {
    const { values } = parseArgs({
      args: args.filter((arg) => arg !== '--'),
      options: {
        seed: { type: 'string' },
        only: { type: 'string', default: '' },
        minutes: { type: 'string', default: '5' },
        times: { type: 'string' },
        rate: { type: 'string' },
        json: { type: 'boolean', default: false },
        list: { type: 'boolean', default: false },
      },
    })
    const chosen = scenarios.filter((one) => {
      const isLeftOut = isRestarts(one) && one.isLong === true && !values.list
      return isLeftOut ? one.name === values.only : one.name.startsWith(values.only)
    })
    if (chosen.length === 0) return `no scenario is named ${values.only}`
    const seed = values.seed === undefined ? randomInt(MAX_SEED) : Number(values.seed)
    if (!Number.isInteger(seed) || seed < 0 || seed >= MAX_SEED) return `no seed: ${values.seed}`
    const minutes = Number(values.minutes)
    if (!(minutes >= 0)) return `no number of minutes: ${values.minutes}`
    const counts = [values.times, values.rate].map((text) =>
      text === undefined ? undefined : Number(text),
    )
    const wrong = counts.find((one) => one !== undefined && !(Number.isInteger(one) && one > 0))
    if (wrong !== undefined) return `--times and --rate are whole numbers, not ${wrong}`
    const [times, rate] = counts
    return { chosen, seed, minutes, times, rate, json: values.json, list: values.list }
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}
