import { expect, it } from 'vitest'
import { runSeeds, SEEDS_TIMEOUT_MS } from './run-seeds.ts'

it('nodes agree on who serves what after any faults', { timeout: SEEDS_TIMEOUT_MS }, async () => {
  await expect(runSeeds('all')).resolves.toBeUndefined()
})
