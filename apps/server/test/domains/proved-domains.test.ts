// Domains that their owners prove: a real server, a real agent, a DNS server on loopback and a clock of the test.
import { createServer } from 'node:http'
import { exchangeRaw } from '@proj/testkit/raw-http'
import { listening } from '@proj/testkit/listening'
import { RecordingLogger } from '@proj/testkit/recording-logger'
import { until } from '@proj/testkit/until'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { Agent, askForDomain, forward, ownDomains, removeDomain, reserveName } from '@proj/tunnel'
import type { Authorize } from '@proj/tunnel/server'
import { expect, onTestFinished, test } from 'vitest'

import { CheckBudget } from '../../src/domains/check-budget.ts'
import { ProvedDomains } from '../../src/domains/proved-domains.ts'
import { httpProof } from '../../src/domains/http-proof.ts'
import { type ProofCheck, txtProof } from '../../src/domains/txt-proof.ts'
import { type DomainTable, PROOF_PATH } from '../../src/proxy/domains.ts'
import { Server } from '../../src/server.ts'
import { memoryStore, openStore } from '../../src/store/store.ts'
import { dnsResponder } from './dns-responder.ts'

const HOUR = 3_600_000
const DAY = 24 * HOUR
const SHOP = 'shop.example.net'

const unknown: ProofCheck = async () => 'unknown'

/** Everyone is who the token says; `guest` may serve nothing. */
const byToken: Authorize = ({ headers }) => {
  const identity = headers.authorization?.replace('Bearer ', '') ?? 'anonymous'
  return { identity, tenant: '', permits: () => identity !== 'guest' }
}

async function running({
  http = unknown,
  baseDomain = ['tunnel.example.org'],
  ...limits
}: {
  readonly maxPerIdentity?: number
  readonly http?: ProofCheck
  readonly baseDomain?: readonly string[]
} = {}) {
  const directory = temporaryDirectory()
  onTestFinished(() => directory[Symbol.dispose]())
  const logger = new RecordingLogger()
  const store = openStore(directory.path, { uid: process.geteuid?.(), logger, domains: limits })
  const dns = await dnsResponder()
  const anywhere = { at: '127.0.0.1:0' }
  const server = await Server.start({
    proxy: anywhere,
    upstream: anywhere,
    admin: anywhere,
    edge: {
      baseDomain,
      domains: [{ domain: '*.given.example', endpoint: { tenant: '', name: 'given' } }],
    },
    authorize: byToken,
    domainProof: { checks: { txt: txtProof([dns.address]), http } },
    waits: { absentWaitMs: 0, startWaitMs: 0 },
    software: 'adit-server/test',
    store,
    logger,
  })
  onTestFinished(() => {
    server.destroy()
    store.close()
  })
  const url = `http://127.0.0.1:${server.listeners.upstream.bound[0]?.port}`
  const as = (token: string) => ({ url, token })
  const visit = async (host: string): Promise<number> => {
    const port = server.listeners.proxy.bound[0]?.port ?? 0
    const head = `GET / HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`
    return (await exchangeRaw(port, head)).status
  }
  return { server, store, dns, as, visit }
}

