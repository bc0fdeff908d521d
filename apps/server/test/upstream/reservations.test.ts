// Names that are held, over HTTP on the upstream port, with a real server and a real file.
import { inspect } from 'node:util'
import { describe, expect, onTestFinished, test } from 'vitest'
import { Agent, releaseName, reservedNames, reserveName } from '@proj/tunnel'
import { type Authorize } from '@proj/tunnel/server'
import { connectRaw } from '@proj/testkit/raw-http'
import { RecordingLogger } from '@proj/testkit/recording-logger'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'

import { Server } from '../../src/server.ts'
import { Database } from '../../src/store/database.ts'
import { MIGRATIONS } from '../../src/store/migrations.ts'
import { memoryStore, openStore, type Store } from '../../src/store/store.ts'
import { StoreError } from '../../src/store/store-error.ts'

/** Everyone is who the token begins with; the token `none` is no good, `guest` may serve nothing. */
const byToken: Authorize = ({ headers }) => {
  const identity = /^Bearer ([^:]+)/.exec(headers.authorization ?? '')?.[1] ?? 'anonymous'
  if (identity === 'none') return { status: 401, error: 'invalid token' }
  const tenant = headers['x-piko-tenant-id']
  return {
    identity,
    tenant: typeof tenant === 'string' ? tenant : '',
    permits: (_, endpoint) => identity !== 'guest' && !endpoint.startsWith('not-'),
  }
}

interface Subject {
  readonly server: Server
  readonly store: Store
  readonly url: string
  readonly port: number
  readonly logger: RecordingLogger
  /** The server as one of its peers reaches it. */
  readonly as: (token: string, tenantId?: string) => Parameters<typeof reserveName>[0]
}

async function serverWith(make: (logger: RecordingLogger) => Store): Promise<Subject> {
  const logger = new RecordingLogger()
  const store = make(logger)
  const anywhere = { at: '127.0.0.1:0' }
  const server = await Server.start({
    proxy: anywhere,
    upstream: anywhere,
    admin: anywhere,
    authorize: byToken,
    software: 'adit-server/test',
    probeTimeoutMs: 100,
    store,
    logger,
  })
  onTestFinished(() => {
    server.destroy()
    store.close()
  })
  const port = server.listeners.upstream.bound[0]?.port ?? 0
  const url = `http://127.0.0.1:${port}`
  const as = (token: string, tenantId?: string) => ({
    url,
    token,
    ...(tenantId !== undefined && { tenantId }),
  })
  return { server, store, url, port, logger, as }
}

async function startServer(reservations: Parameters<typeof openStore>[1]['reservations'] = {}) {
  const directory = temporaryDirectory()
  onTestFinished(() => directory[Symbol.dispose]())
  return await serverWith((logger) =>
    openStore(directory.path, { uid: process.geteuid?.(), logger, reservations }),
  )
}

