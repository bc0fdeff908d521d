import { copyFileSync, readFileSync } from 'node:fs'
import { inspect } from 'node:util'
import { createToken, hashToken } from '@proj/auth'
import { postgresOfFile } from '@proj/testkit/postgres-of-file'
import { until } from '@proj/testkit/until'
import { describe, expect, onTestFinished, test } from 'vitest'

import { TokenVerifier } from '../../src/auth/token-verifier.ts'
import type { AuditLimits } from '../../src/store/audit-log.ts'
import { ClusterAuditLog } from '../../src/store/cluster-audit-log.ts'
import { ClusterDomainStore } from '../../src/store/cluster-domain-store.ts'
import { ClusterMirror, type Part } from '../../src/store/cluster-mirror.ts'
import { ClusterReservationStore } from '../../src/store/cluster-reservation-store.ts'
import { openClusterCommandStore } from '../../src/store/cluster-store.ts'
import { ClusterTokenStore } from '../../src/store/cluster-token-store.ts'
import { SharedTables } from '../../src/store/shared-tables.ts'
import { Postgres } from '../../src/store/postgres.ts'
import { prepareTables } from '../../src/store/postgres-schema.ts'
import type { Reservation } from '../../src/store/reservation-store.ts'
import { SqliteAuditLog } from '../../src/store/sqlite-audit-log.ts'
import { SqliteDomainStore } from '../../src/store/sqlite-domain-store.ts'
import { SqliteReservationStore } from '../../src/store/sqlite-reservation-store.ts'
import { SqliteTokenStore } from '../../src/store/sqlite-token-store.ts'
import { auditSuite } from './audit-suite.ts'
import { freshDirectory, type StoreNode, storeNode } from './cluster-fixture.ts'
import { domainSuite, SHOP } from './domain-suite.ts'
import { freshDatabase, silent } from './fixtures.ts'
import { reservationSuite, WEB } from './reservation-suite.ts'
import { TOKEN, tokenSuite } from './token-suite.ts'

const postgres = postgresOfFile()

let schemas = 0
let ofSuites: string | undefined

/** The parts of a store, on a schema of the running test: much faster than a database of its own. */
async function parts() {
  const database = freshDatabase()
  ofSuites ??= await postgres().createDatabase()
  const schema = `suite_${++schemas}`
  await postgres().query(ofSuites, `CREATE SCHEMA ${schema}`)
  const remote = await Postgres.of(`${ofSuites}?options=-c%20search_path%3D${schema}`)
  onTestFinished(async () => await remote.close())
  await prepareTables(remote)
  const copy = new SqliteTokenStore(database)
  const mirror = new ClusterMirror(database)
  const onDomains = { call: () => {} }
  const onChange = (part: Part): void => {
    if (part === 'tokens') copy.look()
    if (part === 'domains') onDomains.call()
  }
  const shared = new SharedTables({ postgres: remote, mirror, logger: silent, onChange })
  onTestFinished(() => {
    shared.stop()
    copy.close()
  })
  await shared.look()
  return { postgres: remote, database, copy, shared, onDomains }
}

describe('tokens in the database of a cluster', () => {
  tokenSuite(async (options) => {
    const store = new ClusterTokenStore({ ...(await parts()), staleAfterMs: 1, ...options })
    return { store, flush: async () => await store.flush() }
  })
})
describe('reservations in the database of a cluster', () => {
  reservationSuite(async (limits) => {
    const { shared, database } = await parts()
    const copy = new SqliteReservationStore(database)
    return new ClusterReservationStore({ shared, copy, limits })
  })
})
describe('domains in the database of a cluster', () => {
  domainSuite(async (limits) => {
    const { shared, database, onDomains } = await parts()
    const copy = new SqliteDomainStore(database)
    const store = new ClusterDomainStore({ shared, copy, limits })
    onDomains.call = () => store.onChange()
    return store
  })
})
describe('the audit log in the database of a cluster', () => {
  auditSuite(async (limits?: AuditLimits) => {
    const { postgres: remote, database } = await parts()
    return new ClusterAuditLog({ postgres: remote, outbox: new SqliteAuditLog(database), limits })
  })
})

const named = (endpoint: string, more: Partial<Reservation> = {}): Reservation => ({
  ...WEB,
  endpoint,
  ...more,
})

