import { describe, expect, test } from 'vitest'

import { type AuditLimits, type AuditLog, MemoryAuditLog } from '../../src/store/audit-log.ts'
import { SqliteAuditLog } from '../../src/store/sqlite-audit-log.ts'
import { freshDatabase } from './fixtures.ts'

const MAKERS = [
  ['in memory', (limits?: AuditLimits): AuditLog => new MemoryAuditLog(limits)],
  ['in a file', (limits?: AuditLimits): AuditLog => new SqliteAuditLog(freshDatabase(), limits)],
] as const

describe.for(MAKERS)('the audit log %s', ([, make]) => {
  test('tells what happened, in order and with its time', () => {
    const log = make()
    const before = Date.now()
    log.write('name.taken', { endpoint: 'web', identity: 'token:aaaaaaaa', port: 80 })
    log.write('name.lost', { endpoint: 'web', why: undefined })
    log.flush()
    const [taken, lost] = log.read()
    expect(taken).toEqual({
      at: expect.any(Number),
      event: 'name.taken',
      fields: { endpoint: 'web', identity: 'token:aaaaaaaa', port: 80 },
    })
    expect(lost).toEqual({
      at: expect.any(Number),
      event: 'name.lost',
      fields: { endpoint: 'web' },
    })
    expect(taken?.at).toBeGreaterThanOrEqual(before)
  })

  test('keeps the newest and forgets the oldest', () => {
    const log = make({ maxRecords: 3 })
    for (const count of [1, 2, 3]) log.write('name.taken', { count })
    log.flush()
    expect(log.read().map(({ fields }) => fields['count'])).toEqual([1, 2, 3])
    for (const count of [4, 5]) log.write('name.taken', { count })
    log.flush()
    expect(log.read().map(({ fields }) => fields['count'])).toEqual([3, 4, 5])
  })

  test('keeps what happened however much was refused since', () => {
    const log = make({ maxRecords: 3 })
    log.write('token.created', { token: 'k3v9m2ab' })
    for (let knock = 0; knock < 10; knock++) log.write('auth.failed', { knock })
    log.write('name.refused', { endpoint: 'web' })
    log.flush()
    expect(log.read().map(({ event }) => event)).toEqual([
      'token.created',
      'auth.failed',
      'auth.failed',
      'auth.failed',
      'name.refused',
    ])
  })

  test('events of one kind push out none of another, and those deleted are counted', () => {
    const log = make({ maxRecords: 3 })
    for (const event of ['token.created', 'token.revoked', 'name.reserved'] as const) {
      log.write(event, { endpoint: 'web' })
    }
    for (let round = 0; round < 100; round++) {
      log.write('name.taken', { round })
      log.write('name.lost', { round })
      if (round % 10 === 0) log.flush()
    }
    log.flush()
    expect(log.read().map(({ event, fields }) => fields['round'] ?? event)).toEqual([
      'token.created',
      'token.revoked',
      'name.reserved',
      97,
      97,
      98,
      98,
      99,
      99,
    ])
    expect(log.deleted()).toEqual({ 'name.taken': 97, 'name.lost': 97 })
  })

  test('is read from a time on, and the newest so many', () => {
    const log = make()
    for (const count of [1, 2, 3]) log.write('name.taken', { count })
    log.flush()
    expect(log.read({ limit: 2 }).map(({ fields }) => fields['count'])).toEqual([2, 3])
    expect(log.read({ since: Date.now() + 60_000 })).toEqual([])
    expect(log.read({ since: Date.now() - 60_000, limit: 5 })).toHaveLength(3)
  })

  test('cuts texts of peers that are too long', () => {
    const log = make()
    log.write('auth.failed', { why: 'x'.repeat(10_000) })
    log.flush()
    expect(log.read()[0]?.fields['why']).toBe('x'.repeat(200))
  })
})

test('events of a kind that wait are bounded, and leave out none of another; the rest is counted', () => {
  const log = new SqliteAuditLog(freshDatabase(), { maxWaiting: 2 })
  for (const count of [1, 2, 3, 4]) log.write('auth.failed', { count })
  for (const count of [5, 6, 7]) log.write('name.refused', { count })
  log.write('token.created', { count: 8 })
  log.flush()
  expect(log.read().map(({ event, fields }) => [event, ...Object.values(fields)])).toEqual([
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
  log.flush()
  expect(log.read()).toHaveLength(8)
})

test('events that could not be written are written later', () => {
  const database = freshDatabase()
  const log = new SqliteAuditLog(database)
  log.write('name.taken', { endpoint: 'web' })
  database.run('ALTER TABLE audit RENAME TO elsewhere')
  expect(() => log.flush()).toThrow(/no such table/)
  database.run('ALTER TABLE elsewhere RENAME TO audit')
  log.flush()
  expect(log.read().map(({ event }) => event)).toEqual(['name.taken'])
})
