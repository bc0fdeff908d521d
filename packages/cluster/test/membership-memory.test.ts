import { MemoryDatabase, MemoryEngine } from '../src/engine/memory-engine.ts'
import { describeMembership } from './membership-suite.ts'

describeMembership('Membership on a MemoryEngine', async () => {
  const database = new MemoryDatabase()
  return await Promise.resolve({
    engine: () => new MemoryEngine(database),
    clear: async () => await Promise.resolve(database.clear()),
  })
})
