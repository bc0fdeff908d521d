// A scenario, and how one is run: a stage, a load, faults, and the look at everything afterwards.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

import { until } from '@proj/testkit/until'

import { judge, problemsOf, type Excuse, type Judgement } from './judge.ts'
import { readLedger } from './ledger.ts'
import { Load, type LoadOptions } from './load.ts'
import { Random } from './random.ts'
import { Stage, type StageLevel, type StageOptions } from './stage.ts'

/** One scenario. */
export interface Scenario {
  readonly name: string
  /** What is done to the programs, one line. */
  readonly fault: string
  /** What is expected, one line. */
  readonly expects: string
  /** Why it cannot run here; undefined where it can. */
  readonly missing?: () => string | undefined
  readonly stage?: StageOptions | ((folder: string) => StageOptions)
  /** The load that runs from the first to the last fault; `false`: `act` makes its own. */
  readonly load?: LoadOptions | false
  /** Least share of exchanges that are ok. Default 0.5. */
  readonly minOkShare?: number
  /** Clean ends before the end that no program could prevent. Default: none. */
  readonly isExcused?: Excuse
  /** Longest time from `since` to the first of an unbroken row of answers, ms. Default 30000. */
  readonly recoveryMs?: number
  /** Makes faults until `scene.isOver`, at least once. */
  readonly act: (scene: Scene) => Promise<void>
  /** Undoes what `stage` did to the machine; the programs have ended. */
  readonly cleanUp?: (folder: string) => void
}

/** What came out. */
export interface Result extends Judgement {
  readonly name: string
  readonly seed: number
  readonly seconds: number
  /** Why it did not run. */
  readonly skipped?: string
  /** Recovery after each fault, ms. */
  readonly recoveriesMs: readonly number[]
  /** What else was measured, by name. */
  readonly figures: Readonly<Record<string, number>>
  /** What a failed scenario leaves: the output of its programs, and the ledger. */
  readonly folder?: string
  /** Empty: passed. */
  readonly problems: readonly string[]
}

const IDLE_MS = 90_000
const DESCRIPTOR_SLACK = 8
/** Above the idle level: heaps grow to what a load needs and are given back late. */
const MEMORY_SLACK_BYTES = 256 * 1024 * 1024
const WARM_UP_MS = 1500

/** What a scenario works with while it runs. */
export class Scene {
  readonly stage: Stage
  readonly load: Load
  readonly random: Random
  /** What else was measured, by name. */
  readonly figures: Record<string, number> = {}
  readonly problems: string[] = []
  readonly recoveriesMs: number[] = []
  readonly #recoveryMs: number
  readonly #seconds: number
  #endsAt = 0

  constructor(stage: Stage, load: Load, random: Random, recoveryMs: number, seconds: number) {
    this.stage = stage
    this.load = load
    this.random = random
    this.#recoveryMs = recoveryMs
    this.#seconds = seconds
  }

  /** Its time begins. */
  begin(): void {
    this.#endsAt = performance.now() + this.#seconds * 1000
  }

  /** The time of the scenario is used up. */
  get isOver(): boolean {
    return performance.now() >= this.#endsAt
  }

  /** Waits until the load meets no more failures, counted from `since` (performance.now()). */
  async recovered(since: number, limitMs = this.#recoveryMs): Promise<void> {
    const took = await this.load.recovered(since, limitMs)
    if (took !== undefined) this.recoveriesMs.push(took)
    else {
      const bad = this.load.outcomes.findLast(({ verdict }) => verdict !== 'ok')
      const last =
        bad === undefined ? 'nothing failed' : `${bad.task.id}: ${bad.verdict} ${bad.detail}`
      this.problems.push(
        `no recovery within ${limitMs} ms, ${this.load.pending.size} pending; ${last}`,
      )
    }
  }

  /** A random pause between two faults. */
  async pause(lowMs: number, highMs: number): Promise<void> {
    await delay(this.random.between(lowMs, highMs))
  }

  /** Fails the scenario unless this holds. */
  check(holds: boolean, problem: string): void {
    if (!holds) this.problems.push(problem)
  }
}

