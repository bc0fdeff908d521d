import { formatOrigin, loadSettings } from '@proj/config'
import { expect, test } from 'vitest'

import { argumentLayer } from '../../src/index.ts'
import { settings } from '../fixtures/sample.ts'

test('values that arguments stand for are read as in a file, with the argument as origin', async () => {
  const listeners = [
    { endpoint: 'web', addr: '3000', protocol: undefined, tls: { server_name: 'x' } },
  ]
  const layer = argumentLayer({ listeners, log: undefined }, '/')
  const loaded = await loadSettings(settings, { cwd: '/', layers: [layer] })
  expect(loaded.problems).toEqual([])
  expect(loaded).toMatchObject({
    settings: { listeners: [{ endpoint: 'web', protocol: 'http', tls: { serverName: 'x' } }] },
  })
  const addr = loaded.values.find(({ key }) => key === 'listeners[0].addr')
  expect(addr && formatOrigin(addr.origin)).toBe('argument addr')
})
