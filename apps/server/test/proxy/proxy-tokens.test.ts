// Visitors that have to show a token (`proxy.auth`), and endpoints of tenants.
import type { RequestListener } from 'node:http'

import { JwtVerifier } from '@proj/auth'
import { RecordingLogger } from '@proj/testkit/recording-logger'
import { exchangeRaw } from '@proj/testkit/raw-http'
import { Agent } from '@proj/tunnel'
import { describe, expect, it, onTestFinished } from 'vitest'

import { Authenticator, type AuthenticatorOptions } from '../../src/auth/authenticator.ts'
import { MemoryAuditLog } from '../../src/store/audit-log.ts'
import { MemoryTokenStore } from '../../src/store/token-store.ts'
import { authOf, hs256, storedToken } from '../auth/signed.ts'
import { deferred, type Fixture, request, tunnel } from '../tunnel-fixture.ts'

const PROXY = 'the key of the proxy port, long enough'
const ACME = 'the key of the tenant acme, long enough'
const basic = (pair: string): string => `Basic ${Buffer.from(pair).toString('base64')}`

function authenticator(options: Partial<AuthenticatorOptions> = {}) {
  const tokens = new MemoryTokenStore()
  const logger = new RecordingLogger()
  const subject = new Authenticator({
    tokens,
    audit: new MemoryAuditLog(),
    logger,
    ports: { proxy: { auth: authOf(PROXY) } },
    ...options,
  })
  onTestFinished(() => subject[Symbol.dispose]())
  return { subject, tokens, logger }
}

/** A service that says which headers it was sent. */
const telling: RequestListener = (req, res) => res.end(JSON.stringify(req.headers))

async function ask(port: number, ...headers: string[]) {
  const answer = await exchangeRaw(port, request('GET /', ...headers))
  return { ...answer, text: answer.body.toString(), code: answer.headers['adit-error'] }
}

describe('proxy.auth', () => {
  it('lets a good token in, whichever header it is in, and never passes it on', async () => {
    const { subject, tokens } = authenticator()
    const opaque = await storedToken(tokens, { may: ['connect'], endpoints: ['w*'] })
    await using path = await tunnel({
      http: telling,
      authenticator: subject,
      agent: { token: (await storedToken(tokens)).text },
    })
    const good = hs256(PROXY, { piko: { endpoints: ['web'] } })
    for (const token of [good, opaque.text]) {
      const plain = await ask(path.port, `AUTHORIZATION: Bearer ${token}`, 'X-Own: 1')
      expect(JSON.parse(plain.text)).toMatchObject({ 'x-own': '1' })
      expect(plain.text).not.toContain('authorization')
      const own = await ask(
        path.port,
        `x-piko-authorization: Bearer ${token}`,
        `authorization: ${basic('own:user')}`,
      )
      expect(JSON.parse(own.text)).toMatchObject({ authorization: basic('own:user') })
      expect(own.text).not.toMatch(/piko-authorization|bearer/i)
    }
  })

  it('holds beside the rules of the endpoint: Authorization is for those then', async () => {
    const { subject } = authenticator()
    const policy = { deny: ['127.0.0.1'] }
    await using path = await tunnel({ http: telling, authenticator: subject })
    const token = `x-piko-authorization: Bearer ${hs256(PROXY, {})}`
    expect((await ask(path.port, token)).status).toBe(200)
    path.server.setVisitors([{ name: 'web', policy }])
    expect((await ask(path.port, token)).status).toBe(403)
    const refused = await ask(path.port)
    expect([refused.status, refused.headers['www-authenticate']]).toEqual([401, 'Bearer'])
  })

  it('is checked for each request of a connection, upgrades too', async () => {
    await using path = await tunnel({ http: telling, authenticator: authenticator().subject })
    using visitor = await path.visit()
    const good = `Authorization: Bearer ${hs256(PROXY, {})}`
    await visitor.send(
      [
        request('GET /1', good),
        request('GET /2'),
        request('GET /3', 'Connection: Upgrade', 'Upgrade: websocket'),
        request('GET /4', good),
      ].join(''),
    )
    const statuses = []
    for (let at = 0; at < 4; at++) statuses.push((await visitor.readResponse()).status)
    expect(statuses).toEqual([200, 401, 401, 200])
  })

  it('answers no request by the verdict on one that timed out before it', async () => {
    const first = deferred()
    let asked = 0
    class LateVerifier extends JwtVerifier {
      override async verify(text: string) {
        asked += 1
        // The second question answers the first.
        if (asked === 2) first.resolve()
        await first.promise
        return await super.verify(text)
      }
    }
    const auth = { ...authOf(PROXY), verifier: new LateVerifier({ hmacSecretKey: PROXY }) }
    await using path = await tunnel({
      http: (req, res) => res.end(req.url),
      authenticator: authenticator({ ports: { proxy: { auth } } }).subject,
      edge: { visitorCheckTimeoutMs: 100 },
    })
    using visitor = await path.visit()
    const token = `Authorization: Bearer ${hs256(PROXY, {})}`
    await visitor.send(request('GET /late', token))
    expect((await visitor.readResponse()).headers['adit-error']).toBe('visitor_check_timeout')
    await visitor.send(request('GET /behind', token))
    expect((await visitor.readResponse()).body.toString()).toBe('/behind')
  })
})

