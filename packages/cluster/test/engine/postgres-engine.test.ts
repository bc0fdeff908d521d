import { postgresOfFile } from '@proj/testkit/postgres-of-file'
import { describe } from 'vitest'
import { PostgresEngine } from '../../src/engine/postgres-engine.ts'
import { describeEngine } from './engine-suite.ts'

describe('on a real server', () => {
  const server = postgresOfFile()

  describeEngine('PostgresEngine', async () => {
    const url = await server().createDatabase()
    return () => new PostgresEngine({ url })
  })
})
