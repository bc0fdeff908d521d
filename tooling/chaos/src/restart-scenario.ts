// A scenario of restarts, and how one is run: visitors at a steady rate, of which none repeats a request, and
// some restarts of each program. Other than for faults, each failed request counts.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import {
  SteadyLoad,
  type SteadyLoadOptions,
  type SteadyLoadReport,
} from '@proj/testkit/steady-load'
import { until } from '@proj/testkit/until'

import type { Counts } from './judge.ts'
import { Random } from './random.ts'
import { RestartStage, type RestartStageOptions } from './restart-stage.ts'
import type { Result } from './scenario.ts'

/** One scenario. */
export interface RestartScenario {
  readonly name: string
  /** What is done to the programs, one line. */
  readonly fault: string
  /** What is expected, one line. */
  readonly expects: string
  /** Why it cannot run here; undefined where it can. */
  readonly missing?: () => string | undefined
  readonly stage: RestartStageOptions
  /** Visitors that stay while a program is restarted; default: none. And the rate, where it is not the usual one. */
  readonly load?: Omit<SteadyLoadOptions, 'address' | 'port' | 'host'>
  /** Rounds where the command names no number. */
  readonly times: number
  /** It takes long: it runs only where `--only` gives its whole name. Default: false. */
  readonly isLong?: boolean
  /** Largest share of requests that may fail. Default 0. */
  readonly maxFailedShare?: number
  /** Starts what runs beside all rounds. @returns ends it, and checks what came of it. */
  readonly begin?: (scene: RestartScene) => Promise<() => Promise<void>>
  /** One round. */
  readonly act: (scene: RestartScene) => Promise<void>
  /** Behind the last round: what the figures must be. */
  readonly finish?: (scene: RestartScene, report: SteadyLoadReport) => void
}

/** What a round works with. */
export interface RestartScene {
  readonly stage: RestartStage
  readonly load: SteadyLoad
  readonly random: Random
  /** What else was measured, by name. */
  readonly figures: Record<string, number>
  /** Fails the scenario unless this holds. */
  readonly check: (holds: boolean, problem: string) => void
  /** Waits for so many more answers. */
  readonly answered: (more: number) => Promise<void>
}

/** Longest wait for answers. */
const ANSWERS_MS = 120_000
const WARM_UP = 200
const MAX_EVIDENCE = 6

/** Whether this is one of restarts. */
export function isRestarts(scenario: object): scenario is RestartScenario {
  return 'times' in scenario
}

/** Runs it. */
export async function runRestarts(
  scenario: RestartScenario,
  seed: number,
  options: { readonly times?: number | undefined; readonly rate?: number | undefined } = {},
): Promise<Result> {
  const begun = performance.now()
  const { times = scenario.times, rate } = options
  const folder = mkdtempSync(join(tmpdir(), 'adit-chaos-'))
  const stage = new RestartStage(folder, scenario.stage)
  const problems: string[] = []
  const figures: Record<string, number> = {}
  let load: SteadyLoad | undefined
  let report: SteadyLoadReport | undefined
  try {
    await stage.start()
    const none = { webSockets: 0, events: 0, uploads: 0 }
    const steady = new SteadyLoad(stage.service, {
      ...stage.target,
      ...none,
      ...scenario.load,
      ...(rate !== undefined && { perSecond: rate }),
    })
    load = steady
    steady.start()
    const scene: RestartScene = {
      stage,
      load: steady,
      random: new Random(seed),
      figures,
      check: (holds, problem) => void (holds || problems.push(problem)),
      async answered(more) {
        const before = steady.answered
        await until(() => steady.answered >= before + more, {
          timeoutMs: ANSWERS_MS,
          pollMs: 20,
          what: `${more} more answers`,
        })
      },
    }
    await scene.answered(WARM_UP)
    const finishBeside = await scenario.begin?.(scene)
    try {
      for (let round = 0; round < times; round += 1) await scenario.act(scene)
    } finally {
      await finishBeside?.()
    }
    report = await steady.stop()
    figures['rounds'] = times
    figures['slowest, ms'] = report.slowestMs
    figures['refused'] = report.refused
    problems.push(...problemsOf(report, scenario.maxFailedShare ?? 0))
    scenario.finish?.(scene, report)
  } catch (error) {
    problems.push(`the scenario itself: ${error instanceof Error ? error.message : String(error)}`)
  } finally {
    report ??= await load?.stop()
    await stage[Symbol.asyncDispose]()
    problems.push(...stage.programs.flatMap((program) => program.problems))
    if (problems.length === 0) rmSync(folder, { recursive: true, force: true })
    else {
      for (const { name, logs } of stage.programs) {
        writeFileSync(
          join(folder, `${name.replace(' ', '-')}.log`),
          logs.join('\n--- started again\n'),
        )
      }
      writeFileSync(join(folder, 'balancer.log'), stage.balancerLog)
      writeFileSync(join(folder, 'failed.log'), (report?.failed ?? []).join('\n'))
    }
  }
  return {
    name: scenario.name,
    seed,
    seconds: (performance.now() - begun) / 1000,
    recoveriesMs: [],
    figures,
    problems,
    ...(problems.length > 0 && { folder }),
    counts: countsOf(report),
    losses: lossesOf(report),
    evidence: (report?.failed ?? []).slice(0, MAX_EVIDENCE).map((line) => `lost: ${line}`),
  }
}

function countsOf(report: SteadyLoadReport | undefined): Counts {
  const { sent = 0, answered = 0, failed = [], wrong = 0, doubledPosts = 0 } = report ?? {}
  const lost = failed.length - wrong
  return {
    total: sent,
    ok: answered,
    lost,
    doubled: doubledPosts,
    wrong,
    truncated: 0,
    hung: 0,
  }
}

/** Reasons without their times. */
function lossesOf(report: SteadyLoadReport | undefined): Record<string, number> {
  const losses: Record<string, number> = {}
  for (const line of report?.failed ?? []) {
    const reason = line.slice(line.indexOf(' ') + 1, 160)
    losses[reason] = (losses[reason] ?? 0) + 1
  }
  return losses
}

function problemsOf(report: SteadyLoadReport, maxFailedShare: number): string[] {
  const { sent, failed, wrong, doubledPosts } = report
  const problems: string[] = []
  if (wrong > 0) problems.push(`${wrong} wrong, must be 0`)
  if (doubledPosts > 0) problems.push(`${doubledPosts} doubled, must be 0`)
  if (failed.length > sent * maxFailedShare) {
    problems.push(`${failed.length} of ${sent} failed, at most ${maxFailedShare * 100} % may`)
  }
  return problems
}
