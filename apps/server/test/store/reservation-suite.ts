// What every store of reserved names does, whatever keeps them.
import { expect, test } from 'vitest'

import type {
  Reservation,
  ReservationLimits,
  ReservationStore,
} from '../../src/store/reservation-store.ts'

export const WEB: Reservation = {
  tenant: '',
  endpoint: 'web',
  identity: 'token:aaaaaaaa',
  kind: 'http',
  port: undefined,
  reservedAt: 1_700_000_000_000,
}

/** @param make - makes an empty store for the running test. */
export function reservationSuite(
  make: (limits?: ReservationLimits) => Promise<ReservationStore>,
): void {
  const named = (endpoint: string, more: Partial<Reservation> = {}) => ({
    ...WEB,
    endpoint,
    ...more,
  })

  test('are found as they were made', async () => {
    const store = await make()
    expect(store.find({ tenant: '', name: 'web' })).toBe(undefined)
    expect(await store.reserve(WEB)).toEqual({ ok: true, isNew: true, reservation: WEB })
    expect(store.find({ tenant: '', name: 'web' })).toEqual(WEB)
    const db = named('db', { kind: 'tcp', port: 9901 })
    await store.reserve(db)
    expect(store.find({ tenant: '', name: 'db' })).toEqual(db)
  })

  test('are changed and released only as their caller has seen them', async () => {
    const store = await make()
    const seen: (Reservation | undefined)[] = []
    const differs = (held: Reservation | undefined): boolean => {
      seen.push(held)
      return false
    }
    const isSame = (held: Reservation | undefined): boolean => !differs(held)
    const refused = { ok: false, code: 'not-as-seen' }
    const tcp = { ...WEB, kind: 'tcp' } as const
    const name = { tenant: '', name: 'web' }
    expect(await store.reserve(WEB, differs)).toEqual(refused)
    expect(store.find(name)).toBe(undefined)
    await store.reserve(WEB)
    expect(await store.reserve(tcp, differs)).toEqual(refused)
    expect(await store.release(name, undefined, differs)).toBe(undefined)
    expect(store.find(name)).toEqual(WEB)
    expect(await store.reserve(tcp, isSame)).toMatchObject({ ok: true, reservation: tcp })
    expect(await store.release(name, WEB.identity, isSame)).toEqual(tcp)
    expect(store.find(name)).toBe(undefined)
    expect(seen).toEqual([undefined, WEB, WEB, WEB, tcp])
  })

  test('keep the time of the first reservation', async () => {
    const store = await make()
    await store.reserve(WEB)
    const again = { ...WEB, kind: 'tcp', reservedAt: WEB.reservedAt + 1 } as const
    const held = { ...again, reservedAt: WEB.reservedAt }
    expect(await store.reserve(again)).toEqual({ ok: true, isNew: false, reservation: held })
    expect(store.find({ tenant: '', name: 'web' })).toEqual(held)
  })

  test('are refused to every other identity', async () => {
    const store = await make()
    await store.reserve(WEB)
    expect(await store.reserve({ ...WEB, identity: 'token:bbbbbbbb' })).toEqual({
      ok: false,
      code: 'name-taken',
      reservation: WEB,
    })
    expect(store.find({ tenant: '', name: 'web' })?.identity).toBe(WEB.identity)
  })

  test('of two tenants never meet', async () => {
    const store = await make()
    await store.reserve(WEB)
    const other = { ...WEB, tenant: 'acme', identity: 'token:bbbbbbbb' }
    expect(await store.reserve(other)).toMatchObject({ ok: true, isNew: true })
    expect(store.find({ tenant: '', name: 'web' })).toEqual(WEB)
    expect(store.find({ tenant: 'acme', name: 'web' })).toEqual(other)
    expect(store.list({ tenant: 'acme' })).toEqual([other])
    await store.release({ tenant: 'acme', name: 'web' })
    expect(store.find({ tenant: '', name: 'web' })).toEqual(WEB)
  })

  test('are listed by tenant and name, all or those of one', async () => {
    const store = await make()
    const all = [
      named('a', { identity: 'token:bbbbbbbb' }),
      named('b'),
      named('a', { tenant: 'acme' }),
    ]
    for (const one of all.toReversed()) await store.reserve(one)
    expect(store.list()).toEqual(all)
    expect(store.list({ tenant: '' })).toEqual(all.slice(0, 2))
    expect(store.list({ tenant: '', identity: 'token:bbbbbbbb' })).toEqual(all.slice(0, 1))
    expect(store.list({ identity: WEB.identity })).toEqual(all.slice(1))
  })

  test('are released by their identity, and by an operator', async () => {
    const store = await make()
    await store.reserve(WEB)
    expect(await store.release({ tenant: '', name: 'web' }, 'token:bbbbbbbb')).toBe(undefined)
    expect(store.find({ tenant: '', name: 'web' })).toEqual(WEB)
    expect(await store.release({ tenant: '', name: 'web' }, WEB.identity)).toEqual(WEB)
    expect(store.find({ tenant: '', name: 'web' })).toBe(undefined)
    expect(await store.release({ tenant: '', name: 'web' })).toBe(undefined)
    await store.reserve(WEB)
    expect(await store.release({ tenant: '', name: 'web' })).toEqual(WEB)
  })

  test('of one identity are as many as it may have, and not one more', async () => {
    const store = await make({ maxPerIdentity: 2 })
    expect(await store.reserve(named('a'))).toMatchObject({ ok: true })
    expect(await store.reserve(named('b'))).toMatchObject({ ok: true })
    expect(await store.reserve(named('c'))).toEqual({
      ok: false,
      code: 'limit-reached',
      limit: 2,
      of: 'identity',
    })
    // What it has it may ask for again, what it gives up makes room, and others have their own room.
    expect(await store.reserve(named('b'))).toMatchObject({ ok: true, isNew: false })
    expect(await store.reserve(named('c', { identity: 'x' }))).toMatchObject({ ok: true })
    expect(await store.reserve(named('c', { tenant: 'acme' }))).toMatchObject({ ok: true })
    await store.release({ tenant: '', name: 'a' })
    expect(await store.reserve(named('d'))).toMatchObject({ ok: true })
  })

  test('are as many as the server may hold, and not one more', async () => {
    const store = await make({ maxTotal: 2 })
    expect(await store.reserve(named('a'))).toMatchObject({ ok: true })
    expect(await store.reserve(named('b', { identity: 'x' }))).toMatchObject({ ok: true })
    const third = await store.reserve(named('c', { identity: 'y' }))
    expect(third).toEqual({ ok: false, code: 'limit-reached', limit: 2, of: 'server' })
  })

  test('of one tenant are as many as it may have, and leave room for others', async () => {
    const store = await make({ maxPerTenant: 1 })
    const acme = { tenant: 'acme' }
    expect(await store.reserve(named('a', acme))).toMatchObject({ ok: true })
    const more = await store.reserve(named('b', { ...acme, identity: 'another' }))
    expect(more).toEqual({ ok: false, code: 'limit-reached', limit: 1, of: 'tenant' })
    expect(await store.reserve(named('b', { tenant: 'other' }))).toMatchObject({ ok: true })
    // Identities without a tenant are those of the whole server.
    expect(await store.reserve(named('a'))).toMatchObject({ ok: true })
    expect(await store.reserve(named('b'))).toMatchObject({ ok: true })
  })

  test('hold any name that can be registered', async () => {
    const store = await make()
    for (const endpoint of ["o'neil", 'ünï', '%', '_', '日本', 'a"b', 'toString']) {
      expect(await store.reserve(named(endpoint))).toMatchObject({ ok: true, isNew: true })
      expect(store.find({ tenant: '', name: endpoint })?.endpoint).toBe(endpoint)
    }
  })

  test('have a port that no other has', async () => {
    const store = await make()
    expect(store.findByPort(9901)).toBe(undefined)
    await store.reserve(named('db', { kind: 'tcp', port: 9901 }))
    await store.reserve(named('ssh', { kind: 'tcp', port: 9902 }))
    expect(store.findByPort(9901)?.endpoint).toBe('db')
    const taken = await store.reserve(named('ssh', { kind: 'tcp', port: 9901 }))
    expect(taken).toMatchObject({ ok: true, reservation: { port: 9902 } })
    const none = await store.reserve(named('new', { kind: 'tcp', port: 9901 }))
    expect(none).toMatchObject({ ok: true, isNew: true, reservation: { port: undefined } })
    expect(store.find({ tenant: '', name: 'ssh' })?.port).toBe(9902)
    await store.release({ tenant: '', name: 'db' })
    await store.reserve(named('ssh', { kind: 'tcp', port: 9901 }))
    expect(store.findByPort(9901)?.endpoint).toBe('ssh')
    expect(store.findByPort(9902)).toBe(undefined)
  })
}
