// What becomes of a cluster when its database fails, on a real one.
// Length: one server serves all of these; each test breaks it in another way.
import { chmodSync, chownSync } from 'node:fs'
import { inspect } from 'node:util'
import { freePorts } from '@proj/testkit/free-ports'
import { postgresOfFile } from '@proj/testkit/postgres-of-file'
import { findProgram } from '@proj/testkit/real-proxy'
import { spawned } from '@proj/testkit/spawned'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { until, untilEvent } from '@proj/testkit/until'
import { describe, expect, it, onTestFinished } from 'vitest'
import { PostgresConnection } from '../src/engine/postgres-connection.ts'
import { PostgresEngine } from '../src/engine/postgres-engine.ts'
import { CLUSTER_SCHEMA, migrateSchema } from '../src/engine/postgres-schema.ts'
import type { ClusterError } from '../src/errors.ts'
import { Membership } from '../src/membership.ts'
import type { MembershipOptions } from '../src/options.ts'
import { CutEngine } from './cut-engine.ts'
import { FAST, leaseOf, seen, serve, startNode, untilSeen } from './membership-suite.ts'
import { named, nodeOf, PLAIN } from './nodes.ts'
import { slowAnswers } from './slow-answers.ts'

const { signal } = new AbortController()
const pgbouncer = findProgram('pgbouncer', 'pgbouncer')
const server = postgresOfFile()

const OPTIONS: MembershipOptions = { leaseMs: 3_000, claimWaitMs: 200 }

/** Two nodes with a name each that the other sees. */
async function pair(url: string) {
  const engine = () => new PostgresEngine({ url, timeoutMs: 500 })
  const a = await startNode(engine(), nodeOf('a'), OPTIONS)
  const b = await startNode(engine(), nodeOf('b'), OPTIONS)
  const lease = await patiently(() => take(a, 'web', 'ann'))
  a.announce(named('web'), PLAIN)
  await patiently(() => take(b, 'api', 'bob'))
  b.announce(named('api'), PLAIN)
  await untilSeen(b, 'web', ['a ann'])
  await untilSeen(a, 'api', ['b bob'])
  const gone: string[] = []
  for (const node of [a, b]) {
    node.table.on('route', ({ name }, _, present) => void (present || gone.push(name)))
    node.on('lost', ({ name }) => gone.push(name))
  }
  return { a, b, lease, gone }
}

const take = async (node: Membership, name: string, identity: string) =>
  await node.take({ endpoint: named(name), identity }, signal)

/** Claims as an agent does: again, until it is granted. */
async function patiently(claim: () => ReturnType<typeof take>) {
  return await until(async () => {
    const answer = await claim()
    return 'release' in answer ? answer : undefined
  })
}

describe.each([
  // the first for longer than a lease: none of it may be judged by that when it is back
  [
    'frozen',
    3_500,
    () => Promise.resolve(server().freeze()),
    () => Promise.resolve(server().thaw()),
  ],
  ['killed', 0, () => server().kill(), () => server().run()],
  ['restarted', 0, () => server().stop(), () => server().run()],
] as const)('a database that is %s', (_, longMs, breakIt, mendIt) => {
  it('keeps every route, grants what is known, and takes new names when it is back', async () => {
    const { a, b, lease, gone } = await pair(await server().createDatabase())
    await breakIt()
    try {
      expect(await take(b, 'web', 'ann')).toMatchObject({ epoch: lease.epoch })
      expect(await take(b, 'new', 'bob')).toMatchObject({ code: 'unavailable' })
      await until(() => a.state === 'away' && b.state === 'away')
      await until(() => a.leaseAgeMs > longMs && b.leaseAgeMs > longMs)
      expect([seen(b, 'web'), seen(a, 'api')]).toEqual([['a ann'], ['b bob']])
    } finally {
      await mendIt()
    }
    await until(() => a.state === 'joined' && b.state === 'joined')
    await patiently(() => take(b, 'new', 'bob'))
    b.announce(named('new'), PLAIN)
    await untilSeen(a, 'new', ['b bob'])
    expect([seen(b, 'web'), seen(a, 'api')]).toEqual([['a ann'], ['b bob']])
    expect(gone).toEqual([])
  })
})