async function nodes(count: number): Promise<readonly StoreNode[]> {
  const url = await postgres().createDatabase()
  return await Promise.all(Array.from({ length: count }, async () => await storeNode({ url })))
}

async function makeToken(node: StoreNode): Promise<string> {
  const { id, text } = createToken()
  const hash = hashToken(text).toString('hex')
  const refusal = await node.store.tokens.create({ ...TOKEN, id, hash, expiresAt: undefined })
  expect(refusal).toBe(undefined)
  return text
}

function verifierOf({ store }: StoreNode): TokenVerifier {
  const verifier = new TokenVerifier(store.tokens)
  onTestFinished(() => verifier[Symbol.dispose]())
  return verifier
}

describe('servers of one cluster', () => {
  test('see what the others make, and have it in their files', async () => {
    const [one, other] = (await nodes(2)) as [StoreNode, StoreNode]
    await one.store.tokens.create(TOKEN)
    await one.store.reservations.reserve(named('web', { port: 9901 }))
    await one.store.reservations.reserve(named('gone'))
    await until(() => other.store.reservations.find({ tenant: '', name: 'gone' }))
    expect(other.store.tokens.find(TOKEN.id)).toMatchObject(TOKEN)
    expect(other.store.reservations.findByPort(9901)).toEqual(named('web', { port: 9901 }))
    await one.store.tokens.revoke(TOKEN.id, 1_750_000_000_000)
    await one.store.reservations.release({ tenant: '', name: 'gone' })
    await until(() => other.store.tokens.find(TOKEN.id)?.revokedAt === 1_750_000_000_000)
    await until(() => other.store.reservations.list().length === 1)
  })

  test('end the sessions of a token that is revoked at another one', async () => {
    const [one, other] = (await nodes(2)) as [StoreNode, StoreNode]
    const verifier = verifierOf(other)
    const text = await makeToken(one)
    // At once, also where the other server has not looked yet.
    const { ended } = await verifier.judge(text)
    const id = one.store.tokens.list()[0]?.id ?? ''
    await one.store.tokens.revoke(id, Date.now())
    await until(() => ended?.aborted)
    await expect(verifier.judge(text)).rejects.toMatchObject({ code: 'IDENTITY_TOKEN_INVALID' })
  })

  test('keep the limits together, and give a name and a port to one only', async () => {
    const url = await postgres().createDatabase()
    const limits = { maxPerIdentity: 5 }
    const three = await Promise.all([1, 2, 3].map(async () => await storeNode({ url, limits })))
    const outcomes = await Promise.all(
      three.flatMap(({ store }, node) =>
        [1, 2, 3, 4].map((name) => store.reservations.reserve(named(`${node}-${name}`))),
      ),
    )
    expect(outcomes.filter(({ ok }) => ok)).toHaveLength(5)
    const same = await Promise.all(
      three.map(({ store }, node) =>
        store.reservations.reserve(named('same', { identity: `${node}`, port: 9901 })),
      ),
    )
    expect(same.map((one) => (one.ok ? 'ok' : one.code)).toSorted()).toEqual([
      'name-taken',
      'name-taken',
      'ok',
    ])
    const ports = await Promise.all(
      three.map(({ store }, node) =>
        store.reservations.reserve(
          named(`tcp-${node}`, { identity: `tcp-${node}`, kind: 'tcp', port: 9902 }),
        ),
      ),
    )
    expect(ports.filter((one) => one.ok && one.reservation.port === 9902)).toHaveLength(1)
  })

  test('write one audit log, each event once and those of one server in order', async () => {
    const [one, other] = (await nodes(2)) as [StoreNode, StoreNode]
    for (const node of [one, other]) {
      for (let count = 0; count < 50; count++) {
        node.store.audit.write('name.taken', { count, node: node === one ? 'one' : 'other' })
      }
      // Two at once: an event must not be taken twice.
      await Promise.all([node.store.audit.flush(), node.store.audit.flush()])
    }
    const read = await one.store.audit.read()
    const counts = (node: string) =>
      read.filter(({ fields }) => fields['node'] === node).map(({ fields }) => fields['count'])
    const expected = Array.from({ length: 50 }, (_, count) => count)
    expect([counts('one'), counts('other')]).toEqual([expected, expected])
  })

  test('tell pages of what was changed at another one, and which kind of thing it is', async () => {
    const [one, other] = (await nodes(2)) as [StoreNode, StoreNode]
    const told: string[] = []
    other.store.onChange = (parts) => void told.push(...parts)
    await one.store.tokens.create(TOKEN)
    await until(() => told.length > 0)
    expect(told.splice(0)).toEqual(['tokens'])
    await one.store.reservations.reserve(named('web'))
    await until(() => told.length > 0)
    expect(told.splice(0)).toEqual(['reservations'])
    await one.store.domains.ask(SHOP)
    await until(() => told.length > 0)
    expect(told).toEqual(['domains'])
  })

  test('note the use of a token, for all', async () => {
    const [one] = (await nodes(1)) as [StoreNode]
    const url = one.own.store.file
    expect(url).toContain('on 127.0.0.1:')
    await one.store.tokens.create(TOKEN)
    one.store.tokens.noteUse(TOKEN.id, 1_750_000_000_000)
    await one.store.settle()
    expect(one.store.tokens.find(TOKEN.id)?.lastUsedAt).toBe(1_750_000_000_000)
  })
})