describe('tokens in the store alone', () => {
  it('leave HTTP endpoints open to visitors', async () => {
    const { subject, tokens } = authenticator({ ports: {} })
    const agent = { token: (await storedToken(tokens)).text }
    await using path = await tunnel({ http: telling, authenticator: subject, agent })
    expect((await ask(path.port)).status).toBe(200)
  })
})

it('of any tenant is reached without a tenant where they share their names, as in Piko', async () => {
  const tenants = new Map([['acme', authOf(ACME)]])
  const { subject } = authenticator({ ports: {}, tenants, tenantsShareNames: true })
  await using path = await tunnel({
    http: (_, res) => res.end('acme'),
    authenticator: subject,
    agent: { token: hs256(ACME, {}), tenantId: 'acme' },
    edge: {
      tenantsShareNames: true,
      tenantDomains: [{ tenant: 'acme', baseDomain: 'acme.example.com' }],
    },
  })
  expect(await whose(path, 'web.example.com')).toBe('acme')
  expect(await whose(path, 'web.acme.example.com')).toBe('acme')
  // Piko's proxy port reads no tenant.
  expect(await whose(path, 'web.example.com', 'X-Piko-Tenant-Id: other')).toBe('acme')
  const stranger = new Agent({
    url: path.upstreamUrl,
    connections: 1,
    token: hs256(PROXY, {}),
    tenantId: 'acme',
  })
  onTestFinished(() => stranger[Symbol.asyncDispose]())
  await expect(stranger.listen('web').ready()).rejects.toMatchObject({ status: 401 })
})

/** The endpoint `web` three times: without a tenant, of acme, and of beta. */
async function threeTenants(ports: AuthenticatorOptions['ports'] = {}): Promise<Fixture> {
  const tenants = new Map([['acme', authOf(ACME)]])
  const { subject, tokens } = authenticator({ ports })
  const byName = authenticator({ ports, tenants, tokens })
  const own = await storedToken(tokens)
  const path = await tunnel({
    http: (_, res) => res.end('nobody'),
    authenticator: byName.subject,
    agent: { token: own.text },
    edge: {
      baseDomain: 'example.com',
      tenantDomains: [
        { tenant: 'acme', baseDomain: 'Acme.example.com' },
        { tenant: 'beta', baseDomain: 'beta.test' },
      ],
    },
  })
  subject[Symbol.dispose]()
  for (const tenant of ['acme', 'beta']) {
    const { text } = await storedToken(tokens, { tenant })
    const agent = new Agent({
      url: path.upstreamUrl,
      connections: 1,
      token: text,
      tenantId: tenant,
    })
    onTestFinished(() => agent[Symbol.asyncDispose]())
    const listener = agent.listen('web')
    listener.on('connection', (stream) => {
      stream.on('error', () => {})
      stream.on('data', () =>
        stream.write(`HTTP/1.1 200 OK\r\nContent-Length: ${tenant.length}\r\n\r\n${tenant}`),
      )
    })
    await listener.ready()
  }
  return path
}