test('a domain leads to its endpoint once its owner has proved it, and not when it is given up', async () => {
  const { as, dns, visit, store } = await running()
  const service = await listening(createServer((_request, response) => response.end('shop')))
  onTestFinished(async () => await service.close())
  const agent = new Agent(as('alice'))
  onTestFinished(() => agent.destroy())
  const { host, port } = service
  const listener = forward(agent, 'shop', { kind: 'http', service: { host, port } })
  await listener.ready()

  const asked = await askForDomain(as('alice'), 'Shop.Example.net.', 'shop')
  expect(asked).toMatchObject({ domain: SHOP, endpoint: 'shop', state: 'pending' })
  const { name: record, value } = asked.record ?? { name: '', value: '' }
  expect(record).toBe(`_adit-challenge.${SHOP}`)
  expect(dns.asked).toEqual([record])
  expect(await visit(SHOP)).not.toBe(200)

  // The value of another identity proves nothing.
  const other = await askForDomain(as('bob'), SHOP, 'bobs')
  expect(other.record?.value).not.toBe(value)
  dns.records.set(record, ['v=spf1 -all', value])
  expect(await askForDomain(as('bob'), SHOP, 'bobs')).toMatchObject({ state: 'pending' })
  expect(await askForDomain(as('alice'), SHOP, 'shop')).toMatchObject({ state: 'proved' })
  expect(await visit(SHOP)).toBe(200)

  const refused = { code: 'TUNNEL_RESERVATION_REFUSED' }
  await expect(askForDomain(as('bob'), SHOP, 'bobs')).rejects.toMatchObject(refused)
  await expect(askForDomain(as('carol'), SHOP, 'carols')).rejects.toThrow(
    `${SHOP} is proved by another identity`,
  )
  await expect(removeDomain(as('carol'), SHOP)).rejects.toThrow('was not asked for')
  expect(await visit(SHOP)).toBe(200)
  expect(await ownDomains(as('alice'))).toMatchObject([{ domain: SHOP, state: 'proved' }])

  await removeDomain(as('alice'), SHOP)
  expect(await ownDomains(as('alice'))).toEqual([])
  expect(await visit(SHOP)).not.toBe(200)
  await store.audit.flush()
  const events = (await store.audit.read()).map(({ event }) => event)
  expect(events.filter((event) => event.startsWith('domain.'))).toEqual([
    'domain.asked',
    'domain.asked',
    'domain.proved',
    'domain.refused',
    'domain.refused',
    'domain.removed',
  ])
})

test('a file of its web server proves a domain, and not what an endpoint of the server answers', async () => {
  const dns = await dnsResponder()
  dns.addresses.set(SHOP, ['127.0.0.1'])
  let port = 0 // where the domain points to
  const http: ProofCheck = async (...about) => {
    const ports = { http: port, https: 1 }
    return await httpProof({ servers: [dns.address], alsoFrom: ['127.0.0.1'], ports })(...about)
  }
  const { as, server, visit, store } = await running({ http, baseDomain: [] })
  const here = server.listeners.proxy.bound[0]?.port ?? 0
  let content = ''
  const answer = createServer((_request, response) => response.end(content))
  const service = await listening(answer)
  onTestFinished(async () => await service.close())
  const agent = new Agent(as('alice'))
  onTestFinished(() => agent.destroy())
  // Without a base domain the first label is the endpoint: it would answer.
  for (const name of ['shop', 'other']) {
    const { host } = service
    const listener = forward(agent, name, { kind: 'http', service: { host, port: service.port } })
    await listener.ready()
  }
  const ask = async (who = 'alice') =>
    await askForDomain(as(who), SHOP, who === 'alice' ? 'shop' : 'mine', { challenge: 'http' })
  await expect(
    askForDomain(as('alice'), `*.${SHOP}`, 'shop', { challenge: 'http' }),
  ).rejects.toThrow('proves no wildcard')

  port = here
  const asked = await ask()
  const url = `http://${SHOP}${PROOF_PATH}`
  content = asked.file?.content ?? ''
  expect(asked).toMatchObject({
    state: 'pending',
    file: { url, content: expect.stringMatching(/^\w{40}$/) },
  })
  expect(await ask()).toMatchObject({ state: 'pending' })

  port = service.port
  expect((await ask('mallory')).state).toBe('pending')
  expect(await ask()).toMatchObject({ state: 'proved', challenge: 'http' })
  await expect(ask('mallory')).rejects.toThrow('proved by another identity')
  expect(await visit(SHOP)).toBe(200)
  await expect(askForDomain(as('alice'), SHOP, 'shop', { challenge: 'txt' })).rejects.toThrow(
    'remove it to prove it by txt',
  )
  // It is asked for as it was.
  expect(await askForDomain(as('alice'), SHOP, 'other')).toMatchObject({ challenge: 'http' })

  // When the domain points here, the server answers for it, whatever the endpoint says.
  const fetched = async (host: string) => {
    const head = `GET ${PROOF_PATH} HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`
    const { status, body } = await exchangeRaw(here, head)
    return `${status} ${String(body).trim()}`
  }
  const value = content
  content = 'another'
  expect(await fetched(SHOP)).toBe(`200 ${value}`)
  expect(await fetched(`a.${SHOP}`)).toMatch(/^404 .*not proved by HTTP/)
  await removeDomain(as('alice'), SHOP)
  expect(await fetched(SHOP)).toMatch(/^404 /)
  expect(store.domains.list().map(({ identity }) => identity)).toEqual(['mallory'])
})