/** Runs a scenario for about so many seconds, with all of its faults at least once. */
export async function runScenario(
  scenario: Scenario,
  seed: number,
  seconds: number,
): Promise<Result> {
  const begun = performance.now()
  const { name, act, minOkShare = 0.5, recoveryMs = 30_000 } = scenario
  const folder = mkdtempSync(join(tmpdir(), 'adit-chaos-'))
  const random = new Random(seed)
  const plan =
    typeof scenario.stage === 'function' ? scenario.stage(folder) : (scenario.stage ?? {})
  const stage = new Stage(folder, plan)
  const load = new Load(
    name,
    () => stage.targets,
    random,
    scenario.load === false ? {} : scenario.load,
  )
  const scene = new Scene(stage, load, random, recoveryMs, seconds)
  let judgement = judge([], readLedger(stage.ledger))
  try {
    await stage.start()
    const before = plan.fault === undefined ? await warmUp(stage, random) : await stage.level()
    if (scenario.load !== false) load.start()
    scene.begin()
    await act(scene)
    await load.stop()
    judgement = judge(load.outcomes, readLedger(stage.ledger), scenario.isExcused)
    scene.problems.push(...problemsOf(judgement, minOkShare))
    scene.problems.push(...(await idleProblems(stage, before)))
  } catch (error) {
    scene.problems.push(
      `the scenario itself: ${error instanceof Error ? error.message : String(error)}`,
    )
  } finally {
    await load.stop()
    await stage[Symbol.asyncDispose]()
    scenario.cleanUp?.(folder)
    scene.problems.push(...stage.programs.flatMap(({ problems }) => problems))
    if (scene.problems.length === 0) rmSync(folder, { recursive: true, force: true })
    else for (const { name, logs } of stage.programs) writeLog(folder, name, logs)
  }
  return {
    name,
    seed,
    seconds: (performance.now() - begun) / 1000,
    recoveriesMs: scene.recoveriesMs,
    figures: scene.figures,
    problems: scene.problems,
    ...(scene.problems.length > 0 && { folder }),
    ...judgement,
  }
}

/** The idle level: behind some requests, because the first ones open what stays open. */
async function warmUp(stage: Stage, random: Random): Promise<StageLevel> {
  const load = new Load('warm-up', () => stage.targets, random, { visitors: 8 }).start()
  await delay(WARM_UP_MS)
  await load.stop()
  const bad = load.outcomes.find(({ verdict }) => verdict !== 'ok')
  if (bad !== undefined) {
    throw new Error(`before any fault: ${bad.task.id} ${bad.verdict} ${bad.detail}`)
  }
  return await until(async () => await idleLevel(stage), {
    what: 'an idle stage before the first fault',
    timeoutMs: IDLE_MS,
    pollMs: 200,
  })
}

async function idleLevel(stage: Stage): Promise<StageLevel | undefined> {
  const level = await stage.level()
  return level.open === 0 ? level : undefined
}

/** What did not come back to the level of before, for people. */
async function idleProblems(stage: Stage, before: StageLevel): Promise<string[]> {
  let problems: string[] = []
  const look = async (): Promise<boolean> => {
    const now = await stage.level()
    problems = now.open === 0 ? [] : [`${now.open} streams or connections open at the server`]
    for (const [name, { descriptors, rssBytes }] of now.programs) {
      const then = before.programs.get(name)
      if (then === undefined) continue
      if (descriptors > then.descriptors + DESCRIPTOR_SLACK) {
        problems.push(`${name}: ${descriptors} descriptors, ${then.descriptors} before the faults`)
      }
      if (rssBytes > then.rssBytes + MEMORY_SLACK_BYTES) {
        problems.push(
          `${name}: ${mib(rssBytes)} MiB resident, ${mib(then.rssBytes)} before the faults`,
        )
      }
    }
    return problems.length === 0
  }
  await until(look, { timeoutMs: IDLE_MS, pollMs: 250 }).catch((error: unknown) => {
    problems.push(`not idle within ${IDLE_MS} ms`)
    if (problems.length === 1) problems.push(String(error instanceof Error ? error.cause : error))
  })
  return problems
}

function writeLog(folder: string, name: string, logs: readonly string[]): void {
  writeFileSync(join(folder, `${name.replace(' ', '-')}.log`), logs.join('\n--- started again\n'))
}

function mib(bytes: number): string {
  return (bytes / 1024 / 1024).toFixed(0)
}

/** The row of a scenario that cannot run here. */
export function skippedResult(
  { name }: Pick<Scenario, 'name'>,
  seed: number,
  skipped: string,
): Result {
  const { counts, losses, evidence } = judge([], { executed: new Map(), short: [], wrong: [] })
  const nothing = { seconds: 0, recoveriesMs: [], figures: {}, problems: [] }
  return { name, seed, skipped, counts, losses, evidence, ...nothing }
}