async function whose(path: Fixture, host: string, ...headers: string[]): Promise<string> {
  const lines = ['GET / HTTP/1.1', `Host: ${host}`, 'Connection: close', ...headers, '', '']
  const answer = await exchangeRaw(path.port, lines.join('\r\n'))
  return answer.status === 200
    ? answer.body.toString()
    : `${answer.status} ${answer.headers['adit-error']}`
}

describe('an endpoint of a tenant', () => {
  it('is found below the domain of the tenant, or by the header, and never by the name alone', async () => {
    await using path = await threeTenants()
    expect(await whose(path, 'web.example.com')).toBe('nobody')
    expect(await whose(path, 'web.acme.example.com')).toBe('acme')
    expect(await whose(path, 'WEB.ACME.EXAMPLE.COM:8000')).toBe('acme')
    expect(await whose(path, 'web.beta.test')).toBe('beta')
    expect(await whose(path, 'web.example.com', 'X-Piko-Tenant-Id: beta')).toBe('beta')
    expect(await whose(path, 'web.beta.test', 'X-Piko-Tenant-Id: acme')).toBe('acme')
    expect(
      await whose(path, 'x.example.com', 'X-Piko-Endpoint: web', 'X-Piko-Tenant-Id: acme'),
    ).toBe('acme')
    expect(await whose(path, 'x.acme.example.com', 'X-Piko-Endpoint: web')).toBe('acme')
    expect(await whose(path, 'x.web.acme.example.com')).toBe('400 endpoint_missing')
  })

  it('is not reached by a name that looks like its key', async () => {
    await using path = await threeTenants()
    for (const name of ['acme/web', '/acme/web', 'acme//web', '/web']) {
      expect(await whose(path, 'x.example.com', `X-Piko-Endpoint: ${name}`)).toBe('502 no_upstream')
    }
    for (const tenant of ['acme/', '/acme', 'a', 'ACME', 'gamma', '../acme']) {
      const header = `X-Piko-Tenant-Id: ${tenant}`
      expect(await whose(path, 'web.example.com', header)).toBe('404 tenant_unknown')
    }
    // A configured tenant is known, also while nobody serves the name.
    expect(await whose(path, 'other.acme.example.com')).toBe('503 no_upstream')
  })

  it('asks for a token of that tenant where visitors need one', async () => {
    await using path = await threeTenants({ proxy: { auth: authOf(PROXY) } })
    const bearer = (token: string): string => `Authorization: Bearer ${token}`
    const ofAcme = bearer(hs256(ACME, {}))
    const ofPort = bearer(hs256(PROXY, {}))
    expect(await whose(path, 'web.acme.example.com')).toBe('401 unauthorized')
    expect(await whose(path, 'web.acme.example.com', ofAcme)).toBe('acme')
    expect(await whose(path, 'web.acme.example.com', ofPort)).toBe('401 unauthorized')
    expect(await whose(path, 'web.example.com', ofPort)).toBe('nobody')
    expect(await whose(path, 'web.example.com', ofAcme)).toBe('401 unauthorized')
    expect(await whose(path, 'web.example.com', ofAcme, 'X-Piko-Tenant-Id: acme')).toBe('acme')
    expect(await whose(path, 'web.example.com', ofAcme, 'X-Piko-Tenant-Id: gamma')).toBe(
      '401 unauthorized',
    )
    const claims = { adit: { may: ['connect'], tenant: 'beta' } }
    expect(await whose(path, 'web.example.com', bearer(hs256(PROXY, claims)))).toBe('beta')
  })
})