describe('a database', () => {
  it('that takes no writes is as one that is away, and the error says so', async () => {
    const url = await server().createDatabase()
    const { a, b, lease, gone } = await pair(url)
    const database = new URL(url).pathname.slice(1)
    const setReadOnly = async (value: 'on' | 'off') => {
      await server().query(
        'postgres',
        `alter database ${database} set default_transaction_read_only = ${value}`,
      )
      await server().query(
        'postgres',
        `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${database}'`,
      )
    }
    const problems: ClusterError[] = []
    a.on('problem', (error) => problems.push(error))
    await setReadOnly('on')
    await until(() => problems.some(({ code }) => code === 'CLUSTER_DATABASE_READ_ONLY'))
    await until(() => a.leaseAgeMs > 3_500 && b.leaseAgeMs > 3_500)
    expect(await take(b, 'web', 'ann')).toMatchObject({ epoch: lease.epoch })
    expect(await take(b, 'new', 'bob')).toMatchObject({ code: 'unavailable' })
    expect(a.readAgeMs).toBeLessThan(60_000)
    await setReadOnly('off')
    await until(() => a.state === 'joined' && b.state === 'joined')
    expect(gone).toEqual([])
  })

  it('that is full is as one that is away, and the error has its code', async () => {
    const url = await server().createDatabase()
    const { a, b, gone } = await pair(url)
    await server().query(
      url,
      `create function full_disk() returns trigger language plpgsql as
         $$ begin raise exception 'full' using errcode = '53100'; end $$;
       create trigger full_disk before insert or update on adit_cluster_route
         for each row execute function full_disk()`,
    )
    const problems: ClusterError[] = []
    a.on('problem', (error) => problems.push(error))
    expect(await take(a, 'new', 'ann')).toMatchObject({ code: 'unavailable' })
    await until(() => problems.some(({ sqlState }) => sqlState === '53100'))
    expect(problems.find(({ sqlState }) => sqlState === '53100')?.code).toBe(
      'CLUSTER_DATABASE_FAILED',
    )
    await server().query(url, 'drop trigger full_disk on adit_cluster_route')
    await patiently(() => take(a, 'new', 'ann'))
    await until(() => a.state === 'joined' && b.state === 'joined')
    expect(gone).toEqual([])
  })

  it('that was restored from a backup is filled again, while every route stays', async () => {
    const url = await server().createDatabase()
    const { a, b, gone } = await pair(url)
    const tables = ['node', 'route', 'name'].map((name) => `adit_cluster_${name}`)
    const each = (make: (table: string) => string) => tables.map(make).join(';')
    await server().query(
      url,
      each((table) => `create table old_${table} as table ${table}`),
    )
    const late = await patiently(() => take(a, 'late', 'ann'))
    a.announce(named('late'), PLAIN)
    await untilSeen(b, 'late', ['a ann'])
    await server().query(
      url,
      `begin; ${each((table) => `truncate ${table}; insert into ${table} table old_${table}`)}; commit`,
    )
    const c = await startNode(new PostgresEngine({ url }), nodeOf('c'), OPTIONS)
    await untilSeen(c, 'late', ['a ann'])
    await untilSeen(c, 'web', ['a ann'])
    await untilSeen(c, 'api', ['b bob'])
    expect(c.table.routes(named('late'))[0]?.epoch).toBe(late.epoch)
    expect(gone).toEqual([])
  })

  it('that lost the last writes keeps one holder of a name: the one with the higher epoch', async () => {
    const url = await server().createDatabase()
    const way = new CutEngine(new PostgresEngine({ url }))
    const a = await startNode(way, nodeOf('a'), { leaseMs: 60_000 })
    const b = await startNode(new PostgresEngine({ url }), nodeOf('b'), { leaseMs: 60_000 })
    const first = await serve(a, 'late', 'ann')
    await untilSeen(b, 'late', ['a ann'])
    // A failover that forgets the name, which b has not seen either, before a can store it again.
    way.way = 'cut'
    await server().query(
      url,
      `begin;
       delete from adit_cluster_name where name = 'late';
       delete from adit_cluster_route where name = 'late';
       commit`,
    )
    b.table.removeRoute(named('late'), 'a')
    const lost = untilEvent(a, 'lost')
    const second = await serve(b, 'late', 'bob')
    expect(second.epoch).toBeGreaterThan(first.epoch)
    way.way = 'open'
    expect(await lost).toMatchObject([named('late'), { identity: 'bob' }])
    await untilSeen(a, 'late', ['b bob'])
    expect(seen(b, 'late')).toEqual([])
  })

  it('that answers late is used all the same', async () => {
    const url = await server().createDatabase()
    const a = await startNode(new PostgresEngine({ url }), nodeOf('a'), { leaseMs: 5_000 })
    const late = new URL(url)
    // A tenth of 2 s per answer, with a tenth of the default times.
    late.port = String(await slowAnswers(server().port, 200))
    const options = { leaseMs: 5_000, batchMs: 20, hintMs: 100, assertMs: 3_000, pollMs: 100 }
    const engine = new PostgresEngine({ url: late.href, timeoutMs: 5_000 })
    const b = await startNode(engine, nodeOf('b'), options)
    await serve(b, 'web', 'bob')
    await untilSeen(a, 'web', ['b bob'])
    await serve(a, 'api', 'ann')
    await untilSeen(b, 'api', ['a ann'])
    expect(b.table.node('a')).toMatchObject({ address: 'a.example:8003' })
  })

  it('behind a pooler that breaks LISTEN is polled', async ({ skip }) => {
    skip(pgbouncer === undefined, 'no pgbouncer')
    const url = await server().createDatabase()
    const pooled = await startPooler(url)
    const options = { pollMs: 50 }
    const a = await startNode(new PostgresEngine({ url: pooled }), nodeOf('a'), options)
    const b = await startNode(new PostgresEngine({ url: pooled }), nodeOf('b'), options)
    await serve(a, 'web', 'ann')
    await untilSeen(b, 'web', ['a ann'])
    await serve(b, 'web', 'ann')
    await untilSeen(a, 'web', ['b ann'])
    expect(await take(b, 'web', 'ann')).toHaveProperty('epoch')
  })
})

