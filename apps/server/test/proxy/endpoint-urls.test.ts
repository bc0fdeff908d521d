// Which URL an endpoint is announced with, and that the server answers it.
import { exchangeRaw } from '@proj/testkit/raw-http'
import { RecordingLogger } from '@proj/testkit/recording-logger'
import { expect, test } from 'vitest'

import { endpointUrls, type ProxyAddress } from '../../src/proxy/endpoint-urls.ts'
import { ForwardedNote } from '../../src/proxy/forwarded-note.ts'
import { tunnel } from '../tunnel-fixture.ts'

const PLAIN: ProxyAddress = {
  scheme: 'http',
  port: 8000,
  baseDomains: [],
  publicUrl: undefined,
  tenantDomains: [{ tenant: 'acme', baseDomain: 'acme.example' }],
}

test.for([
  ['web', {}, ['http://web.localhost:8000']],
  ['web', { port: 80 }, ['http://web.localhost']],
  ['web', { port: undefined }, []],
  ['web', { scheme: 'https', port: 443 }, ['https://web.localhost']],
  ['web', { baseDomains: ['apps.example'] }, ['http://web.apps.example:8000']],
  [
    'web',
    { baseDomains: ['a.example', 'b.example'] },
    ['http://web.a.example:8000', 'http://web.b.example:8000'],
  ],
  ['web', { publicUrl: 'https://apps.example' }, ['https://web.apps.example']],
  ['web', { publicUrl: 'https://apps.example:8443/' }, ['https://web.apps.example:8443']],
  ['web', { publicUrl: 'https://apps.example', port: undefined }, []],
  ['acme/web', {}, ['http://web.acme.example:8000']],
  ['acme/web', { publicUrl: 'https://apps.example' }, ['https://web.acme.example']],
  ['other/web', { baseDomains: ['apps.example'] }, []], // reached by header alone
] as const)('%s with %j: %j', ([text, options, urls]) => {
  const [name = '', tenant = ''] = text.split('/').toReversed()
  expect(endpointUrls({ tenant, name }, { ...PLAIN, ...options })).toEqual(urls)
})

test.for(['Upper', 'dot.ted', '*', '"q"', '-a', 'a-', 'ä', 'a'.repeat(64), 'a b', ''])(
  'no host can carry %j',
  (name) => expect(endpointUrls({ tenant: '', name }, PLAIN)).toEqual([]),
)

test.for([
  { baseDomain: 'apps.example' },
  { publicUrl: 'http://apps.example' },
  { baseDomain: 'apps.example', publicUrl: 'http://apps.example' },
  {},
])('the server answers the URL that it announces with %j', async (edge) => {
  await using path = await tunnel({ http: (_, res) => res.end('here'), edge })
  const [url = ''] = path.listener.urls
  const lines = ['GET / HTTP/1.1', `host: ${new URL(url).host}`, 'connection: close', '', '']
  const { status, body } = await exchangeRaw(path.port, lines.join('\r\n'))
  expect([status, body.toString()]).toEqual([200, 'here'])
})

test('an operator is told once of forwarding headers that are discarded', () => {
  const logger = new RecordingLogger()
  const note = new ForwardedNote(true, logger)
  const head = { header: (name: string) => (name === 'x-forwarded-proto' ? 'https' : undefined) }
  note.look({ header: () => undefined }, '192.0.2.1')
  expect(logger.records).toEqual([])
  note.look(head, '192.0.2.1')
  note.look(head, '192.0.2.2')
  expect(logger.records).toHaveLength(1)
  expect(logger.records[0]).toMatchObject({ level: 'warn', fields: { remoteAddress: '192.0.2.1' } })
})

test('with a trusted hop nothing is told', () => {
  const logger = new RecordingLogger()
  new ForwardedNote(false, logger).look({ header: () => 'https' }, '192.0.2.1')
  expect(logger.records).toEqual([])
})
