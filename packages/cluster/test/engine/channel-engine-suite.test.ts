import { MemoryDatabase, MemoryEngine } from '../../src/engine/memory-engine.ts'
import { lend } from './lent-engine.ts'
import { describeEngine } from './engine-suite.ts'

describeEngine('ChannelEngine', async () => {
  const database = new MemoryDatabase()
  return await Promise.resolve(() => lend(new MemoryEngine(database)).engine)
})
