// What every store of domains does, whatever keeps them.
import { expect, test } from 'vitest'

import type { DomainClaim, DomainLimits, DomainStore } from '../../src/store/domain-store.ts'

export const SHOP: DomainClaim = {
  value: 'a'.repeat(32),
  domain: 'shop.example.net',
  tenant: '',
  endpoint: 'shop',
  identity: 'token:aaaaaaaa',
  askedAt: 1_700_000_000_000,
  checkedAt: undefined,
  provedAt: undefined,
  lostAt: undefined,
  challenge: 'txt',
}

const OTHER: DomainClaim = { ...SHOP, value: 'b'.repeat(32), identity: 'token:bbbbbbbb' }

/** What a check notes that finds the proof at `at`. */
const proved = (at: number) => ({
  askedAt: SHOP.askedAt,
  checkedAt: at,
  provedAt: at,
  lostAt: undefined,
})

/** @param make - makes an empty store for the running test. */
export function domainSuite(make: (limits?: DomainLimits) => Promise<DomainStore>): void {
  test('are found as they were asked for, and listed', async () => {
    const store = await make()
    expect(store.find(SHOP)).toBe(undefined)
    expect(await store.ask(SHOP)).toEqual({ ok: true, isNew: true, claim: SHOP })
    expect(store.find(SHOP)).toEqual(SHOP)
    const wide = { ...OTHER, domain: '*.example.net', tenant: 'acme' }
    await store.ask(wide)
    expect(store.list()).toEqual([wide, SHOP])
    expect(store.list({ tenant: 'acme' })).toEqual([wide])
    expect(store.list({ tenant: '', identity: SHOP.identity })).toEqual([SHOP])
    expect(store.list({ identity: 'token:cccccccc' })).toEqual([])
  })

  test('keep their value when they are asked for again, for another endpoint', async () => {
    const store = await make()
    await store.ask(SHOP)
    const again = { ...SHOP, value: 'c'.repeat(32), endpoint: 'web', askedAt: SHOP.askedAt + 1 }
    const claim = { ...SHOP, endpoint: 'web' }
    expect(await store.ask(again)).toEqual({ ok: true, isNew: false, claim })
    expect(store.list()).toEqual([claim])
  })

  test('may be proved another way when they are asked for again, until they are proved', async () => {
    const store = await make()
    await store.ask(SHOP)
    const again = { ...SHOP, challenge: 'http' as const }
    expect(await store.ask(again)).toEqual({ ok: true, isNew: false, claim: again })
    // A check of the former way says nothing about this one.
    expect(await store.note(SHOP, proved(5))).toBe(undefined)
    const held = await store.note(again, proved(5))
    expect(held).toEqual({ ...again, ...proved(5) })
    expect(await store.ask(SHOP)).toEqual({ ok: true, isNew: false, claim: held })
    expect(store.list()).toEqual([held])
  })

  test('belong to the first identity that proves them, however many ask', async () => {
    const store = await make()
    await store.ask(SHOP)
    expect(await store.ask(OTHER)).toMatchObject({ ok: true, isNew: true })
    expect(store.holder(SHOP.domain)).toBe(undefined)
    const held = { ...OTHER, ...proved(5) }
    expect(await store.note(OTHER, proved(5))).toEqual(held)
    expect(store.holder(SHOP.domain)).toEqual(held)
    expect(await store.note(SHOP, proved(6))).toBe(undefined)
    expect(store.find(SHOP)).toEqual(SHOP)
    expect(await store.ask(SHOP)).toEqual({ ok: false, code: 'domain-taken', claim: held })
    const third = { ...SHOP, value: 'c'.repeat(32), identity: 'token:cccccccc' }
    expect(await store.ask(third)).toMatchObject({ ok: false, code: 'domain-taken' })
    // Its own it may ask for again.
    expect(await store.ask(OTHER)).toEqual({ ok: true, isNew: false, claim: held })
  })

  test('are free for others when they are taken away or removed', async () => {
    const store = await make()
    for (const one of [SHOP, OTHER]) await store.ask(one)
    const held = await store.note(SHOP, proved(5))
    expect(held).toMatchObject({ provedAt: 5 })
    const off = { askedAt: 9, checkedAt: 9, provedAt: undefined, lostAt: undefined }
    expect(await store.note(held ?? SHOP, off)).toEqual({ ...SHOP, ...off })
    expect(await store.note(OTHER, proved(10))).toMatchObject({ provedAt: 10 })
    expect(await store.remove(OTHER.value)).toMatchObject({ provedAt: 10 })
    expect(await store.remove(OTHER.value)).toBe(undefined)
    expect(store.holder(SHOP.domain)).toBe(undefined)
    expect(await store.note({ ...SHOP, ...off }, proved(11))).toMatchObject({ provedAt: 11 })
  })

  test('are not changed by a check of an earlier state, nor of a claim that was removed', async () => {
    const store = await make()
    await store.ask(SHOP)
    const held = await store.note(SHOP, proved(5))
    expect(await store.note(SHOP, { ...proved(6), provedAt: undefined })).toBe(undefined)
    expect(store.find(SHOP)).toEqual(held)
    const lost = await store.note(held ?? SHOP, { ...proved(5), checkedAt: 7, lostAt: 7 })
    expect(lost).toEqual({ ...SHOP, checkedAt: 7, provedAt: 5, lostAt: 7 })
    expect(await store.note(held ?? SHOP, proved(8))).toBe(undefined)
    expect(await store.remove(SHOP.value, () => false)).toBe(undefined)
    expect(store.find(SHOP)).toEqual(lost)
    const seen: unknown[] = []
    const isAsSeen = (found: unknown): boolean => seen.push(found) > 0
    expect(await store.remove(SHOP.value, isAsSeen)).toEqual(lost)
    expect(await store.remove(SHOP.value, isAsSeen)).toBe(undefined)
    expect(seen).toEqual([lost, undefined])
    expect(await store.ask(SHOP, () => false)).toEqual({ ok: false, code: 'not-as-seen' })
    expect(store.find(SHOP)).toBe(undefined)
    await store.ask(SHOP)
    await store.remove(SHOP.value)
    expect(await store.note(lost ?? SHOP, proved(9))).toBe(undefined)
    expect(store.list()).toEqual([])
  })

  test('are as many as an identity and the server may have, and not one more', async () => {
    const store = await make({ maxPerIdentity: 1, maxTotal: 2 })
    const named = (domain: string, identity: string) => ({
      ...SHOP,
      value: domain,
      domain,
      identity,
    })
    expect(await store.ask(named('a.example.net', 'x'))).toMatchObject({ ok: true })
    const more = await store.ask(named('b.example.net', 'x'))
    expect(more).toEqual({ ok: false, code: 'limit-reached', limit: 1, of: 'identity' })
    expect(await store.ask(named('a.example.net', 'x'))).toMatchObject({ isNew: false })
    expect(await store.ask(named('b.example.net', 'y'))).toMatchObject({ ok: true })
    const third = await store.ask(named('c.example.net', 'z'))
    expect(third).toEqual({ ok: false, code: 'limit-reached', limit: 2, of: 'server' })
    await store.remove('b.example.net')
    expect(await store.ask(named('c.example.net', 'z'))).toMatchObject({ ok: true })
    const none = await make({ maxPerIdentity: 0 })
    expect(await none.ask(SHOP)).toMatchObject({ ok: false, code: 'limit-reached', limit: 0 })
  })

  test('of one tenant are as many as it may have, and leave room for others', async () => {
    const store = await make({ maxPerTenant: 1 })
    const of = (tenant: string, domain: string) => ({ ...SHOP, value: domain, domain, tenant })
    expect(await store.ask(of('acme', 'a.example.net'))).toMatchObject({ ok: true })
    const more = await store.ask({ ...of('acme', 'b.example.net'), identity: 'another' })
    expect(more).toEqual({ ok: false, code: 'limit-reached', limit: 1, of: 'tenant' })
    expect(await store.ask(of('other', 'b.example.net'))).toMatchObject({ ok: true })
    // Identities without a tenant are those of the whole server.
    expect(await store.ask(of('', 'c.example.net'))).toMatchObject({ ok: true })
    expect(await store.ask(of('', 'd.example.net'))).toMatchObject({ ok: true })
  })

  test('say when they have changed', async () => {
    const store = await make()
    let changes = 0
    store.onChange = () => (changes += 1)
    const after = async (work: () => Promise<unknown>): Promise<boolean> => {
      const before = changes
      await work()
      return changes > before
    }
    expect(await after(() => store.ask(SHOP))).toBe(true)
    expect(await after(() => store.note(SHOP, proved(5)))).toBe(true)
    expect(await after(() => store.note(SHOP, proved(6)))).toBe(false)
    expect(await after(() => store.ask(OTHER))).toBe(false) // taken
    expect(await after(() => store.remove(SHOP.value))).toBe(true)
    expect(await after(() => store.remove(SHOP.value))).toBe(false)
  })
}
