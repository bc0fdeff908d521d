import { loadSettings } from '@proj/config'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { expect, test } from 'vitest'

import { pikoFiles } from '../../src/commands/piko-files.ts'
import { settings } from '../../src/settings.ts'

test("a file of piko server with certificates is taken as it is, but its nodes' own TLS", async () => {
  using folder = temporaryDirectory()
  const path = folder.write(
    'piko.yaml',
    `proxy:
  tls: {cert: /etc/piko/cert.pem, key: /etc/piko/key.pem}
upstream:
  tls: {cert: /etc/piko/cert.pem, key: /etc/piko/key.pem, client_cas: /etc/piko/agents.pem}
admin:
  tls: {cert: "", key: "", client_cas: ""}
`,
  )
  const files = [{ path, dialect: pikoFiles(settings).dialect({ expandEnv: false }) }]
  const loaded = await loadSettings(settings, { cwd: '/', files })
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
  expect(loaded.settings.proxy.tls).toMatchObject({
    cert: ['/etc/piko/cert.pem'],
    key: ['/etc/piko/key.pem'],
    clientCas: undefined,
  })
  expect(loaded.settings.upstream.tls.clientCas).toBe('/etc/piko/agents.pem')
  expect(loaded.settings.admin.tls.cert).toEqual([])
  expect(loaded.problems).toEqual([])

  folder.write('piko.yaml', 'proxy: {tls: {client: {cert: /etc/piko/node.pem}}}\n')
  const different = await loadSettings(settings, { cwd: '/', files })
  expect(different).toMatchObject({
    ok: true,
    problems: [
      { code: 'CONFIG_PIKO_DIFFERENT', severity: 'warning', key: 'proxy.tls.client.cert' },
    ],
  })
})

test('a certificate without key, a key without certificate and authorities alone are mistakes', async () => {
  using folder = temporaryDirectory()
  const path = folder.write(
    'server.yaml',
    'proxy: {tls: {cert: a.pem}}\nupstream: {tls: {key: [a, b], cert: a}}\nadmin: {tls: {client_cas: a}}\n',
  )
  const loaded = await loadSettings(settings, { cwd: '/', files: [path] })
  expect(loaded.problems.map(({ key, origin }) => [key, origin?.kind])).toEqual([
    ['proxy.tls.cert', 'file'],
    ['upstream.tls.key', 'file'],
    ['admin.tls.client_cas', 'file'],
  ])
})