test('domains of the server, of its operator and endpoints of others are refused', async () => {
  const { as } = await running({ maxPerIdentity: 1 })
  const cases = [
    ['com', /top-level domain/],
    ['*.com', /top-level domain/],
    ['tunnel.example.org', /own names/],
    ['web.tunnel.example.org', /own names/],
    ['*.example.org', /own names/],
    ['a.given.example', /operator/],
    ['*.b.given.example', /operator/],
    ['github.io', /public suffix/],
    [`${'a.'.repeat(120)}net`, /longer than/],
    ['192.0.2.1', /not a domain/],
    ['a b.example.net', /not a domain/],
  ] as const
  for (const [domain, why] of cases) {
    await expect(askForDomain(as('alice'), domain, 'shop')).rejects.toThrow(why)
  }
  await expect(askForDomain(as('guest'), SHOP, 'shop')).rejects.toThrow('endpoint not permitted')
  await reserveName(as('bob'), 'bobs')
  await expect(askForDomain(as('alice'), SHOP, 'bobs')).rejects.toMatchObject({
    code: 'TUNNEL_NAME_TAKEN',
  })
  await askForDomain(as('alice'), 'given.example', 'shop')
  await expect(askForDomain(as('alice'), SHOP, 'shop')).rejects.toThrow('no more than 1 domains')
})

/** Domains with a clock of the test. */
async function clocked(graceMs = 3 * DAY) {
  const dns = await dnsResponder()
  const logger = new RecordingLogger()
  const store = memoryStore(logger)
  const clock = { now: Date.UTC(2026, 0, 1) }
  let table: DomainTable | undefined
  const proof = txtProof([dns.address])
  let slow: Promise<void> | undefined
  const domains = new ProvedDomains([], {
    store,
    ownDomains: [],
    onRules: (next) => (table = next),
    checks: {
      txt: async (...about) => {
        const wait = slow
        slow = undefined
        const found = await proof(...about)
        await wait
        return found
      },
      http: unknown,
    },
    graceMs,
    now: () => clock.now,
    logger,
  })
  onTestFinished(() => domains[Symbol.dispose]())
  const shop = { domain: SHOP, endpoint: { tenant: '', name: 'shop' }, identity: 'alice' }
  const ask = async () => await domains.ask(shop)
  const outcome = await ask()
  if (!outcome.ok) throw new Error(outcome.code)
  const record = `_adit-challenge.${SHOP}`
  const prove = (): unknown => dns.records.set(record, [outcome.claim.value])
  const later = async (ms: number): Promise<void> => {
    clock.now += ms
    await domains.checkDue()
  }
  /** The answer to the next check is late. @returns lets it come. */
  const held = (): (() => void) => {
    let resolve = (): void => {}
    slow = new Promise<void>((done) => (resolve = done))
    return () => resolve()
  }
  const events = async () => (await store.audit.read()).map(({ event }) => event)
  return {
    dns,
    logger,
    store,
    prove,
    record,
    later,
    events,
    ask,
    held,
    leadsTo: () => table?.find(SHOP)?.name,
  }
}

