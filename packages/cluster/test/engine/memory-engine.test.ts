import { MemoryDatabase, MemoryEngine } from '../../src/engine/memory-engine.ts'
import { describeEngine } from './engine-suite.ts'

describeEngine('MemoryEngine', async () => {
  const database = new MemoryDatabase()
  return await Promise.resolve(() => new MemoryEngine(database))
})
