import { PasswordChecks, SourceLimiter, VISITOR_FAILURES } from '@proj/auth'
import { loadSettings } from '@proj/config'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { Agent } from '@proj/tunnel'
import { expect, test } from 'vitest'

import { ServiceListener } from '../../src/listeners/service-listener.ts'
import { settings } from '../../src/settings.ts'

async function load(listener: string) {
  using folder = temporaryDirectory()
  const path = folder.write('adit.yaml', `listeners: [{ endpoint: web, addr: 3000, ${listener} }]`)
  return await loadSettings(settings, { cwd: folder.path, env: {}, files: [path] })
}

const gateParts = { checks: new PasswordChecks(), failures: new SourceLimiter(VISITOR_FAILURES) }
const silent = { debug() {}, info() {}, warn() {}, error() {} }

test.each([
  ['reuse: never', 'never'],
  ['reuse: always', 'always'],
  ['protocol: http', undefined],
  ['protocol: tcp', undefined],
])('a listener with %s asks the server for %s', async (listener, reuse) => {
  const loaded = await load(listener)
  const [setting] = loaded.ok ? loaded.settings.listeners : []
  if (setting === undefined) throw new Error('the settings have problems')
  await using agent = new Agent({ url: 'http://127.0.0.1:1' })
  await using made = new ServiceListener(agent, setting, undefined, gateParts, silent).listener
  expect(made.reuse).toBe(reuse)
})

test('reuse is no setting of a TCP service', async () => {
  const { ok, problems } = await load('protocol: tcp, reuse: safe')
  expect(ok).toBe(false)
  expect(problems).toMatchObject([{ key: 'listeners[0].reuse', severity: 'error' }])
})
