import { afterAll, beforeAll, beforeEach } from 'vitest'

import { postgresMissing, PostgresServer } from './postgres-server.ts'

/** Longest time that a server may take to be made and started, ms: the machine may be busy. */
const START_MS = 120_000

/**
 * A PostgreSQL that runs while the tests of a file, or of a `describe`, do. They are skipped with the reason where
 * none can be started.
 *
 * @returns what gives the server to a test.
 */
export function postgresOfFile(): () => PostgresServer {
  const missing = postgresMissing()
  let server: PostgresServer | undefined
  beforeAll(async () => {
    if (missing === undefined) server = await PostgresServer.start()
  }, START_MS)
  afterAll(async () => await server?.[Symbol.asyncDispose]())
  beforeEach(({ skip }) => skip(missing !== undefined, missing))
  return () => {
    if (server === undefined) throw new Error(missing)
    return server
  }
}
