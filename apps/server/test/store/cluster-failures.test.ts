import { randomInt } from 'node:crypto'
import { createToken, hashToken } from '@proj/auth'
import { postgresOfFile } from '@proj/testkit/postgres-of-file'
import { until } from '@proj/testkit/until'
import { describe, expect, onTestFinished, test } from 'vitest'

import { TokenVerifier } from '../../src/auth/token-verifier.ts'
import { Database } from '../../src/store/database.ts'
import { MIGRATIONS } from '../../src/store/migrations.ts'
import { Postgres } from '../../src/store/postgres.ts'
import type { Reservation } from '../../src/store/reservation-store.ts'
import { type StoreNode, storeNode } from './cluster-fixture.ts'
import { databaseRelay } from './database-relay.ts'
import { WEB } from './reservation-suite.ts'
import { TOKEN } from './token-suite.ts'

/** Kills of the database while names are reserved. */
const KILLS = 10

/** Starts and stops of a PostgreSQL, on a busy machine. */
const TIMEOUT_MS = 240_000

const postgres = postgresOfFile()

const named = (endpoint: string): Reservation => ({ ...WEB, endpoint, identity: endpoint })

async function makeToken({ store }: StoreNode): Promise<string> {
  const { id, text } = createToken()
  const hash = hashToken(text).toString('hex')
  await store.tokens.create({ ...TOKEN, id, hash, expiresAt: undefined })
  return text
}

function verifierOf({ store }: StoreNode): TokenVerifier {
  const verifier = new TokenVerifier(store.tokens)
  onTestFinished(() => verifier[Symbol.dispose]())
  return verifier
}

const isBack = ({ logger }: StoreNode): boolean =>
  logger.find('the database of the cluster is back').length > 0

describe('while the database is away', () => {
  test(
    'a server starts, knows tokens and names, and refuses every change',
    { timeout: TIMEOUT_MS },
    async () => {
      const url = await postgres().createDatabase()
      const before = await storeNode({ url })
      const text = await makeToken(before)
      await before.store.reservations.reserve(named('web'))
      await before.stop()
      await postgres().kill()
      const node = await storeNode({ url, directory: before.directory })
      const why =
        'the database of the cluster cannot be read: tokens, names and domains are those of the last look'
      expect(node.logger.find(why)).toMatchObject([
        { level: 'error', fields: { code: 'STORE_UNAVAILABLE' } },
      ])
      const verifier = verifierOf(node)
      expect((await verifier.judge(text)).permits('listen', 'pc1')).toBe(true)
      expect(node.store.reservations.find({ tenant: '', name: 'web' })).toEqual(named('web'))
      const away = { code: 'STORE_UNAVAILABLE', hint: expect.stringContaining('try again') }
      const { tokens, reservations, audit } = node.store
      await expect(tokens.create(TOKEN)).rejects.toMatchObject(away)
      await expect(tokens.revoke(tokens.list()[0]?.id ?? '', 1)).rejects.toMatchObject(away)
      await expect(reservations.reserve(named('new'))).rejects.toMatchObject(away)
      await expect(reservations.release({ tenant: '', name: 'web' })).rejects.toMatchObject(away)
      await expect(audit.read()).rejects.toMatchObject(away)
      // One that is not known may have been made meanwhile: its agent must not give up.
      await expect(verifier.judge(createToken().text)).rejects.toMatchObject({
        code: 'IDENTITY_TOKENS_UNAVAILABLE',
        status: 503,
        retryable: true,
      })
      // Events wait in the file, also over a restart.
      audit.write('name.taken', { count: 1 })
      await node.stop()
      const again = await storeNode({ url, directory: before.directory })
      again.store.audit.write('name.taken', { count: 2 })
      await postgres().run()
      await until(() => isBack(again))
      await again.store.audit.flush()
      const events = await again.store.audit.read()
      expect(events.map(({ fields }) => fields['count'])).toEqual([1, 2])
      expect(await again.store.reservations.reserve(named('new'))).toMatchObject({ isNew: true })
      await expect(verifierOf(again).judge(createToken().text)).rejects.toMatchObject({
        code: 'IDENTITY_TOKEN_INVALID',
      })
    },
  )

  test(
    'a server that has never seen it is closed, and stays so until it is restarted',
    { timeout: TIMEOUT_MS },
    async () => {
      const url = await postgres().createDatabase()
      await postgres().kill()
      const node = await storeNode({ url })
      const verifier = verifierOf(node)
      expect(verifier.isOpen).toBe(true)
      await expect(verifier.judge(createToken().text)).rejects.toMatchObject({
        code: 'IDENTITY_TOKENS_UNAVAILABLE',
      })
      await postgres().run()
      await until(() => isBack(node))
      expect(verifier.isOpen).toBe(true)
      const next = await storeNode({ url })
      expect(verifierOf(next).isOpen).toBe(false)
    },
  )

  test.for([
    ['for longer than cluster.stale_after', -20 * 60_000],
    ['and the clock was set back', 20 * 60_000],
  ] as const)('%s: no new session begins', { timeout: TIMEOUT_MS }, async ([, offset]) => {
    const url = await postgres().createDatabase()
    const before = await storeNode({ url })
    const text = await makeToken(before)
    await before.stop()
    await postgres().kill()
    const copy = Database.open(before.copy, { migrations: MIGRATIONS })
    const sql = `UPDATE facts SET value = ? WHERE name = 'cluster.read_at'`
    expect(copy.run(sql, Date.now() + offset)).toBe(1)
    copy.close()
    const node = await storeNode({ url, directory: before.directory })
    const verifier = verifierOf(node)
    await expect(verifier.judge(text)).rejects.toMatchObject({
      code: 'IDENTITY_TOKENS_UNAVAILABLE',
      status: 503,
    })
    await postgres().run()
    await until(() => isBack(node))
    expect((await verifier.judge(text)).permits('listen', 'pc1')).toBe(true)
  })
})