/** Starts pgbouncer in transaction mode. @returns the URL through it. */
async function startPooler(url: string): Promise<string> {
  const { port, password, username, pathname } = new URL(url)
  const { first } = await freePorts(1)
  const folder = temporaryDirectory()
  onTestFinished(() => folder[Symbol.dispose]())
  const users = folder.write('users.txt', `"${username}" "${password}"\n`, 0o644)
  const settings = folder.write(
    'pgbouncer.ini',
    [
      '[databases]',
      `${pathname.slice(1)} = host=127.0.0.1 port=${port}`,
      '[pgbouncer]',
      'listen_addr = 127.0.0.1',
      `listen_port = ${first}`,
      'unix_socket_dir =',
      'auth_type = plain',
      `auth_file = ${users}`,
      'pool_mode = transaction',
      'default_pool_size = 4',
    ].join('\n'),
    0o644,
  )
  chmodSync(folder.path, 0o755)
  if (process.getuid?.() === 0) chownSync(folder.path, 65_534, 65_534)
  const user = process.getuid?.() === 0 ? ['-u', 'nobody'] : []
  const pooler = spawned(pgbouncer ?? '', [...user, settings])
  await pooler.line(/listening on 127/)
  const pooled = new URL(url)
  pooled.port = String(first)
  return pooled.href
}

