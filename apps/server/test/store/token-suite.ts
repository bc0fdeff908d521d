// What every store of tokens does, whatever keeps them.
import { expect, test } from 'vitest'

import type { TokenRecord, TokenStore } from '../../src/store/token-store.ts'

export const TOKEN: Omit<TokenRecord, 'revokedAt' | 'lastUsedAt'> = {
  id: 'k3v9m2ab',
  hash: 'ab'.repeat(32),
  identity: 'token:k3v9m2ab',
  name: "printer's agent",
  tenant: 'acme',
  rights: ['listen', 'connect'],
  endpoints: ['pc*', 'lab-?'],
  createdAt: 1_700_000_000_000,
  expiresAt: 1_800_000_000_000,
}

/** A store under test. */
export interface TokenSubject {
  readonly store: TokenStore
  /** Writes what may wait. */
  readonly flush: () => Promise<void>
}

/** @param make - makes an empty store for the running test. */
export function tokenSuite(
  make: (options?: { readonly maxTokens?: number }) => Promise<TokenSubject>,
): void {
  test('are found by their id as they were made', async () => {
    const { store } = await make()
    expect(store.find(TOKEN.id)).toBe(undefined)
    expect(await store.create(TOKEN)).toBe(undefined)
    const kept = { ...TOKEN, revokedAt: undefined, lastUsedAt: undefined }
    expect(store.find(TOKEN.id)).toEqual(kept)
    expect(store.list()).toEqual([kept])
  })

  test('may never expire', async () => {
    const { store } = await make()
    await store.create({ ...TOKEN, expiresAt: undefined })
    expect(store.find(TOKEN.id)?.expiresAt).toBe(undefined)
  })

  test('are listed in the order they were made', async () => {
    const { store } = await make()
    for (const id of ['bbbbbbbb', 'aaaaaaaa', 'cccccccc']) {
      await store.create({ ...TOKEN, id, createdAt: TOKEN.createdAt + store.list().length })
    }
    expect(store.list().map(({ id }) => id)).toEqual(['bbbbbbbb', 'aaaaaaaa', 'cccccccc'])
  })

  test('have an id of their own', async () => {
    const { store } = await make()
    await store.create(TOKEN)
    expect(await store.create({ ...TOKEN, hash: 'cd'.repeat(32) })).toBe('id-taken')
    expect(store.find(TOKEN.id)?.hash).toBe(TOKEN.hash)
  })

  test('are as many as there may be, and not one more', async () => {
    const { store } = await make({ maxTokens: 2 })
    expect(await store.create({ ...TOKEN, id: 'aaaaaaaa' })).toBe(undefined)
    expect(await store.create({ ...TOKEN, id: 'bbbbbbbb' })).toBe(undefined)
    expect(await store.create({ ...TOKEN, id: 'cccccccc' })).toBe('limit-reached')
    expect(store.list()).toHaveLength(2)
  })

  test('are revoked once, and stay so', async () => {
    const { store } = await make()
    await store.create(TOKEN)
    expect(await store.revoke('nosuchid', 1)).toEqual({ ok: false, code: 'unknown' })
    const token = { ...TOKEN, revokedAt: 1_750_000_000_000, lastUsedAt: undefined }
    expect(await store.revoke(TOKEN.id, 1_750_000_000_000)).toEqual({ ok: true, token })
    const again = await store.revoke(TOKEN.id, 1_760_000_000_000)
    expect(again).toEqual({ ok: false, code: 'revoked' })
    expect(store.find(TOKEN.id)).toEqual(token)
  })

  test('are revoked only as their caller has seen them', async () => {
    const { store } = await make()
    await store.create(TOKEN)
    let calls = 0
    store.onChange(() => (calls += 1))
    const notAsSeen = { ok: false, code: 'not-as-seen' }
    const isOther = (token: TokenRecord): boolean => token.name === 'other'
    expect(await store.revoke(TOKEN.id, 1, isOther)).toEqual(notAsSeen)
    expect(store.find(TOKEN.id)?.revokedAt).toBe(undefined)
    expect(calls).toBe(0)
    const isGood = (token: TokenRecord): boolean => token.revokedAt === undefined
    expect(await store.revoke(TOKEN.id, 1, isGood)).toMatchObject({ ok: true })
    expect(await store.revoke(TOKEN.id, 2, isGood)).toEqual(notAsSeen)
  })

  test('get another scope if they are as the caller has seen them', async () => {
    const { store } = await make()
    const scope = { name: 'lab', rights: ['admin'] as const, endpoints: ['x*'] }
    expect(await store.rescope(TOKEN.id, () => scope)).toEqual({ ok: false, code: 'unknown' })
    await store.create(TOKEN)
    let calls = 0
    store.onChange(() => (calls += 1))
    const notAsSeen = { ok: false, code: 'not-as-seen' }
    expect(await store.rescope(TOKEN.id, () => undefined)).toEqual(notAsSeen)
    const refuse = (): never => {
      throw new RangeError('no such scope')
    }
    await expect(store.rescope(TOKEN.id, refuse)).rejects.toThrow(RangeError)
    expect(store.find(TOKEN.id)).toMatchObject({ name: TOKEN.name, rights: TOKEN.rights })
    expect(calls).toBe(0)
    const changed = { ...TOKEN, ...scope, revokedAt: undefined, lastUsedAt: undefined }
    const merged = ({ name }: TokenRecord) => (name === TOKEN.name ? scope : undefined)
    expect(await store.rescope(TOKEN.id, merged)).toEqual({ ok: true, token: changed })
    expect(store.find(TOKEN.id)).toEqual(changed)
    expect(calls).toBe(1)
    await store.revoke(TOKEN.id, 1)
    expect(await store.rescope(TOKEN.id, () => TOKEN)).toEqual({ ok: false, code: 'revoked' })
  })

  test('protect a server for ever, once there has been one', async () => {
    const { store } = await make()
    expect(store.hasEverHeldTokens).toBe(false)
    await store.create(TOKEN)
    await store.revoke(TOKEN.id, 1)
    expect(store.hasEverHeldTokens).toBe(true)
  })

  test('say to the minute when they were last used', async () => {
    const { store, flush } = await make()
    await store.create(TOKEN)
    const at = 1_750_000_000_000
    const lastUse = async (): Promise<number | undefined> => {
      await flush()
      return store.find(TOKEN.id)?.lastUsedAt
    }
    store.noteUse(TOKEN.id, at)
    expect(await lastUse()).toBe(at)
    store.noteUse(TOKEN.id, at + 59_999)
    expect(await lastUse()).toBe(at)
    store.noteUse(TOKEN.id, at + 60_000)
    expect(await lastUse()).toBe(at + 60_000)
    store.noteUse('nosuchid', at)
    await flush()
    expect(store.list()).toHaveLength(1)
  })

  test('call listeners after a change, until they are removed', async () => {
    const { store } = await make()
    let calls = 0
    const stop = store.onChange(() => (calls += 1))
    await store.create(TOKEN)
    expect(calls).toBe(1)
    await store.create(TOKEN)
    await store.revoke('nosuchid', 1)
    store.noteUse(TOKEN.id, 1)
    expect(calls).toBe(1)
    await store.revoke(TOKEN.id, 1)
    expect(calls).toBe(2)
    stop()
    await store.create({ ...TOKEN, id: 'aaaaaaaa' })
    expect(calls).toBe(2)
  })
}
