import { loadSettings } from '@proj/config'
import { InheritedSockets } from '@proj/portcheck'
import { RecordingLogger } from '@proj/testkit/recording-logger'
import { expect, test } from 'vitest'

import { createCapture, openInspector } from '../../src/inspect/open-inspector.ts'
import { settings } from '../../src/settings.ts'

// Other systems than Linux have no other addresses of loopback.
const HOSTS = process.platform === 'linux' ? ['localhost', '127.0.0.2'] : ['localhost']

test.for(HOSTS)('the address that is told opens the page on %s', async (host) => {
  const env = { ADIT_INSPECTOR_BIND_ADDR: `${host}:0` }
  const loaded = await loadSettings(settings, { cwd: '/', env, files: [] })
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
  const { inspector } = loaded.settings
  const agent = {
    software: 'adit/1',
    link: () => ({ isUp: true, problem: undefined }),
    listeners: () => [],
  }
  await using opened = await openInspector(inspector, createCapture(inspector), agent, {
    token: 'token',
    inherited: new InheritedSockets(),
    logger: new RecordingLogger(),
    signal: new AbortController().signal,
  })
  const { url = '' } = opened
  expect(new URL(url).hostname).toBe(host)
  const headers = { 'x-adit-token': 'token', connection: 'close' }
  const answer = await fetch(new URL('api/state', url), { headers })
  expect(answer.status).toBe(200)
  await answer.text()
})
