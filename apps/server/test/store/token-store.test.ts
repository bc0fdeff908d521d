import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'

import { Database } from '../../src/store/database.ts'
import { MemoryTokenStore } from '../../src/store/token-store.ts'
import { MIGRATIONS } from '../../src/store/migrations.ts'
import { SqliteTokenStore } from '../../src/store/sqlite-token-store.ts'
import { freshDatabase } from './fixtures.ts'
import { TOKEN, type TokenSubject, tokenSuite } from './token-suite.ts'

async function sqlite(options: { maxTokens?: number } = {}): Promise<TokenSubject> {
  const store = new SqliteTokenStore(freshDatabase(), options)
  onTestFinished(() => store.close())
  return { store, flush: async () => void store.flush() }
}

async function memory(options: { maxTokens?: number } = {}): Promise<TokenSubject> {
  return { store: new MemoryTokenStore(options), flush: async () => {} }
}

describe('tokens in memory', () => {
  tokenSuite(memory)
})
describe('tokens in a file', () => {
  tokenSuite(sqlite)
})

test('a change by another connection to the file is noticed within seconds', async () => {
  using directory = temporaryDirectory()
  const file = join(directory.path, 'adit.db')
  const [ours, theirs] = [file, file].map((one) => {
    const database = Database.open(one, { migrations: MIGRATIONS })
    const store = new SqliteTokenStore(database)
    onTestFinished(() => {
      store.close()
      database.close()
    })
    return store
  })
  const changed = new Promise<void>((resolve) => ours?.onChange(resolve))
  await theirs?.create(TOKEN)
  await changed
  const revoked = new Promise<void>((resolve) => ours?.onChange(resolve))
  await theirs?.revoke(TOKEN.id, 1)
  await revoked
  expect(ours?.find(TOKEN.id)?.revokedAt).toBe(1)
})
