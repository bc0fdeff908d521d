import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { defineSettings, formatProblems, loadSettings, objects } from '@proj/config'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { expect, test } from 'vitest'

import { verifyPassword } from '../../src/visitors/password.ts'
import { parsePolicy } from '../../src/visitors/policy.ts'
import { policyOf, VISITOR_SETTINGS, visitorProblems } from '../../src/visitors/visitor-settings.ts'

const settings = defineSettings({
  envPrefix: 'T',
  tree: { listeners: objects({ visitors: VISITOR_SETTINGS }, { description: 'Services.' }) },
  rules: [
    function* sound({ listeners }) {
      for (const [index, { visitors }] of listeners.entries()) {
        yield* visitorProblems(
          `listeners[${index}].visitors`,
          visitors,
          index === 0 ? 'http' : 'tcp',
        )
      }
    },
  ],
})

async function load(text: string) {
  using directory = temporaryDirectory()
  writeFileSync(join(directory.path, 'a.yaml'), text)
  writeFileSync(join(directory.path, 'secret'), 'from a file\n')
  return await loadSettings(settings, { cwd: directory.path, files: ['a.yaml'], env: {} })
}

test('settings become a policy without passwords that both sides understand', async () => {
  const loaded = await load(`listeners:
  - visitors:
      allow: [10.0.0.0/8, 2001:db8::/32]
      deny: 10.0.0.1
      basic_auth:
        - { user: ann, password: hunter2 }
        - { user: bob, password_file: secret }
  - visitors: {}
`)
  if (!loaded.ok) throw new Error(formatProblems(loaded.problems))
  const [first, second] = loaded.settings.listeners
  const policy = first && (await policyOf(first.visitors))
  expect(policy).toMatchObject({
    allow: ['10.0.0.0/8', '2001:db8::/32'],
    deny: ['10.0.0.1'],
    basicAuth: [{ user: 'ann' }, { user: 'bob' }],
  })
  const wire = JSON.stringify(policy)
  expect(wire).not.toMatch(/hunter2|from a file/)
  expect(parsePolicy(JSON.parse(wire))).toEqual(policy)
  const verifiers = policy?.basicAuth?.map(({ verifier }) => verifier) ?? []
  expect(await verifyPassword('hunter2', verifiers[0] ?? '')).toBe(true)
  expect(await verifyPassword('from a file', verifiers[1] ?? '')).toBe(true)
  expect(second && (await policyOf(second.visitors))).toBeUndefined()
})

test('mistakes are told with their places and without the passwords', async () => {
  const loaded = await load(`listeners:
  - visitors:
      basic_auth:
        - { user: ann, password: "hunter2\\t" }
        - { user: ann, password: "" }
        - { user: a:b, password: x }
  - visitors:
      allow: [10.0.0.0/40, printer]
      basic_auth: [{ user: ann, password: hunter2 }]
`)
  const text = formatProblems(loaded.problems)
  expect(text).not.toContain('hunter2')
  expect(text).toMatchInlineSnapshot(`
    "error: a.yaml:4:34: listeners[0].visitors.basic_auth[0].password: there is a control character in the user or password
    error: a.yaml:5:19: listeners[0].visitors.basic_auth[1].user: ann is listed twice
    error: a.yaml:5:34: listeners[0].visitors.basic_auth[1].password: the password is empty
    error: a.yaml:6:19: listeners[0].visitors.basic_auth[2].user: "a:b" is not allowed here
      allowed: a name without a colon
    error: a.yaml:8:15: listeners[1].visitors.allow[0]: address "10.0.0.0/40": the prefix length is not a number from 0 to 32
      allowed: an IP address or a block such as 10.0.0.0/8 or 2001:db8::/32
    error: a.yaml:8:28: listeners[1].visitors.allow[1]: address "printer": it is not an IP address or block
      allowed: an IP address or a block such as 10.0.0.0/8 or 2001:db8::/32
      hint: write 10.0.0.0/8 or 2001:db8::/32
    "
  `)
})

test('a TCP endpoint with a user is told where, and what it can have', async () => {
  const { problems } = await load(`listeners:
  - visitors: {}
  - visitors: { allow: 10.0.0.1, basic_auth: [{ user: ann, password: hunter2 }] }
`)
  expect(formatProblems(problems)).toBe(
    'error: a.yaml:3:55: listeners[1].visitors.basic_auth[0].user: ' +
      'it is for protocol http: a TCP connection has no password\n  hint: use allow and deny\n',
  )
})

const PEM =
  '-----BEGIN PUBLIC KEY-----\\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\\n-----END PUBLIC KEY-----'

test.for([
  ['hmac_secret_key: ""', 'hmac_secret_key: the key is empty'],
  [
    `hmac_secret_key: s, rsa_public_key: "${PEM}"`,
    'rsa_public_key: invalid key: rsa_public_key is no public key in PEM',
  ],
  [
    'hmac_secret_key: s, eddsa_public_key: junk',
    'eddsa_public_key: invalid key: eddsa_public_key is no public key in PEM',
  ],
  [
    'hmac_secret_key: s, jwks: { endpoint: "http://c/" }',
    'jwks.endpoint: invalid key: static keys exclude a key set',
  ],
] as const)('a bad key of tokens is told under its own key: %s', async ([jwt, message]) => {
  const { ok, problems } = await load(`listeners:\n  - visitors: { jwt: { ${jwt} } }\n`)
  expect(ok).toBe(false)
  expect(problems).toHaveLength(1)
  expect(formatProblems(problems)).toContain(`listeners[0].visitors.jwt.${message}`)
})

test('a TCP endpoint with a token is told where', async () => {
  const { problems } = await load(`listeners:
  - visitors: {}
  - visitors: { jwt: { eddsa_public_key: junk, jwks: { endpoint: "http://c/" } } }
`)
  expect(problems.map(({ key }) => key)).toContain('listeners[1].visitors.jwt.eddsa_public_key')
})
