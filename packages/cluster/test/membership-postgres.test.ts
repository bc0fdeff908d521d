import { PostgresServer, postgresMissing } from '@proj/testkit/postgres-server'
import { afterAll, beforeAll, beforeEach, describe } from 'vitest'
import { PostgresEngine } from '../src/engine/postgres-engine.ts'
import { describeMembership } from './membership-suite.ts'

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

  describeMembership('Membership on a PostgresEngine', async () => {
    const url = await server.createDatabase()
    return {
      engine: () => new PostgresEngine({ url }),
      clear: async () => {
        await server.query(url, 'truncate adit_cluster_node, adit_cluster_route, adit_cluster_name')
      },
    }
  })
})
