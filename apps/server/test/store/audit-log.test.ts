import { describe, expect, test } from 'vitest'

import { MemoryAuditLog } from '../../src/store/audit-log.ts'
import { SqliteAuditLog } from '../../src/store/sqlite-audit-log.ts'
import { auditSuite } from './audit-suite.ts'
import { freshDatabase } from './fixtures.ts'

describe('the audit log in memory', () => {
  auditSuite(async (limits) => new MemoryAuditLog(limits))
})
describe('the audit log in a file', () => {
  auditSuite(async (limits) => new SqliteAuditLog(freshDatabase(), limits))
})

test('events of a kind that wait are bounded, and leave out none of another; the rest is counted', async () => {
  const log = new SqliteAuditLog(freshDatabase(), { maxWaiting: 2 })
  for (const count of [1, 2, 3, 4]) log.write('auth.failed', { count })
  for (const count of [5, 6, 7]) log.write('name.refused', { count })
  log.write('token.created', { count: 8 })
  await log.flush()
  expect((await log.read()).map(({ event, fields }) => [event, ...Object.values(fields)])).toEqual([
    ['auth.failed', 1],
    ['auth.failed', 2],
    ['name.refused', 5],
    ['name.refused', 6],
    ['token.created', 8],
    ['audit.dropped', 'auth.failed', 2],
    ['audit.dropped', 'name.refused', 1],
  ])
  expect(log.dropped()).toEqual({ 'auth.failed': 2, 'name.refused': 1 })
  log.write('auth.failed', { count: 9 })
  await log.flush()
  expect(await log.read()).toHaveLength(8)
})

test('events that could not be written are written later', async () => {
  const database = freshDatabase()
  const log = new SqliteAuditLog(database)
  log.write('name.taken', { endpoint: 'web' })
  database.run('ALTER TABLE audit RENAME TO elsewhere')
  await expect(log.flush()).rejects.toThrow(/no such table/)
  database.run('ALTER TABLE elsewhere RENAME TO audit')
  await log.flush()
  expect((await log.read()).map(({ event }) => event)).toEqual(['name.taken'])
})