test('the next process of a server goes on where the one before was', async () => {
  const url = await postgres().createDatabase()
  const directory = freshDirectory()
  const before = await storeNode({ url, directory })
  const verifier = verifierOf(before)
  const text = await makeToken(before)
  const { ended } = await verifier.judge(text)
  before.store.audit.write('name.taken', { endpoint: 'web' })
  before.own.handOver()
  const after = await storeNode({ url, directory })
  await expect(before.store.reservations.reserve(named('late'))).rejects.toMatchObject({
    code: 'STORE_HANDED_OVER',
  })
  // What the next process reads ends sessions that the one before still has.
  await after.store.tokens.revoke(after.store.tokens.list()[0]?.id ?? '', Date.now())
  await until(() => ended?.aborted)
  before.store.audit.write('name.lost', { endpoint: 'web' })
  await after.store.audit.flush()
  expect((await after.store.audit.read()).map(({ event }) => event)).toEqual(['name.taken'])
  await after.stop()
  before.own.takeBack()
  await before.store.reservations.reserve(named('back'))
  await before.store.audit.flush()
  expect((await before.store.audit.read()).map(({ event }) => event)).toEqual([
    'name.taken',
    'name.lost',
  ])
})

describe('a database that is not the one of before', () => {
  /** What the log says about it, by part. */
  const lost = ({ logger }: StoreNode) =>
    logger
      .find(
        'the database of the cluster is another one than before, or an older backup: it is used as it is',
      )
      .map(({ level, fields: { part, lostNames, validAgain } }) => ({
        level,
        part,
        lostNames,
        validAgain,
      }))

  test('decides, and what it lacks is logged: an older backup', async () => {
    const url = await postgres().createDatabase()
    const node = await storeNode({ url })
    await node.store.tokens.create(TOKEN)
    await node.store.reservations.reserve(named('old'))
    const backup = await postgres().query(url, 'TABLE adit_revisions')
    await node.store.tokens.revoke(TOKEN.id, 1)
    await node.store.reservations.reserve(named('new'))
    await node.stop()
    // Two changes are taken back, and others were made since: the numbers are higher than those of the node.
    await postgres().query(
      url,
      `UPDATE adit_tokens SET revoked_at = NULL;
       DELETE FROM adit_names WHERE endpoint = 'new';
       DELETE FROM adit_changes c USING adit_revisions r WHERE c.part = r.part AND c.revision = r.revision;
       ${backup.map(({ part, revision, stamp }) => `UPDATE adit_revisions SET revision = ${String(revision)}, stamp = ${String(stamp)} WHERE part = '${String(part)}';`).join('')}`,
    )
    const other = await storeNode({ url })
    for (const name of ['a', 'b', 'c']) await other.store.reservations.reserve(named(name))
    await other.store.tokens.create({ ...TOKEN, id: 'aaaaaaaa' })
    await other.store.tokens.create({ ...TOKEN, id: 'bbbbbbbb' })
    const again = await storeNode({ url, directory: node.directory })
    expect(lost(again)).toEqual([
      { level: 'error', part: 'tokens', lostNames: undefined, validAgain: [TOKEN.id] },
      { level: 'error', part: 'names', lostNames: ['new'], validAgain: undefined },
    ])
    expect(again.store.reservations.list().map(({ endpoint }) => endpoint)).toEqual([
      'a',
      'b',
      'c',
      'old',
    ])
    expect(again.store.tokens.find(TOKEN.id)?.revokedAt).toBe(undefined)
  })

  test('decides, and is filled with tables again: an emptied one', async () => {
    const url = await postgres().createDatabase()
    const node = await storeNode({ url })
    await node.store.tokens.create(TOKEN)
    await node.store.reservations.reserve(named('web'))
    await postgres().query(
      url,
      'DROP TABLE adit_schema, adit_revisions, adit_changes, adit_tokens, adit_names, adit_domains, adit_audit, adit_audit_deleted',
    )
    // Each part is read on its own.
    await until(() => lost(node).length === 3)
    expect(node.store.reservations.list()).toEqual([])
    expect(lost(node).map(({ lostNames }) => lostNames)).toEqual([[TOKEN.id], ['web'], undefined])
    // A server that asked for tokens must not be open for all because they were lost.
    expect([node.store.tokens.list(), node.store.tokens.hasEverHeldTokens]).toEqual([[], true])
    expect(await node.store.reservations.reserve(named('web'))).toMatchObject({ isNew: true })
  })
})