test('a database that is set to read only is read, and refuses changes with what to do', async () => {
  const url = await postgres().createDatabase()
  const node = await storeNode({ url })
  const name = url.slice(url.lastIndexOf('/') + 1)
  const setReadOnly = async (value: string): Promise<void> => {
    await postgres().query(
      'postgres',
      `ALTER DATABASE ${name} SET default_transaction_read_only = ${value}`,
    )
    await postgres().query(
      'postgres',
      'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1',
      [name],
    )
  }
  await setReadOnly('on')
  await expect(node.store.reservations.reserve(named('web'))).rejects.toMatchObject({
    code: 'STORE_READ_ONLY',
    hint: expect.stringContaining('cluster.database_url name the primary'),
  })
  node.store.audit.write('name.refused', { endpoint: 'web' })
  await expect(node.store.audit.flush()).rejects.toMatchObject({ code: 'STORE_READ_ONLY' })
  expect([await node.store.tokens.refresh?.(), node.store.tokens.isStale]).toEqual([true, false])
  await setReadOnly('off')
  expect(await node.store.reservations.reserve(named('web'))).toMatchObject({ isNew: true })
  await node.store.audit.flush()
  expect(await node.store.audit.read()).toHaveLength(1)
})

test('a slow database is waited for', async () => {
  const relay = await databaseRelay(await postgres().createDatabase())
  const node = await storeNode({ url: relay.url })
  relay.delayMs = 100
  expect(await node.store.reservations.reserve(named('web'))).toMatchObject({ isNew: true })
  expect(await node.store.reservations.release({ tenant: '', name: 'web' })).toEqual(named('web'))
})

test('a database that does not answer is given up, and asked again', async () => {
  const relay = await databaseRelay(await postgres().createDatabase())
  const remote = await Postgres.of(relay.url, { answerMs: 200, connectMs: 200 })
  onTestFinished(async () => await remote.close())
  const one = async () => await remote.query('SELECT 1 AS one')
  await until(async () => await one().catch(() => undefined))
  relay.isHeld = true
  const unanswered = { code: 'STORE_UNAVAILABLE' }
  await expect(one()).rejects.toMatchObject(unanswered)
  await expect(remote.transaction(async (query) => await query('SELECT 1'))).rejects.toMatchObject(
    unanswered,
  )
  relay.isHeld = false
  expect(await until(async () => await one().catch(() => undefined))).toEqual([{ one: 1 }])
})

