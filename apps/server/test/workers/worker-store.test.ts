// The store of a worker does what every store does, on a file that another process writes.
import { dirname } from 'node:path'

import { channelPair } from '@proj/testkit/channel-pair'
import { until } from '@proj/testkit/until'
import { describe, expect, onTestFinished, test } from 'vitest'

import { type AuditLimits, MirroredAuditLog } from '../../src/store/audit-log.ts'
import type { DomainLimits } from '../../src/store/domain-store.ts'
import { memoryStore, type Store } from '../../src/store/store.ts'
import type { ReservationLimits } from '../../src/store/reservation-store.ts'
import { SqliteAuditLog } from '../../src/store/sqlite-audit-log.ts'
import { SqliteDomainStore } from '../../src/store/sqlite-domain-store.ts'
import { SqliteReservationStore } from '../../src/store/sqlite-reservation-store.ts'
import { SqliteTokenStore } from '../../src/store/sqlite-token-store.ts'
import { SqliteServedEndpoints } from '../../src/store/served-endpoints.ts'
import { ParentCalls } from '../../src/workers/parent-calls.ts'
import { StoreHost } from '../../src/workers/store-host.ts'
import { WorkerStore } from '../../src/workers/worker-store.ts'
import { auditSuite } from '../store/audit-suite.ts'
import { domainSuite } from '../store/domain-suite.ts'
import { freshDatabase, silent } from '../store/fixtures.ts'
import { reservationSuite, WEB } from '../store/reservation-suite.ts'
import { TOKEN, tokenSuite } from '../store/token-suite.ts'

interface Limits {
  readonly maxTokens?: number
  readonly names?: ReservationLimits | undefined
  readonly domains?: DomainLimits | undefined
  readonly audit?: AuditLimits | undefined
}

/** A store of a parent, and workers of it. */
function makeParent({ maxTokens, names, domains, audit }: Limits = {}) {
  const database = freshDatabase()
  const tokens = new SqliteTokenStore(database, maxTokens === undefined ? {} : { maxTokens })
  onTestFinished(() => tokens.close())
  const log = new SqliteAuditLog(database, audit)
  const served = new SqliteServedEndpoints(database)
  const store: Store = {
    ...memoryStore(silent),
    tokens,
    reservations: new SqliteReservationStore(database, names),
    domains: new SqliteDomainStore(database, domains),
    audit: new MirroredAuditLog(log, silent),
    served,
    settle: async () => {
      log.flushNow()
      tokens.flush()
      served.flush()
    },
  }
  const host = new StoreHost(store)
  const worker = () => {
    const [child, parent] = channelPair()
    const lent = new ParentCalls(
      parent,
      host.answers(() => lent),
    )
    host.follow(lent, lent.closed)
    const answers: Record<string, (args: never) => unknown> = {}
    const calls = new ParentCalls(child, answers)
    const directory = dirname(database.file)
    const own = new WorkerStore({ directory, before: host.before, parent: calls })
    Object.assign(answers, own.answers)
    onTestFinished(() => own.close())
    return { store: own, child }
  }
  return { database, store, host, worker }
}

describe('tokens at a worker', () => {
  tokenSuite(async (options) => {
    const { store } = makeParent(options).worker()
    return { store: store.tokens, flush: async () => await store.settle() }
  })
})
describe('reservations at a worker', () => {
  reservationSuite(async (names) => makeParent({ names }).worker().store.reservations)
})
describe('domains at a worker', () => {
  domainSuite(async (domains) => makeParent({ domains }).worker().store.domains)
})
describe('the audit log at a worker', () => {
  auditSuite(async (audit) => makeParent({ audit }).worker().store.audit)
})

test('what one worker changes another one sees, and is told of', async () => {
  const { worker } = makeParent()
  const [one, other] = [worker().store, worker().store]
  const told: string[] = []
  other.tokens.onChange(() => told.push('tokens'))
  other.domains.onChange = () => told.push('domains')
  other.audit.onWrite = (event) => told.push(event)
  await one.tokens.create(TOKEN)
  await one.reservations.reserve(WEB)
  await one.domains.remove('none')
  one.audit.write('name.reserved', { endpoint: 'web' })
  await until(() => told.length === 2)
  expect(told).toEqual(['tokens', 'name.reserved'])
  expect(other.tokens.find(TOKEN.id)?.hash).toBe(TOKEN.hash)
  expect(other.reservations.find({ tenant: '', name: 'web' })).toEqual(WEB)
})

test('a change is judged again when another worker was first', async () => {
  const { store, worker } = makeParent()
  const own = worker().store
  await own.tokens.create(TOKEN)
  const seen: string[] = []
  const outcome = await own.tokens.rescope(TOKEN.id, (token) => {
    seen.push(token.name)
    // It is read here, and is another one before the parent has the call.
    const rename = (one: typeof token) => ({ ...one, name: 'second' })
    if (seen.length === 1) void store.tokens.rescope(TOKEN.id, rename)
    return { ...token, rights: ['listen'] }
  })
  expect(seen).toEqual([TOKEN.name, 'second'])
  expect(outcome).toMatchObject({ ok: true, token: { name: 'second', rights: ['listen'] } })
})

test('an error of the store has its code at the worker too', async () => {
  const { database, worker } = makeParent()
  const own = worker().store
  database.isHandedOver = true
  await expect(own.reservations.reserve(WEB)).rejects.toMatchObject({ code: 'STORE_HANDED_OVER' })
})

test('an endpoint is served while a worker has it, and expected when that has died', async () => {
  const { store, host, worker } = makeParent()
  const written: string[] = []
  const set = store.served.set.bind(store.served)
  store.served.set = (endpoint, isServed) => {
    written.push(`${endpoint.name} ${isServed}`)
    set(endpoint, isServed)
  }
  const [one, other] = [worker(), worker()]
  const web = { tenant: '', name: 'web' }
  const list = (): readonly string[] => host.before.map(({ name }) => name)
  for (const { store: own } of [one, other]) {
    own.served.set(web, true)
    await own.settle()
  }
  expect(list()).toEqual(['web'])
  one.child.disconnect()
  const gone = { tenant: '', name: 'gone' }
  other.store.served.set(gone, true)
  other.store.served.set(gone, false)
  await other.store.settle()
  expect(list()).toEqual(['web'])
  expect(written).not.toContain('web false')
  other.child.disconnect()
  await until(() => written.includes('web false'))
  expect(list()).toEqual(['web']) // its agents are about to come to another worker
  const last = worker()
  last.store.served.set(web, false)
  await last.store.settle()
  expect(list()).toEqual([]) // they were given up
  last.store.served.set(web, true)
  await last.store.settle()
  written.length = 0
  host.end() // the program stops: the next one waits for what was served
  last.child.disconnect()
  await expect(last.store.tokens.create(TOKEN)).rejects.toMatchObject({ code: 'STORE_CLOSED' })
  expect([list(), written]).toEqual([['web'], []])
})