/** A request as it stands, and its answer. */
async function ask(
  { url }: Subject,
  method: string,
  path: string,
  options: { token?: string; body?: string; headers?: Record<string, string> } = {},
) {
  const { token = 'alice', body, headers = {} } = options
  const response = await fetch(`${url}/adit/v1/reservations${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, ...headers },
    ...(body !== undefined && { body }),
  })
  const text = await response.text()
  const json = text === '' ? undefined : (JSON.parse(text) as unknown)
  return { status: response.status, headers: response.headers, json }
}

describe('a name', () => {
  test('is reserved, listed and released by its identity', async () => {
    const { as } = await startServer()
    const before = Date.now()
    const web = await reserveName(as('alice'), 'web')
    expect(web).toEqual({
      endpoint: 'web',
      kind: 'http',
      identity: 'alice',
      since: expect.any(String),
      sessions: 0,
    })
    expect(Date.parse(web.since)).toBeGreaterThanOrEqual(before)
    const db = await reserveName(as('alice'), 'db', { kind: 'tcp' })
    expect(await reservedNames(as('alice'))).toEqual([db, web])
    expect(await reservedNames(as('bob'))).toEqual([])
    expect(await reserveName(as('alice'), 'web')).toEqual(web)
    await releaseName(as('alice'), 'web')
    expect(await reservedNames(as('alice'))).toEqual([db])
    await expect(releaseName(as('alice'), 'web')).rejects.toMatchObject({
      code: 'TUNNEL_RESERVATION_REFUSED',
      message: '"web" is not reserved',
      status: 404,
    })
  })

  test('is on the disk when the answer comes', async () => {
    const { as, store } = await startServer()
    await reserveName(as('alice'), 'web')
    const database = Database.open(store.file ?? '', { migrations: MIGRATIONS })
    onTestFinished(() => database.close())
    expect(database.all('SELECT endpoint, identity FROM reservations')).toEqual([
      { endpoint: 'web', identity: 'alice' },
    ])
  })

  test('that is reserved is refused to others: to reserve, to release and to serve', async () => {
    const { as, store } = await startServer()
    const { since } = await reserveName(as('alice'), 'web')
    const taken = {
      code: 'TUNNEL_NAME_TAKEN',
      holder: 'reservation',
      since,
      status: 409,
      retryAfterMs: undefined,
      message: `"web" is reserved for alice since ${since}`,
    }
    await expect(reserveName(as('bob'), 'web')).rejects.toMatchObject(taken)
    await expect(releaseName(as('bob'), 'web')).rejects.toMatchObject(taken)
    await using stranger = new Agent({ ...as('bob'), connections: 1 })
    await expect(stranger.listen('web').ready()).rejects.toMatchObject({
      code: 'TUNNEL_NAME_TAKEN',
      holder: 'reservation',
      since,
    })
    await using agent = new Agent({ ...as('alice'), connections: 1 })
    await agent.listen('web').ready()
    expect(await reservedNames(as('alice'))).toMatchObject([{ endpoint: 'web', sessions: 1 }])
    await store.audit.flush()
    const events = (await store.audit.read()).map(({ event, fields }) => [
      event,
      fields['identity'],
    ])
    expect(events).toEqual([
      ['name.reserved', 'alice'],
      ['name.refused', 'bob'],
      ['name.refused', 'bob'],
      ['name.refused', 'bob'],
      ['name.taken', 'alice'],
    ])
  })

  test('that another identity serves can be reserved when its session is gone', async () => {
    const { as, server } = await startServer()
    const agent = new Agent({ ...as('bob'), connections: 1 })
    await agent.listen('web').ready()
    const since = new Date(server.registry.takenAt({ tenant: '', name: 'web' }) ?? 0).toISOString()
    await expect(reserveName(as('alice'), 'web')).rejects.toMatchObject({
      code: 'TUNNEL_NAME_TAKEN',
      holder: 'session',
      since,
      retryAfterMs: 3000,
    })
    await agent.close()
    await reserveName(as('alice'), 'web')
  })

  test('that is served can be reserved by the identity that serves it', async () => {
    const { as } = await startServer()
    await using agent = new Agent({ ...as('alice'), connections: 1 })
    await agent.listen('web').ready()
    expect(await reserveName(as('alice'), 'web')).toMatchObject({ sessions: 1 })
  })

  test('in two tenants is two names', async () => {
    const { as } = await startServer()
    await reserveName(as('alice'), 'web')
    expect(await reserveName(as('bob', 'acme'), 'web')).toMatchObject({ identity: 'bob' })
    expect(await reservedNames(as('bob'))).toEqual([])
    expect(await reservedNames(as('bob', 'acme'))).toHaveLength(1)
    await releaseName(as('bob', 'acme'), 'web')
    expect(await reservedNames(as('alice'))).toHaveLength(1)
  })
})

describe('refused, with a code, is', () => {
  test.for([
    ['GET', '', { token: 'none' }, 401, undefined, 'invalid token'],
    ['PUT', '/web', { token: 'none' }, 401, undefined, 'invalid token'],
    ['PUT', '/not-mine', {}, 403, 'not-permitted', 'endpoint not permitted'],
    ['PUT', '/web', { token: 'guest' }, 403, 'not-permitted', 'endpoint not permitted'],
    ['PUT', '/a%20b', {}, 400, 'endpoint-invalid', 'contains a space'],
    ['PUT', '/adit-session', {}, 400, 'endpoint-invalid', 'is a name of the protocol'],
    ['PUT', `/${'x'.repeat(254)}`, {}, 400, 'endpoint-invalid', 'longer than 253 bytes'],
    ['PUT', '/a/b', {}, 404, 'not-found', 'no such page'],
    ['PUT', '/a%2Fb', {}, 404, 'not-found', 'no such page'],
    ['PUT', '/web', { body: '{"kind":"udp"}' }, 400, 'body-invalid', 'the body is'],
    ['PUT', '/web', { body: '{"kind":' }, 400, 'body-invalid', 'the body is'],
    ['PUT', '/web', { body: '[]' }, 400, 'body-invalid', 'the body is'],
    ['PUT', '/web', { body: '"http"' }, 400, 'body-invalid', 'the body is'],
    ['GET', '/web', {}, 405, 'method-not-allowed', 'use PUT, DELETE'],
    ['DELETE', '', {}, 405, 'method-not-allowed', 'use GET'],
    ['DELETE', '/web', {}, 404, 'not-reserved', '"web" is not reserved'],
  ] as const)('%s %s with %o', async ([method, path, options, status, code, error]) => {
    const subject = await startServer()
    const answer = await ask(subject, method, path, options)
    expect(answer.status).toBe(status)
    expect(answer.json).toEqual({
      error: expect.stringContaining(error),
      ...(code !== undefined && { code }),
    })
    expect(subject.store.reservations.list()).toEqual([])
  })

  test('one name more than an identity may hold', async () => {
    const { as } = await startServer({ maxPerIdentity: 2 })
    await reserveName(as('alice'), 'a')
    await reserveName(as('alice'), 'b')
    await expect(reserveName(as('alice'), 'c')).rejects.toMatchObject({
      code: 'TUNNEL_RESERVATION_REFUSED',
      message: 'no more than 2 names can be reserved for this identity',
      status: 409,
    })
  })

  test('a body that is too long, before it is read to its end', async () => {
    const subject = await startServer()
    using connection = await connectRaw(subject.port)
    await connection.send(
      [
        'PUT /adit/v1/reservations/web HTTP/1.1',
        'Host: localhost',
        'Content-Length: 1000000000',
        '',
        'x'.repeat(5000),
      ].join('\r\n'),
    )
    const { status, headers } = await connection.readResponse()
    expect([status, headers['connection']]).toEqual([400, 'close'])
  })

  test('a reservation where nothing lasts', async () => {
    const { as } = await serverWith(memoryStore)
    await expect(reserveName(as('alice'), 'web')).rejects.toMatchObject({
      code: 'TUNNEL_RESERVATION_REFUSED',
      status: 503,
      message:
        'reserved names would be lost when this server ends: it cannot write to its data_dir',
    })
    expect(await reservedNames(as('alice'))).toEqual([])
  })

  test('a reservation that cannot be written', async () => {
    const { as, store, logger } = await startServer()
    store.close()
    await expect(reserveName(as('alice'), 'web')).rejects.toMatchObject({
      code: 'TUNNEL_RESERVATION_REFUSED',
      status: 503,
      message: 'the server cannot write what it keeps',
    })
    expect(logger.find('request about a reserved name failed')).toHaveLength(1)
  })
})

test.each([
  ['STORE_UNAVAILABLE', 'the database of the cluster does not answer: try again later'],
  ['STORE_READ_ONLY', 'the database of the cluster takes no changes now: try again later'],
] as const)('a database that is away is named as the reason: %s', async (code, message) => {
  const { as, store } = await startServer()
  store.reservations.reserve = async () => await Promise.reject(new StoreError(code, 'database'))
  await expect(reserveName(as('alice'), 'web')).rejects.toMatchObject({ status: 503, message })
})

test('another port of the server is named as the reason', async () => {
  const { server } = await startServer()
  const port = server.listeners.admin.bound[0]?.port
  await expect(reserveName({ url: `http://127.0.0.1:${port}` }, 'web')).rejects.toMatchObject({
    code: 'TUNNEL_WRONG_PORT',
    message: expect.stringContaining('is the port for operators of a server'),
  })
})

test('no token is in a log line, an error, the audit log or an answer', async () => {
  const { as, logger, store } = await startServer()
  const seen = [
    await reserveName(as('alice:secret'), 'web'),
    await reserveName(as('guest:secret'), 'web').catch((error: unknown) => inspect(error)),
    await reserveName(as('bob:secret'), 'web').catch((error: unknown) => inspect(error)),
  ]
  await store.audit.flush()
  expect(JSON.stringify([seen, logger.records, await store.audit.read()])).not.toContain('secret')
})
