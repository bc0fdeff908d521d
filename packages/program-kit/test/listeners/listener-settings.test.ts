import { expect, test } from 'vitest'
import { defineSettings, loadSettings } from '@proj/config'
import { parseListenAddress } from '@proj/config/address'

import { accessLists, bindsAreTcp, conflictPolicy, LISTENER_SETTINGS } from '../../src/index.ts'

const settings = defineSettings({ envPrefix: 'X', tree: { proxy: LISTENER_SETTINGS } })

async function load(env: Record<string, string> = {}) {
  const loaded = await loadSettings(settings, { cwd: '/', files: [], env })
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
  return loaded.settings.proxy
}

test('by default a taken port ends it and everybody may connect', async () => {
  const proxy = await load()
  expect(accessLists(proxy)).toEqual({ allow: undefined, deny: [] })
  const policy = conflictPolicy(proxy, { listener: 'proxy', logger: { warn() {} } })
  expect(policy).toMatchObject({ require: 'all', conflict: 'fail', waitMs: 10_000 })
})

test('lists are written as portcheck reads them', async () => {
  const proxy = await load({ X_PROXY_ALLOW: '10.0.0.0/8,fd00::/8', X_PROXY_DENY: '10.9.0.1' })
  expect(accessLists(proxy)).toEqual({ allow: ['10.0.0.0/8', 'fd00::/8'], deny: ['10.9.0.1'] })
})

test('the log says who is waited for', async () => {
  const lines: unknown[] = []
  const logger = { warn: (...line: unknown[]) => void lines.push(line) }
  const proxy = await load({ X_PROXY_ON_CONFLICT: 'wait', X_PROXY_WAIT: '1m' })
  conflictPolicy(proxy, { listener: 'proxy', logger }).onWait(new Error('held by somebody'))
  const fields = { listener: 'proxy', why: 'held by somebody', waitMs: 60_000 }
  expect(lines).toEqual([[fields, 'waiting for a port']])
})

test('a unix socket is no TCP address', () => {
  const addresses = [':80', 'unix:/run/a'].map(parseListenAddress)
  expect([...bindsAreTcp([{ key: 'proxy.bind_addr', addresses }])]).toEqual([
    expect.objectContaining({ key: 'proxy.bind_addr', message: 'unix:/run/a is no TCP address' }),
  ])
  expect([...bindsAreTcp([{ key: 'a', addresses: addresses.slice(0, 1) }])]).toEqual([])
})