describe('the schema', () => {
  async function connection(url: string): Promise<PostgresConnection> {
    const sql = new PostgresConnection(url, 10_000)
    onTestFinished(() => sql.close())
    return await Promise.resolve(sql)
  }

  it('of a newer program is refused', async () => {
    const url = await server().createDatabase()
    await startNode(new PostgresEngine({ url }), nodeOf('a'))
    await server().query(
      url,
      `update adit_schema set version = 99, oldest = 98 where part = 'cluster'`,
    )
    const b = new Membership(new PostgresEngine({ url }), nodeOf('b'), FAST)
    onTestFinished(() => b.close())
    await expect(b.start(signal)).rejects.toMatchObject({
      code: 'CLUSTER_SCHEMA_NEWER',
      message: expect.stringContaining('cluster has version 99, this program knows 4'),
    })
    expect(b.state).toBe('closed')
    const claim = await take(b, 'web', 'ann')
    expect(claim).toMatchObject({ code: 'unavailable' })
  })

  it('of an older program is migrated once, by whichever node is first', async () => {
    const url = await server().createDatabase()
    const first = 'create table t (a integer); insert into t values (1)'
    const steps = [first, 'alter table t add column b integer', 'update t set b = a + 1'].map(
      (step) => ({ sql: step, oldest: 3 }),
    )
    await migrateSchema(await connection(url), 'other', steps.slice(0, 1), signal)
    const many = await Promise.all([1, 2, 3, 4].map(() => connection(url)))
    await Promise.all(many.map((sql) => migrateSchema(sql, 'other', steps, signal)))
    expect(await server().query(url, 'table t')).toEqual([{ a: 1, b: 2 }])
    const [one] = many
    if (one === undefined) throw new Error('no connection')
    await expect(migrateSchema(one, 'other', steps.slice(0, 2), signal)).rejects.toMatchObject({
      code: 'CLUSTER_SCHEMA_NEWER',
    })
    await migrateSchema(one, 'other', steps, signal)
    await migrateSchema(one, 'cluster', CLUSTER_SCHEMA, signal)
    expect(await server().query(url, 'select * from adit_schema order by part')).toEqual([
      { part: 'cluster', version: 4, oldest: 1 },
      { part: 'other', version: 3, oldest: 3 },
    ])
  })

  it('of a newer program is used by one that it is still good for, and stays as it is', async () => {
    const url = await server().createDatabase()
    const steps = [
      { sql: 'create table t (a integer)', oldest: 1 },
      { sql: 'alter table t add column b integer', oldest: 1 },
      { sql: 'alter table t drop column a', oldest: 2 },
    ]
    const stored = async () => await server().query(url, 'select version, oldest from adit_schema')
    const knows = async (count: number) => {
      await migrateSchema(await connection(url), 'other', steps.slice(0, count), signal)
    }
    await knows(2)
    await knows(1) // a node of the version before, started again in the middle of an upgrade
    expect(await stored()).toEqual([{ version: 2, oldest: 1 }])
    await knows(3)
    await knows(2)
    await expect(knows(1)).rejects.toMatchObject({ code: 'CLUSTER_SCHEMA_NEWER' })
    expect(await stored()).toEqual([{ version: 3, oldest: 2 }])
  })

  it('stays as it was when a step fails', async () => {
    const url = await server().createDatabase()
    const sql = await connection(url)
    const steps = ['create table t ()', 'create table u (); select 1 / 0'].map((step) => {
      return { sql: step, oldest: 1 }
    })
    await expect(migrateSchema(sql, 'other', steps, signal)).rejects.toMatchObject({
      code: 'CLUSTER_DATABASE_FAILED',
      sqlState: '22012',
    })
    await expect(server().query(url, 'table t')).rejects.toMatchObject({ code: '42P01' })
  })

  it('is not made in a server older than 13', async () => {
    const old = {
      run: async () => await Promise.resolve([[{ server_version_num: '120022' }]]),
      literal: String,
    }
    await expect(migrateSchema(old, 'x', [], signal)).rejects.toMatchObject({
      code: 'CLUSTER_DATABASE_TOO_OLD',
    })
  })
})

describe('an error', () => {
  it('has a code and no part of the password', async () => {
    const url = await server().createDatabase()
    const wrong = (change: Partial<URL>) => Object.assign(new URL(url), change).href
    const [free] = [await freePorts(1)]
    const cases = [
      ['CLUSTER_DATABASE_REFUSED', '28P01', wrong({ username: 'nobody_here' })],
      ['CLUSTER_DATABASE_REFUSED', '3D000', wrong({ pathname: '/absent' })],
      ['CLUSTER_DATABASE_UNREACHABLE', undefined, wrong({ port: String(free.first) })],
      ['CLUSTER_DATABASE_UNREACHABLE', undefined, wrong({ host: 'absent.invalid' })],
    ] as const
    for (const [code, sqlState, at] of cases) {
      const node = new Membership(
        new PostgresEngine({ url: at, timeoutMs: 5_000 }),
        nodeOf('a'),
        FAST,
      )
      const problem = untilEvent(node, 'problem')
      const over = new AbortController()
      const started = node.start(over.signal).catch(() => {})
      const [error] = await problem
      over.abort()
      await started
      await node.close()
      expect(error).toMatchObject({ code, sqlState })
      const shown = [
        inspect(error, { depth: 9, showHidden: true }),
        JSON.stringify(error),
        error instanceof Error ? error.stack : '',
        inspect(node, { depth: 9, showHidden: true }),
      ]
      expect(shown.join('\n')).not.toContain(server().password)
    }
    const bad = `postgres://adit:${server().password}@[/x`
    for (const options of [{ url: bad }, { url: 'mysql://x' }, { url, timeoutMs: 5 }]) {
      let error: unknown
      try {
        expect(new PostgresEngine(options)).toBeUndefined()
      } catch (thrown) {
        error = thrown
      }
      expect(error).toMatchObject({ code: 'CLUSTER_OPTION_INVALID' })
      expect(inspect(error)).not.toContain(server().password)
    }
    leaseOf(await take(await startNode(new PostgresEngine({ url }), nodeOf('a')), 'web', 'ann'))
  })
})
