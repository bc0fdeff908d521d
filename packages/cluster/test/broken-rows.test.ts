// Rows that another client of the database has written, and hints from it: each concerns its own row only.
import { postgresOfFile } from '@proj/testkit/postgres-of-file'
import { until, untilEvent } from '@proj/testkit/until'
import { describe, expect, it } from 'vitest'
import { PostgresEngine } from '../src/engine/postgres-engine.ts'
import { seen, serve, startNode, untilSeen } from './membership-suite.ts'
import { nodeOf } from './nodes.ts'

const server = postgresOfFile()

async function pair() {
  const url = await server().createDatabase()
  const a = await startNode(new PostgresEngine({ url }), nodeOf('a'))
  const b = await startNode(new PostgresEngine({ url }), nodeOf('b'))
  await serve(a, 'web', 'ann')
  await untilSeen(b, 'web', ['a ann'])
  return { url, a, b }
}

/** The largest number of the type of an epoch. */
const HUGE = '9223372036854775807'

describe('a row of a node', () => {
  it.for([
    ['with a lease without end', `lease_until = 'infinity'`],
    ['with a version that is too large', `head = ${HUGE}, floor = ${HUGE}`],
    ['with an address that is none', `address = ''`],
  ])('%s: the others are read all the same', async ([, change]) => {
    const { url, a, b } = await pair()
    await server().query(
      url,
      `insert into adit_cluster_node select '0', 'x', address, fingerprint, version, is_leaving, sessions, streams,
         beat, lease_until, head, floor, true, has_left from adit_cluster_node where id = 'a';
       update adit_cluster_node set ${change} where id = '0'`,
    )
    const readAt = performance.now()
    await until(() => b.readAgeMs < performance.now() - readAt)
    await serve(a, 'more', 'ann')
    await untilSeen(b, 'more', ['a ann'])
    expect(seen(b, 'web')).toEqual(['a ann'])
  })
})

describe('a row of a route', () => {
  it.for([
    ['with an epoch that is too large', `epoch = ${HUGE}`],
    ['with a negative epoch', 'epoch = -5'],
    ['without identity', 'identity = null'],
    ['without sessions', 'sessions = null'],
    ['with rules that are too long', `rules = repeat('x', 100000)`],
  ])('%s is left out and reported', async ([, change]) => {
    const url = await server().createDatabase()
    const a = await startNode(new PostgresEngine({ url }), nodeOf('a'), { leaseMs: 60_000 })
    const b = await startNode(new PostgresEngine({ url }), nodeOf('b'), { leaseMs: 60_000 })
    const reported = untilEvent(b, 'problem')
    // a node that does not write its rows again
    await server().query(
      url,
      `insert into adit_cluster_node select '0', 'x', address, fingerprint, version, is_leaving, sessions, streams,
         beat, lease_until, 2, 0, true, has_left from adit_cluster_node where id = 'a';
       insert into adit_cluster_route (node, tenant, name, version, is_gone, epoch, identity, sessions, exclusive,
         changed_at) select '0', '', name, version, false, 5, 'ann', 1, false, now()
         from (values ('bad', 1), ('good', 2)) as v (name, version);
       update adit_cluster_route set ${change} where name = 'bad'`,
    )
    expect((await reported)[0]).toMatchObject({ code: 'CLUSTER_ROW_INVALID' })
    await untilSeen(b, 'good', ['0 ann'])
    expect(seen(b, 'bad')).toEqual([])
    await serve(b, 'mine', 'bob')
    await untilSeen(a, 'mine', ['b bob'])
  })
})

describe('a row of a name', () => {
  it.for([
    ['with an epoch that is too large', `epoch = ${HUGE}`],
    ['with a negative epoch', 'epoch = -5'],
    ['of an eternity', `since = 'infinity'`],
  ])('%s is used, with another epoch', async ([, change]) => {
    const { url, a, b } = await pair()
    await server().query(
      url,
      `insert into adit_cluster_name values ('', 'free', 'gil', 5, now()), ('', 'same', 'bob', 5, now());
       update adit_cluster_name set ${change} where name <> 'web'`,
    )
    for (const name of ['free', 'same']) {
      const lease = await serve(b, name, 'bob')
      expect(Number.isSafeInteger(lease.epoch)).toBe(true)
      expect(lease.epoch).toBeGreaterThan(0)
      await untilSeen(a, name, ['b bob'])
    }
    expect(b.state).toBe('joined')
  })
})

it('tables that were dropped are made and filled again', async () => {
  const { url, a, b } = await pair()
  await server().query(url, 'drop schema public cascade; create schema public')
  await until(async () => {
    const rows = await server()
      .query(url, 'table adit_cluster_route')
      .catch(() => [])
    return rows.length === 1
  })
  expect(seen(b, 'web')).toEqual(['a ann'])
  await serve(b, 'more', 'bob')
  await untilSeen(a, 'more', ['b bob'])
})
