import { PasswordChecks, SourceLimiter, VISITOR_FAILURES } from '@proj/auth'
import { loadSettings } from '@proj/config'
import { RecordingLogger } from '@proj/testkit/recording-logger'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { Agent } from '@proj/tunnel'
import { expect, test } from 'vitest'

import { ServiceListener } from '../../src/listeners/service-listener.ts'
import { NO_PARTS } from '../../src/listeners/service-parts.ts'
import { settings } from '../../src/settings.ts'

async function load(listener: string) {
  using folder = temporaryDirectory()
  const path = folder.write('adit.yaml', `listeners: [{ endpoint: web, addr: 3000, ${listener} }]`)
  return await loadSettings(settings, { cwd: folder.path, env: {}, files: [path] })
}

const gateParts = { checks: new PasswordChecks(), failures: new SourceLimiter(VISITOR_FAILURES) }
const silent = { debug() {}, info() {}, warn() {}, error() {} }

test.each([
  ['reuse: never', { reuse: 'never' }],
  ['reuse: always', { reuse: 'always' }],
  ['strictness: strict', { strictness: 'strict' }],
  ['strictness: lenient', { strictness: 'lenient' }],
  ['protocol: http', {}],
  ['protocol: tcp', {}],
])('a listener with %s asks the server for %j', async (listener, wishes) => {
  const loaded = await load(listener)
  const [setting] = loaded.ok ? loaded.settings.listeners : []
  if (setting === undefined) throw new Error('the settings have problems')
  await using agent = new Agent({ url: 'http://127.0.0.1:1' })
  await using made = new ServiceListener(agent, setting, undefined, NO_PARTS, gateParts, silent)
    .listener
  const { reuse, strictness } = made
  expect({ reuse, strictness }).toEqual({ reuse: undefined, strictness: undefined, ...wishes })
})

test.each(['reuse: safe', 'strictness: strict'])(
  '%s is no setting of a TCP service',
  async (wish) => {
    const { ok, problems } = await load(`protocol: tcp, ${wish}`)
    expect(ok).toBe(false)
    const key = `listeners[0].${wish.split(':')[0]}`
    expect(problems).toMatchObject([{ key, severity: 'error' }])
  },
)

test.each([
  ['concurrent: 3', { concurrent: 3 }],
  ['max_body: 1MB, max_time: 2s', { maxBodyBytes: 1_000_000, maxTimeMs: 2000 }],
  ['rate: 5/s, upload: inf', { rate: { amount: 5, periodMs: 1000 } }],
])('a listener with limits { %s } asks the server for %j', async (limits, asked) => {
  const loaded = await load(`limits: { ${limits} }`)
  const [setting] = loaded.ok ? loaded.settings.listeners : []
  if (setting === undefined) throw new Error('the settings have problems')
  const logger = new RecordingLogger()
  await using agent = new Agent({ url: 'http://127.0.0.1:1' })
  await using made = new ServiceListener(agent, setting, undefined, NO_PARTS, gateParts, logger)
    .listener
  expect(made.limits).toEqual(asked)
  made.emit('limitsIgnored', ['ratePerVisitor', 'maxBodyBytes'])
  expect(logger.records).toMatchObject([
    {
      level: 'warn',
      message: 'limits are not applied by the server',
      fields: { endpoint: 'web', limits: 'rate_per_visitor max_body' },
    },
  ])
})

test.each([
  ['protocol: tcp, limits: { max_body: 1MB }', 'max_body'],
  ['protocol: tcp, limits: { max_time: 1s }', 'max_time'],
  ['limits: { upload: 1KB/s }', 'upload'],
  ['limits: { rate_per_visitor: 0/s }', 'rate_per_visitor'],
])('%s is an error of the settings', async (listener, name) => {
  const { problems } = await load(listener)
  expect(problems).toMatchObject([{ key: `listeners[0].limits.${name}`, severity: 'error' }])
})

test('an answer that the server has rejected is in the log of the agent, at level info', async () => {
  const loaded = await load('protocol: http')
  const [setting] = loaded.ok ? loaded.settings.listeners : []
  if (setting === undefined) throw new Error('the settings have problems')
  const logger = new RecordingLogger()
  await using agent = new Agent({ url: 'http://127.0.0.1:1' })
  await using made = new ServiceListener(agent, setting, undefined, NO_PARTS, gateParts, logger)
    .listener
  made.emit('malformed', { endpoint: 'web', requestId: 'a-1', code: 'c', message: 'why' })
  expect(logger.records).toEqual([
    {
      level: 'info',
      message: 'answer of the service rejected',
      fields: { endpoint: 'web', requestId: 'a-1', code: 'c', reason: 'why' },
    },
  ])
})
