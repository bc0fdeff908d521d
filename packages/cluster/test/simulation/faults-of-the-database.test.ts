import { expect, it } from 'vitest'
import { runSeeds, SEEDS_TIMEOUT_MS } from './run-seeds.ts'

it(
  'no route of a node that lives is lost while only the database fails',
  { timeout: SEEDS_TIMEOUT_MS },
  async () => {
    await expect(runSeeds('database')).resolves.toBeUndefined()
  },
)
