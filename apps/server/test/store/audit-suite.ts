// What every audit log does, whatever keeps it.
import { expect, test } from 'vitest'

import type { AuditLimits, AuditLog } from '../../src/store/audit-log.ts'

/** @param make - makes an empty log for the running test. */
export function auditSuite(make: (limits?: AuditLimits) => Promise<AuditLog>): void {
  test('tells what happened, in order and with its time', async () => {
    const log = await make()
    const before = Date.now()
    log.write('name.taken', { endpoint: 'web', identity: 'token:aaaaaaaa', port: 80 })
    log.write('name.lost', { endpoint: 'web', why: undefined })
    await log.flush()
    const [taken, lost] = await log.read()
    expect(taken).toEqual({
      number: expect.any(Number),
      at: expect.any(Number),
      event: 'name.taken',
      fields: { endpoint: 'web', identity: 'token:aaaaaaaa', port: 80 },
    })
    expect(lost).toEqual({
      number: expect.any(Number),
      at: expect.any(Number),
      event: 'name.lost',
      fields: { endpoint: 'web' },
    })
    expect(taken?.at).toBeGreaterThanOrEqual(before)
  })

  test('keeps the newest and forgets the oldest', async () => {
    const log = await make({ maxRecords: 3 })
    for (const count of [1, 2, 3]) log.write('name.taken', { count })
    await log.flush()
    expect((await log.read()).map(({ fields }) => fields['count'])).toEqual([1, 2, 3])
    for (const count of [4, 5]) log.write('name.taken', { count })
    await log.flush()
    expect((await log.read()).map(({ fields }) => fields['count'])).toEqual([3, 4, 5])
  })

  test('keeps what happened however much was refused since', async () => {
    const log = await make({ maxRecords: 3 })
    log.write('token.created', { token: 'k3v9m2ab' })
    for (let knock = 0; knock < 10; knock++) log.write('auth.failed', { knock })
    log.write('name.refused', { endpoint: 'web' })
    await log.flush()
    expect((await log.read()).map(({ event }) => event)).toEqual([
      'token.created',
      'auth.failed',
      'auth.failed',
      'auth.failed',
      'name.refused',
    ])
  })

  test('events of one kind push out none of another, and those deleted are counted', async () => {
    const log = await make({ maxRecords: 3 })
    for (const event of ['token.created', 'token.revoked', 'name.reserved'] as const) {
      log.write(event, { endpoint: 'web' })
    }
    for (let round = 0; round < 100; round++) {
      log.write('name.taken', { round })
      log.write('name.lost', { round })
      if (round % 10 === 0) await log.flush()
    }
    await log.flush()
    expect((await log.read()).map(({ event, fields }) => fields['round'] ?? event)).toEqual([
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
    expect(await log.deleted()).toEqual({ 'name.taken': 97, 'name.lost': 97 })
  })

  test('is read from a time on, and the newest so many', async () => {
    const log = await make()
    for (const count of [1, 2, 3]) log.write('name.taken', { count })
    await log.flush()
    expect((await log.read({ limit: 2 })).map(({ fields }) => fields['count'])).toEqual([2, 3])
    expect(await log.read({ since: Date.now() + 60_000 })).toEqual([])
    expect(await log.read({ since: Date.now() - 60_000, limit: 5 })).toHaveLength(3)
  })

  test('is read in pages, and of one kind', async () => {
    const log = await make()
    for (const count of [1, 2, 3, 4]) {
      log.write('name.taken', { count })
      log.write('name.lost', { count })
    }
    await log.flush()
    const read = async (before?: number) => await log.read({ event: 'name.lost', limit: 2, before })
    const newest = await read()
    expect(newest.map(({ fields }) => fields['count'])).toEqual([3, 4])
    const older = await read(newest[0]?.number)
    expect(older.map(({ event, fields }) => [event, fields['count']])).toEqual([
      ['name.lost', 1],
      ['name.lost', 2],
    ])
    expect(await read(older[0]?.number)).toEqual([])
  })

  test('cuts texts of peers that are too long', async () => {
    const log = await make()
    log.write('auth.failed', { why: 'x'.repeat(10_000) })
    await log.flush()
    expect((await log.read())[0]?.fields['why']).toBe('x'.repeat(200))
  })
}