test('a proof that is missing is looked for again, and the domain is off after the grace', async () => {
  const { dns, logger, prove, record, later, events, leadsTo } = await clocked()
  prove()
  await later(30_000)
  expect(leadsTo()).toBe('shop')
  const before = dns.asked.length
  await later(5 * HOUR)
  expect(dns.asked.length).toBe(before)
  await later(HOUR)
  expect(dns.asked.length).toBe(before + 1)

  // A DNS server that fails says nothing.
  dns.isBroken = true
  for (let day = 0; day < 5; day++) await later(DAY)
  expect(await events()).toEqual(['domain.proved'])
  dns.isBroken = false
  dns.records.clear()
  await later(DAY)
  expect(await events()).toEqual(['domain.proved', 'domain.missing'])
  expect(leadsTo()).toBe('shop')
  prove()
  await later(HOUR)
  dns.records.set(record, ['another value'])
  await later(DAY)
  await later(3 * DAY - 1)
  expect(leadsTo()).toBe('shop')
  await later(HOUR)
  expect(leadsTo()).toBe(undefined)
  expect(await events()).toEqual([
    'domain.proved',
    'domain.missing',
    'domain.missing',
    'domain.lost',
  ])
  const hint = expect.stringMatching(/^the TXT record _adit-challenge\.shop\.example\.net must be/)
  expect(logger.records.filter(({ level }) => level === 'warn')).toMatchObject([
    { fields: { domain: SHOP, hint } },
    { fields: { domain: SHOP, hint } },
    { fields: { domain: SHOP, hint } },
  ])
  // It can be proved again, by its owner or another identity.
  prove()
  await later(HOUR)
  expect(leadsTo()).toBe('shop')
})

test('a domain that is never proved is looked for less and less often, and forgotten', async () => {
  const { dns, store, later, events } = await clocked()
  for (let minute = 0; minute < 60; minute++) await later(60_000)
  expect(dns.asked.length).toBeLessThan(30)
  expect(store.domains.list()).toHaveLength(1)
  await later(8 * DAY)
  expect(store.domains.list()).toEqual([])
  expect(await events()).toEqual(['domain.removed'])
})

test('a domain is not forgotten when a request finds its proof during the last check', async () => {
  const { dns, store, later, prove, ask, events, leadsTo, held } = await clocked()
  const release = held()
  const before = dns.asked.length
  const check = later(8 * DAY)
  await until(() => dns.asked.length > before)
  prove()
  await ask()
  release()
  await check
  expect(leadsTo()).toBe('shop')
  expect(store.domains.list()).toMatchObject([{ domain: SHOP, lostAt: undefined }])
  expect(await events()).toEqual(['domain.proved'])
})

test('requests cause so many checks in a minute, and not one more', async () => {
  const { dns, ask } = await clocked()
  for (let count = 0; count < 20; count++) await ask()
  expect(dns.asked.length).toBe(10)
})

test('neither an identity nor its tenant takes all checks of a minute', () => {
  const budget = new CheckBudget({ perIdentity: 2, perTenant: 3, total: 5 })
  const take = (who: string, now = 5): boolean => {
    const [tenant = '', identity = ''] = who.split(' ')
    return budget.take({ tenant, identity }, now)
  }
  const taken = ['a 1', 'a 1', 'a 1', 'a 2', 'a 3', 'b 1', 'b 2', 'c 1'].map((who) => take(who))
  expect(taken).toEqual([true, true, false, true, false, true, true, false])
  expect(take('c 1', 60_005)).toBe(true)
})

test('a domain that a command removes leads nowhere at the next look', async () => {
  const directory = temporaryDirectory()
  onTestFinished(() => directory[Symbol.dispose]())
  const options = { uid: process.geteuid?.(), logger: new RecordingLogger() }
  const [store, ofCommand] = [
    openStore(directory.path, options),
    openStore(directory.path, options),
  ]
  onTestFinished(() => {
    store.close()
    ofCommand.close()
  })
  let table: DomainTable | undefined
  using domains = new ProvedDomains([], {
    store,
    ownDomains: [],
    onRules: (next) => {
      table = next
    },
    checks: { txt: async () => 'proved', http: unknown },
    logger: options.logger,
  })
  const endpoint = { tenant: '', name: 'shop' }
  await domains.ask({ domain: SHOP, endpoint, identity: 'alice' })
  expect(table?.find(SHOP)).toMatchObject({ name: 'shop' })
  const [claim] = ofCommand.domains.list()
  await ofCommand.domains.remove(claim?.value ?? '')
  await domains.checkDue()
  expect(table?.find(SHOP)).toBe(undefined)
})