test('a connection that the database ends at once ends nothing else', async () => {
  const relay = await databaseRelay(await postgres().createDatabase())
  const remote = await Postgres.of(relay.url)
  onTestFinished(async () => await remote.close())
  relay.endAtLogin = true
  await expect(remote.query('SELECT 1')).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
  expect(relay.cuts).toBeGreaterThan(0)
  relay.endAtLogin = false
  expect(await remote.query('SELECT 1 AS one')).toEqual([{ one: 1 }])
})

test('a server that ends leaves no connection to a database that hangs', async () => {
  const relay = await databaseRelay(await postgres().createDatabase())
  const node = await storeNode({ url: relay.url })
  await until(() => relay.open >= 2) // one listens
  relay.isHeld = true
  void node.store.reservations.reserve(named('web')).catch(() => {})
  node.own[Symbol.dispose]()
  expect(await until(() => relay.open === 0)).toBe(true)
})

describe('when the connection is lost between the commit and its answer', () => {
  test('an event of the audit log is stored once', async () => {
    const relay = await databaseRelay(await postgres().createDatabase())
    const node = await storeNode({ url: relay.url })
    for (const count of [1, 2, 3]) node.store.audit.write('name.taken', { count })
    relay.cutAtCommit = true
    // The server flushes once a second as well: one of the two is cut.
    await node.store.audit.flush().catch(() => {})
    await until(() => relay.cuts === 1)
    node.store.audit.write('name.taken', { count: 4 })
    await until(async () => {
      await node.store.audit.flush().catch(() => {})
      return (await node.store.audit.read()).length >= 4
    })
    expect((await node.store.audit.read()).map(({ fields }) => fields['count'])).toEqual([
      1, 2, 3, 4,
    ])
  })

  test('a name is not acknowledged, and the same identity has it when it asks again', async () => {
    const relay = await databaseRelay(await postgres().createDatabase())
    const node = await storeNode({ url: relay.url })
    relay.cutAtCommit = true
    await expect(node.store.reservations.reserve(named('web'))).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
    })
    expect(await node.store.reservations.reserve(named('web'))).toMatchObject({
      ok: true,
      isNew: false,
    })
  })
})

test(
  `${KILLS} kills of the database while two servers reserve names lose none that was acknowledged`,
  { timeout: TIMEOUT_MS },
  async () => {
    const url = await postgres().createDatabase()
    const nodes = await Promise.all([storeNode({ url }), storeNode({ url })])
    const acknowledged: string[] = []
    const bothWays = new Set<string>()
    for (let round = 0; round < KILLS; round++) {
      // It goes on meanwhile: what the kill hits is any step of a change.
      const enough = acknowledged.length + randomInt(1, 20)
      let isKilled = false
      const reserve = async ({ store }: StoreNode, node: number): Promise<void> => {
        for (let count = 0; !isKilled; count++) {
          const endpoint = `r${round}-n${node}-${count}`
          try {
            const outcome = await store.reservations.reserve(named(endpoint))
            if (outcome.ok) acknowledged.push(endpoint)
            bothWays.add('ok')
          } catch {
            bothWays.add('failed')
            await until(async () => isKilled || (await store.tokens.refresh?.()))
          }
        }
      }
      const running = nodes.map(async (node, index) => await reserve(node, index))
      await until(() => acknowledged.length >= enough, { timeoutMs: 60_000 })
      await postgres().kill()
      isKilled = true
      await Promise.all(running)
      await postgres().run()
    }
    const rows = await postgres().query(url, 'SELECT endpoint FROM adit_names')
    const kept = new Set(rows.map(({ endpoint }) => endpoint))
    expect(acknowledged.filter((name) => !kept.has(name))).toEqual([])
    expect([...bothWays].toSorted()).toEqual(['failed', 'ok'])
    // Both servers have the same as the database, without a restart.
    for (const { store } of nodes) {
      await until(() => store.reservations.list().length === kept.size, { timeoutMs: 60_000 })
      expect(new Set(store.reservations.list().map(({ endpoint }) => endpoint))).toEqual(kept)
    }
  },
)
