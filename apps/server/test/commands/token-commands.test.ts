import { hashToken, parseToken } from '@proj/auth'
import { describe, expect, test } from 'vitest'

import { memoryStore } from '../../src/store/store.ts'
import { silent } from '../store/fixtures.ts'
import type { TokenWish } from '../../src/auth/issue-token.ts'
import { makeToken, revokeToken } from '../../src/commands/token-commands.ts'
import { describeToken, formatTokens } from '../../src/commands/token-view.ts'

const WISH: TokenWish = {
  endpoints: ['pc*'],
  may: ['listen', 'connect'],
  expiresMs: 90 * 86_400_000,
  tenant: '',
  name: 'printers',
  replaces: undefined,
}

describe('making a token', () => {
  test('keeps its hash and its scope, and nothing that opens anything', async () => {
    const store = memoryStore(silent)
    const { text, record } = await makeToken(store, WISH)
    expect(parseToken(text)).toBe(record.id)
    const kept = store.tokens.find(record.id)
    expect(kept).toEqual({
      id: record.id,
      hash: hashToken(text).toString('hex'),
      identity: `token:${record.id}`,
      name: 'printers',
      tenant: '',
      rights: ['listen', 'connect'],
      endpoints: ['pc*'],
      createdAt: record.createdAt,
      expiresAt: record.createdAt + 90 * 86_400_000,
      revokedAt: undefined,
      lastUsedAt: undefined,
    })
    const secret = text.slice(-39)
    for (const seen of [kept, await store.audit.read(), record]) {
      expect(JSON.stringify(seen)).not.toContain(secret)
    }
  })

  test('without an end makes one that never expires', async () => {
    const { record } = await makeToken(memoryStore(silent), { ...WISH, expiresMs: Infinity })
    expect(record.expiresAt).toBe(undefined)
  })

  test('that replaces another gives it the names, the name and the tenant of the other', async () => {
    const store = memoryStore(silent)
    const { record: old } = await makeToken(store, { ...WISH, tenant: 'acme' })
    const next = { ...WISH, name: '', replaces: old.id }
    const { record } = await makeToken(store, next)
    expect(record.id).not.toBe(old.id)
    expect(record).toMatchObject({ identity: old.identity, tenant: 'acme', name: 'printers' })
    const { record: third } = await makeToken(store, { ...next, replaces: record.id })
    expect(third.identity).toBe(old.identity)
    await expect(makeToken(store, { ...next, tenant: 'beta' })).rejects.toThrow(
      `--tenant: ${old.id} belongs to tenant "acme"`,
    )
  })

  test.for([
    [{ endpoints: [] }, '--endpoints is missing'],
    [{ endpoints: ['pc/1'] }, '--endpoints: "pc/1" contains a slash'],
    [{ endpoints: ['ok', ''] }, '--endpoints: "" is empty'],
    [{ endpoints: [], may: ['admin', 'listen'] as const }, '--endpoints is missing'],
  ] as const)('of %o is refused', async ([wish, message]) => {
    const store = memoryStore(silent)
    await expect(makeToken(store, { ...WISH, ...wish })).rejects.toMatchObject({
      exitCode: 2,
      message,
    })
    expect(store.tokens.list()).toEqual([])
  })

  test('for an operator needs no endpoints', async () => {
    const { record } = await makeToken(memoryStore(silent), {
      ...WISH,
      endpoints: [],
      may: ['admin'],
    })
    expect(record.rights).toEqual(['admin'])
  })

  test('is in the audit log', async () => {
    const store = memoryStore(silent)
    const { record } = await makeToken(store, WISH)
    expect(await store.audit.read()).toMatchObject([
      {
        event: 'token.created',
        fields: { token: record.id, identity: `token:${record.id}`, name: 'printers' },
      },
    ])
  })
})

describe('revoking a token', () => {
  test('goes by its id, by its identity and by the token itself', async () => {
    const store = memoryStore(silent)
    for (const named of ['id', 'identity', 'text'] as const) {
      const { text, record } = await makeToken(store, WISH)
      const { id, identity } = record
      expect(await revokeToken(store, { id, identity, text }[named])).toMatchObject({ id })
      expect(store.tokens.find(id)?.revokedAt).toBeGreaterThan(0)
    }
  })

  test('is in the audit log, once', async () => {
    const store = memoryStore(silent)
    const { record } = await makeToken(store, WISH)
    await revokeToken(store, record.id)
    await revokeToken(store, record.id)
    expect((await store.audit.read()).map(({ event }) => event)).toEqual([
      'token.created',
      'token.revoked',
    ])
  })

  test('that is not there ends with 1 and repeats nothing of what was typed', async () => {
    const store = memoryStore(silent)
    const failing = revokeToken(store, 'adit_zzzzzzzz_secretsecretsecret')
    await expect(failing).rejects.toMatchObject({ exitCode: 1 })
    await expect(failing).rejects.not.toThrow(/secret/)
  })
})

test('tokens are shown with their state and without their hash', async () => {
  const store = memoryStore(silent)
  const { record: good } = await makeToken(store, WISH)
  const { record: expired } = await makeToken(store, { ...WISH, expiresMs: 0 })
  const { record: revoked } = await makeToken(store, { ...WISH, tenant: 'acme', name: '' })
  await revokeToken(store, revoked.id)
  store.tokens.noteUse(good.id, Date.UTC(2026, 0, 2, 3, 4, 5))
  const tokens = store.tokens.list()
  expect(tokens.map(describeToken)).toMatchObject([
    { id: good.id, may: ['listen', 'connect'], state: 'good', lastUse: '2026-01-02T03:04:05.000Z' },
    { id: expired.id, state: 'expired', lastUse: null },
    { id: revoked.id, tenant: 'acme', state: 'revoked' },
  ])
  const table = formatTokens(tokens)
  expect(table).toMatch(/^ID +NAME +TENANT +MAY +ENDPOINTS +STATE +EXPIRES +LAST USE\n/)
  expect(table).toMatch(
    new RegExp(
      `^${good.id} +printers +- +listen,connect +pc\\* +good +\\S+ +2026-01-02T03:04Z$`,
      'm',
    ),
  )
  for (const shown of [table, JSON.stringify(tokens.map(describeToken))]) {
    for (const { hash } of tokens) expect(shown).not.toContain(hash)
  }
  expect(formatTokens([{ ...good, revokedAt: undefined, lastUsedAt: undefined }])).not.toContain(
    'TENANT',
  )
  expect(formatTokens([])).toBe('no tokens\n')
})
