import { describe, expect, test } from 'vitest'

import { formatDomains, removeDomainForOperator } from '../../src/commands/domain-view.ts'
import type { DomainClaim } from '../../src/store/domain-store.ts'
import { memoryStore } from '../../src/store/store.ts'
import { silent } from '../store/fixtures.ts'

const SHOP = 'shop.example.net'
const AT = Date.UTC(2026, 0, 31, 12)
const ANY = { tenant: undefined, identity: undefined }

function claim(identity: string, more: Partial<DomainClaim> = {}): DomainClaim {
  return {
    value: `value of ${identity}`,
    domain: SHOP,
    tenant: '',
    endpoint: 'shop',
    identity,
    askedAt: AT,
    checkedAt: undefined,
    provedAt: undefined,
    lostAt: undefined,
    challenge: 'txt',
    ...more,
  }
}

async function storeWith(...claims: readonly DomainClaim[]) {
  const store = memoryStore(silent)
  for (const one of claims) await store.domains.ask(one)
  return store
}

describe('removing a domain', () => {
  test('takes it from the only identity that has asked, and is in the audit log', async () => {
    const store = await storeWith(claim('token:a'))
    const removed = await removeDomainForOperator(store, 'Shop.Example.net.', ANY)
    expect(removed.identity).toBe('token:a')
    expect(store.domains.list()).toEqual([])
    expect(await store.audit.read()).toMatchObject([
      { event: 'domain.removed', fields: { domain: SHOP, identity: 'token:a', by: 'operator' } },
    ])
  })

  test('asks whose, where several have asked and none has proved it', async () => {
    const store = await storeWith(claim('token:a'), claim('token:b', { tenant: 'acme' }))
    await expect(removeDomainForOperator(store, SHOP, ANY)).rejects.toMatchObject({
      message: `several identities have asked for ${SHOP}`,
      exitCode: 1,
    })
    expect(store.domains.list()).toHaveLength(2)
    await removeDomainForOperator(store, SHOP, { tenant: 'acme', identity: undefined })
    expect(store.domains.list()).toMatchObject([{ identity: 'token:a' }])
  })

  test('takes it from the one that has proved it', async () => {
    const store = await storeWith(claim('token:a'), claim('token:b'))
    const [, second] = store.domains.list()
    if (second !== undefined) await store.domains.note(second, { ...second, provedAt: AT })
    const removed = await removeDomainForOperator(store, SHOP, ANY)
    expect(removed.identity).toBe('token:b')
  })

  test('says that nobody has asked for it, or that it is no domain', async () => {
    const store = await storeWith()
    await expect(removeDomainForOperator(store, SHOP, ANY)).rejects.toMatchObject({
      message: `${SHOP} was not asked for`,
      exitCode: 1,
    })
    await expect(removeDomainForOperator(store, 'no domain', ANY)).rejects.toMatchObject({
      exitCode: 2,
    })
  })
})

test('domains are listed with their state, and control characters are not shown', () => {
  expect(formatDomains([])).toBe('no domains are asked for\n')
  const text = formatDomains([claim('a\u001B[2J', { provedAt: AT })])
  expect(text).toContain(`${SHOP}  shop      -       proved  txt`)
  expect(text).toContain('2026-01-31T12:00Z')
  expect(text).not.toContain('\u001B')
})
