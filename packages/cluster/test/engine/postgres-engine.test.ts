import { PostgresServer, postgresMissing } from '@proj/testkit/postgres-server'
import { afterAll, beforeAll, beforeEach, describe } from 'vitest'
import { PostgresEngine } from '../../src/engine/postgres-engine.ts'
import { describeEngine } from './engine-suite.ts'

const missing = postgresMissing()

describe('on a real server', () => {
  let server: PostgresServer
  beforeAll(async () => {
    if (missing === undefined) server = await PostgresServer.start()
  })
  beforeEach(({ skip }) => skip(missing !== undefined, missing))
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]()
  })

  describeEngine('PostgresEngine', async () => {
    const url = await server.createDatabase()
    return () => new PostgresEngine({ url })
  })
})