test('a server that has read a database without tokens asks for none', async () => {
  const url = await postgres().createDatabase()
  const node = await storeNode({ url })
  expect(node.store.tokens.hasEverHeldTokens).toBe(false)
  await node.store.tokens.create(TOKEN)
  expect(node.store.tokens.hasEverHeldTokens).toBe(true)
})

test('tables of a version that this program is too old for end the start with 2', async () => {
  const url = await postgres().createDatabase()
  await storeNode({ url })
  await postgres().query(url, `UPDATE adit_schema SET version = 7, oldest = 7 WHERE part = 'store'`)
  await expect(storeNode({ url })).rejects.toMatchObject({
    exitCode: 2,
    message: expect.stringMatching(/store has version 7, this program knows \d \(STORE_NEWER\)$/),
  })
})

test('a damaged copy is made again', async () => {
  const url = await postgres().createDatabase()
  const node = await storeNode({ url })
  await node.store.tokens.create(TOKEN)
  await node.stop()
  copyFileSync(import.meta.filename, node.copy)
  const again = await storeNode({ url, directory: node.directory })
  expect(again.store.tokens.list()).toHaveLength(1)
})

test('no password is in a log, an error or a file', async () => {
  const url = await postgres().createDatabase()
  const { password } = postgres()
  const node = await storeNode({ url })
  await node.store.tokens.create(TOKEN)
  await node.stop()
  const wrong = 'wrong-but-secret'
  const refused = await storeNode({ url: url.replace(password, wrong) }).catch(
    (error: unknown) => error,
  )
  expect(refused).toMatchObject({
    exitCode: 2,
    message: expect.stringMatching(/^database test_\w+ on 127\.0\.0\.1:\d+: .*\(STORE_REFUSED\)$/),
    hint: 'check user, password, name and TLS of the database in cluster.database_url, and the rights of the user',
  })
  const missing = url.replace(/\/test_.*/, '/missing')
  const closed = url.replace(/:\d+\//, ':1/')
  const nowhere = `${url}?sslrootcert=/missing`
  const errors = await Promise.all(
    [missing, closed, nowhere].map(async (one) => {
      return await openClusterCommandStore(one, silent).catch((error: unknown) => error)
    }),
  )
  expect(errors).toMatchObject([
    { message: expect.stringContaining('database missing on 127.0.0.1') },
    { message: expect.stringContaining('(STORE_UNAVAILABLE)') },
    { message: expect.stringMatching(/ENOENT.*\(STORE_REFUSED\)$/) },
  ])
  const seen = inspect([refused, errors, node.logger.records], { depth: Infinity })
  expect(seen).not.toContain(password)
  expect(seen).not.toContain(wrong)
  expect(readFileSync(node.copy, 'latin1')).not.toContain(password)
})
