// A checker that was never seen to fail proves nothing: a service makes each kind of fault, and the run
// reports it under its name. There is no Adit between load and service here, so the fault is the service's.
import { rmSync } from 'node:fs'

import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { until } from '@proj/testkit/until'
import { describe, expect, onTestFinished, test, vi } from 'vitest'

import { chaos } from '../src/chaos.ts'
import type { Counts } from '../src/judge.ts'
import { Load } from '../src/load.ts'
import { NODE, Program } from '../src/program.ts'
import { Random } from '../src/random.ts'
import { Relay } from '../src/relay.ts'
import { formatFailure } from '../src/report.ts'
import { runScenario, type Result, type Scenario } from '../src/scenario.ts'
import { Stage } from '../src/stage.ts'

const SEED = 7
const EXCHANGES = 12
const HANG_MS = 1000

/** A scenario with a service that has this fault. */
function withFault(fault: string, load: Scenario['load'] = {}): Scenario {
  return {
    name: 'checked',
    fault,
    expects: 'that it is found',
    stage: { direct: true, fault },
    load: { visitors: 4, ...(fault === 'hang' && { hangMs: HANG_MS }), ...load },
    minOkShare: 0,
    act: async ({ load }) =>
      void (await until(() => load.outcomes.length >= EXCHANGES, { timeoutMs: 60_000 })),
  }
}

async function runWith(fault: string, load: Scenario['load'] = {}): Promise<Result> {
  const result = await runScenario(withFault(fault, load), SEED, 0)
  onTestFinished(() => rmSync(result.folder ?? '', { recursive: true, force: true }))
  return result
}

const FAULTS: readonly [string, keyof Counts, LoadKind][] = [
  ['twice', 'doubled', 'both'],
  ['other', 'wrong', 'both'],
  ['mixed', 'wrong', 'both'],
  ['short', 'truncated', 'both'],
  ['upload-short', 'truncated', 'http'],
  ['hang', 'hung', 'both'],
]

type LoadKind = 'http' | 'both'

describe('a service', () => {
  test('without a fault passes', async () => {
    const result = await runWith('none')
    expect(result.problems).toEqual([])
    expect(result.counts.total).toBeGreaterThanOrEqual(EXCHANGES)
    expect(result.counts).toMatchObject({ ok: result.counts.total, lost: 0 })
  })

  test.for(
    FAULTS.flatMap(([fault, category, kinds]) =>
      (kinds === 'both' ? (['http', 'tcp'] as const) : (['http'] as const)).map(
        (kind) => [fault, kind, category] as const,
      ),
    ),
  )('with the fault %s over %s is reported as %s', async ([fault, kind, category]) => {
    const result = await runWith(fault, { tcpShare: kind === 'tcp' ? 1 : 0 })
    expect(result.counts[category]).toBeGreaterThan(0)
    expect(result.problems.join('\n')).toContain(`${category}, must be 0; first: checked-`)
    expect(formatFailure(result)).toContain('pnpm chaos --only checked --seed 7')
  })

  test('that answers with errors has lost exchanges, and too few that went well', async () => {
    const { counts, problems, losses } = await runWith('error')
    expect(counts).toMatchObject({ ok: 0, lost: counts.total, wrong: 0, truncated: 0, hung: 0 })
    expect(Object.keys(losses)).toContain('POST 500')
    expect(problems).toEqual([])
  })
})

test('an answer that ends with a reset is lost, also where its framing is its end', async () => {
  const { counts } = await runWith('reset', { tcpShare: 0 })
  expect(counts).toMatchObject({ ok: 0, lost: counts.total, wrong: 0, truncated: 0, hung: 0 })
})

describe('a run', () => {
  async function run(...scenarios: Scenario[]): Promise<{ code: number; output: string }> {
    const lines: unknown[] = []
    vi.spyOn(console, 'log').mockImplementation((line) => void lines.push(line))
    const code = await chaos(['--seed', String(SEED), '--minutes', '0'], true, scenarios)
    const output = lines.join('\n')
    const folder = /^ {2}logs: (.+)$/m.exec(output)?.[1]
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true })
    return { code, output }
  }

  test('that passes ends with 0 and shows its figures', async () => {
    const { code, output } = await run(withFault('none'))
    expect(code).toBe(0)
    expect(output).toMatch(/^seed 7; /)
    expect(output).toMatch(/^checked {2,}- .* ok$/m)
  })

  test('that fails ends with 1 and shows scenario, seed and the first case', async () => {
    const { code, output } = await run(withFault('twice', { tcpShare: 1 }))
    expect(code).toBe(1)
    expect(output).toMatch(/^checked failed \(pnpm chaos --only checked --seed 7\):$/m)
    expect(output).toMatch(/^ {2}doubled: checked-\d+ \(TCP\): executed 2 times$/m)
  })

  test('says why a scenario is left out', async () => {
    const { code, output } = await run({ ...withFault('twice'), missing: () => 'no such thing' })
    expect(code).toBe(0)
    expect(output).toContain('skipped: no such thing')
  })

  test('of an unknown scenario, seed or number ends with 2', async () => {
    vi.spyOn(console, 'error').mockImplementation(() => {})
    expect(await chaos(['--only', 'nothing'], true)).toBe(2)
    expect(await chaos(['--seed', '-1'], true)).toBe(2)
    expect(await chaos(['--times', '0'], true)).toBe(2)
  })
})

describe('a program', () => {
  test('that ends by itself or writes a stack is reported', async () => {
    const program = new Program('broken', () => ({
      line: [
        NODE,
        '-e',
        'console.log(`{"event":"ready"}`); setImmediate(() => { throw new TypeError("x") })',
      ],
    }))
    await program.start()
    await until(() => program.problems.length === 2)
    expect(program.problems[0]).toMatch(/^broken ended by itself: code 1/)
    expect(program.problems[1]).toMatch(/^broken wrote: .*TypeError: x/)
  })
})

test('a link whose bytes are held back is no recovery until it is dropped', async () => {
  using folder = temporaryDirectory()
  await using stage = await new Stage(folder.path, { direct: true }).start()
  const relay = new Relay(() => stage.targets.http.port)
  await relay.listen()
  const load = new Load('held', () => ({ http: { port: relay.port } }), new Random(SEED), {
    visitors: 1,
  })
  load.start()
  await until(() => load.outcomes.length > 2)
  relay.freezeOne()
  expect(await load.recovered(performance.now(), 0, 300)).toBe(undefined)
  relay.dropFrozen()
  expect(await load.recovered(performance.now(), 20_000, 300)).toBeGreaterThan(0)
  await load.stop()
  await relay.close()
})
