// Runs many seeds. One that fails is printed with what happened; `SEED=n` runs it alone.
import { SimulatedCluster, type World } from './simulated-cluster.ts'

const SEED = process.env['SEED']

/** Seeds of each world: a tenth of them where not all tests are run. */
const SEEDS = process.env['ADIT_FULL_TESTS'] === '1' ? 5_000 : 500

/** Longest time for all of them, ms: on two idle cores they take a twentieth of it. */
export const SEEDS_TIMEOUT_MS = 300_000

/** Runs all seeds with faults of one kind, and fails with the first that breaks an invariant. */
export async function runSeeds(world: World): Promise<void> {
  // failures of the database are made by the thousand, and their stacks are not read
  Error.stackTraceLimit = 0
  const only = SEED === undefined ? undefined : Number(SEED)
  for (let seed = only ?? 1; seed <= (only ?? SEEDS); seed++) {
    const failure = await failureOf(seed, world)
    if (failure !== undefined) throw new Error(failure)
  }
}

/** What is wrong with a seed, and what led to it; undefined: nothing. */
async function failureOf(seed: number, world: World): Promise<string | undefined> {
  const cluster = new SimulatedCluster(seed, world)
  try {
    await cluster.run()
    return undefined
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    return [`SEED=${seed}: ${why}`, ...cluster.trace].join('\n  ')
  }
}
