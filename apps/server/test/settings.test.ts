import { loadSettings } from '@proj/config'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { expect, test } from 'vitest'

import { settings } from '../src/settings.ts'

// A timer of Node runs at once when its time is longer than 24.8 days.
test.for([
  ['upgrade: { delay: inf }', 'at most 10m'],
  ['upgrade: { delay: 40d }', 'at most 10m'],
  ['upgrade: { timeout: inf }', 'at most 1h'],
] as const)('%s is an error, %s', async ([text, allowed]) => {
  using files = temporaryDirectory()
  files.write('server.yaml', text)
  const loaded = await loadSettings(settings, { cwd: files.path, files: ['server.yaml'], env: {} })
  expect(loaded.problems).toMatchObject([
    { severity: 'error', allowed: expect.stringContaining(allowed) },
  ])
})

test.for([
  ['cluster: { tls: { cert: a.pem } }', 'cluster.tls.key is not set'],
  ['cluster: { tls: { key: a.pem } }', 'cluster.tls.cert is not set'],
  ['cluster: { database_url: "postgres://h/d", bind_addr: ":8001" }', 'upstream.bind_addr'],
  ['cluster: { database_url: "postgresql:/h/d" }', 'is not a URL of PostgreSQL'],
  ['cluster: { database_url: "mysql://h/d" }', 'is not a URL of PostgreSQL'],
  ['cluster: { lease: 1s }', 'at least 3s'],
  ['cluster: { advertise_addr: "unix:/run/node" }', 'cannot connect to a unix socket'],
  ['proxy: { base_domain: [a.example, "b c"] }', 'b c is no domain'],
  ['proxy: { base_domain: "*.a.example" }', 'is no domain'],
  ['domains: [{ domain: "https://a.example", endpoint: a }]', 'https://a.example is no domain'],
  [
    'domains: [{ domain: a.example, endpoint: a }, { domain: A.Example., endpoint: b }]',
    'domains[0] is the same domain',
  ],
  ['endpoints: [{ name: a, limits: { rate: 0/s } }]', 'lets no visitor in'],
  ['proxy: { trusted_hops: 1, trusted_proxies: [10.0.0.1] }', 'trusted by proxy.trusted_proxies'],
  ['cluster: { node_id: "a/b" }', 'letters, digits'],
  ['admin: { oidc: { client_id: a } }', 'issuer is not set'],
  ['admin: { oidc: { allow: [a] } }', 'issuer is not set'],
  ['admin: { oidc: { issuer: "https://a.example", allow: [a] } }', 'needed where issuer is set'],
  ['admin: { oidc: { issuer: "https://a.example", client_id: a } }', 'nobody may use the console'],
  [
    'admin: { oidc: { issuer: "http://a.example", client_id: a, allow: [a] } }',
    'must have https://',
  ],
  [
    'admin: { oidc: { issuer: "http://a.localhost", client_id: a, allow: [a] } }',
    'must have https://',
  ],
  [
    'admin: { oidc: { issuer: "https://a.example/?b", client_id: a, allow: [a] } }',
    'no query and no fragment',
  ],
] as const)('%s is an error: %s', async ([text, why]) => {
  using files = temporaryDirectory()
  files.write('server.yaml', text)
  const loaded = await loadSettings(settings, { cwd: files.path, files: ['server.yaml'], env: {} })
  const errors = loaded.problems.map(({ message, allowed }) => `${message} ${allowed}`)
  expect(errors).toEqual([expect.stringContaining(why)])
})

test.for(['https://login.example.com/realms/a', 'http://localhost:8080', 'http://[::1]:8080'])(
  '%s may sign people in',
  async (issuer) => {
    using files = temporaryDirectory()
    files.write(
      'server.yaml',
      `admin: { oidc: { issuer: "${issuer}", client_id: a, client_secret: b, allow: [c] } }`,
    )
    const sources = { cwd: files.path, files: ['server.yaml'], env: {} }
    const loaded = await loadSettings(settings, sources)
    expect(loaded.problems).toEqual([])
  },
)

test.for([
  ['the port of agents', 'upstream: { tls: TLS }', ['upstream.tls']],
  ['a port of its own', 'upstream: { tls: OTHER }', []],
] as const)('the authority of operators is that of %s', async ([, other, named]) => {
  using files = temporaryDirectory()
  const text = (authorities: string) => `{ cert: c.pem, key: k.pem, client_cas: ${authorities} }`
  const ports = `admin: { tls: TLS }\n${other}\n`
  files.write('server.yaml', ports.replaceAll('TLS', text('a.pem')).replace('OTHER', text('b.pem')))
  const loaded = await loadSettings(settings, { cwd: files.path, files: ['server.yaml'], env: {} })
  const found = loaded.problems.map(({ severity, message }) => [severity, message])
  expect(found).toEqual(named.map((port) => ['warning', expect.stringContaining(port)]))
})
