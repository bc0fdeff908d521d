import { postgresOfFile } from '@proj/testkit/postgres-of-file'
import { describe } from 'vitest'
import { PostgresEngine } from '../src/engine/postgres-engine.ts'
import { describeMembership } from './membership-suite.ts'

describe('on a real server', () => {
  const server = postgresOfFile()

  describeMembership('Membership on a PostgresEngine', async () => {
    const url = await server().createDatabase()
    return {
      engine: () => new PostgresEngine({ url }),
      clear: async () => {
        await server().query(
          url,
          'truncate adit_cluster_node, adit_cluster_route, adit_cluster_name',
        )
      },
    }
  })
})
