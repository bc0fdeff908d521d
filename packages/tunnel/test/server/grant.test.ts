import { once } from 'node:events'

import type { MuxError } from '@proj/mux'
import { RecordingLogger } from '@proj/testkit/recording-logger'
import { until } from '@proj/testkit/until'
import { describe, expect, test } from 'vitest'

import { Agent } from '../../src/client/agent.ts'
import type { AuthorizationRequest } from '../../src/server/authorization.ts'
import { Consumer } from '../../src/client/consumer.ts'
import type { Grant } from '../../src/server/authorization.ts'
import { RESET_REASONS } from '../../src/protocol/reset-reason.ts'
import { encodeStreamRecord } from '../../src/protocol/stream-record.ts'
import { endpointText } from '../../src/protocol/endpoint.ts'
import { at, connectPeer, ending, openTo, openWebSocket, startServer } from '../peers.ts'

/** Everyone may do everything in the tenant that the handshake names. */
function tenantGrant({ headers }: AuthorizationRequest): Grant {
  const tenant = headers['x-piko-tenant-id']
  return { identity: 'a', tenant: typeof tenant === 'string' ? tenant : '', permits: () => true }
}

test('an endpoint is shown as its name, behind the tenant where there is one', () => {
  expect(endpointText(at('web'))).toBe('web')
  expect(endpointText(at('web', 'acme'))).toBe('acme/web')
})

test('a name with a slash is not an endpoint of the tenant that is named before the slash', async () => {
  const server = await startServer({ authorize: tenantGrant })
  const route = `${server.url}/piko/v1/upstream/web`
  await connectPeer(route, {}, { 'X-Piko-Tenant-Id': 'acme' })
  const count = (name: string, tenant?: string): number => server.registry.count(at(name, tenant))
  expect([count('web', 'acme'), count('acme/web'), count('web')]).toEqual([1, 0, 0])
})

describe('one name in two tenants', () => {
  test('is two endpoints, on the baseline wire and on ours', async () => {
    const server = await startServer({ authorize: tenantGrant })
    const route = `${server.url}/piko/v1/upstream/pg`
    await connectPeer(route, {}, { 'X-Piko-Tenant-Id': 'acme' })
    await using agent = new Agent({ url: server.url, tenantId: 'beta', connections: 1 })
    await agent.listen('pg', { kind: 'tcp' }).ready()
    const count = (tenant: string): number => server.registry.count(at('pg', tenant))
    expect([count(''), count('acme'), count('beta')]).toEqual([0, 1, 1])
    expect(server.registry.pick(at('pg', 'beta'))).toMatchObject({ identity: 'a', tenant: 'beta' })
  })

  test('is reached only from its own, by consumers of either wire', async () => {
    const server = await startServer({ authorize: tenantGrant })
    const route = `${server.url}/piko/v1/upstream/pg`
    const acme = await connectPeer(route, {}, { 'X-Piko-Tenant-Id': 'acme' })
    const tcp = `${server.url}/_piko/v1/tcp/pg`
    await expect(openWebSocket(tcp)).rejects.toThrow('status 502')
    await expect(openWebSocket(tcp, { 'X-Piko-Tenant-Id': 'beta' })).rejects.toThrow('status 502')
    await openWebSocket(tcp, { 'X-Piko-Tenant-Id': 'acme' })
    await acme.stream(0)

    const options = { signal: AbortSignal.timeout(20_000) }
    await using stranger = new Consumer({ url: server.url, tenantId: 'beta' })
    await stranger.ready()
    expect(await stranger.query('pg', options)).toMatchObject({ upstreams: 0 })
    await using friend = new Consumer({ url: server.url, tenantId: 'acme' })
    await friend.ready()
    expect(await friend.query('pg', options)).toMatchObject({ upstreams: 1 })
    await friend.open('pg')
    await acme.stream(1)
  })
})

describe('a right that ends', () => {
  function serverOf(ended: AbortSignal): ReturnType<typeof startServer> {
    return startServer({
      authorize: () => ({ identity: 'a', tenant: '', ended, permits: () => true }),
    })
  }

  test('ends the session of an agent, with its streams', async () => {
    const right = new AbortController()
    const server = await serverOf(right.signal)
    const peer = await connectPeer(`${server.url}/piko/v1/upstream/web`)
    openTo(server.registry, { kind: 'http', endpoint: 'web' })
    const stream = await peer.stream()
    right.abort(new Error('revoked'))
    expect(server.registry.count(at('web'))).toBe(0)
    expect(await ending(stream)).toBeInstanceOf(Error)
    await peer.session.closed
    expect(server.logger.find('right of an agent ended')).toMatchObject([
      { fields: { identity: 'a', why: 'revoked' } },
    ])
  })

  test('ends the session of a consumer and the bare pipe of a forwarder', async () => {
    const right = new AbortController()
    const server = await serverOf(right.signal)
    const peer = await connectPeer(`${server.url}/piko/v1/upstream/pg`)
    await using consumer = new Consumer({ url: server.url })
    const way = await consumer.open('pg')
    const { websocket } = await openWebSocket(`${server.url}/_piko/v1/tcp/pg`)
    await peer.stream(1)
    const closed = once(websocket, 'close')
    right.abort(new Error('expired'))
    await closed
    await until(() => way.protocol === 'adit' && way.channel.closed)
    await until(() => server.connect.size === 0)
    expect(server.logger.find('right of a consumer ended')).toMatchObject([
      { fields: { identity: 'a', why: 'expired' } },
    ])
  })

  test('tells an agent and a consumer of ours why, and they do not come back', async () => {
    const right = new AbortController()
    const server = await serverOf(right.signal)
    const logger = new RecordingLogger()
    await using agent = new Agent({ url: server.url, connections: 1, logger, token: 't' })
    const listener = agent.listen('pg', { kind: 'tcp' })
    await listener.ready()
    await using consumer = new Consumer({ url: server.url, logger, token: 't' })
    await consumer.ready()
    right.abort(new Error('revoked token'))
    const expected = {
      code: 'TUNNEL_UNAUTHORIZED',
      message: 'the server ended the session: revoked token',
    }
    await until(() => server.upstream.sessions.size + server.connect.size === 0)
    await expect(consumer.open('pg')).rejects.toMatchObject(expected)
    await expect(listener.closed).resolves.toMatchObject({ error: expected })
  })

  test('brings those back that have another token to show', async () => {
    const rights = [new AbortController(), new AbortController()]
    const server = await startServer({
      authorize: ({ headers }) => ({
        identity: String(headers.authorization),
        tenant: '',
        ended:
          rights[headers.authorization === 'Bearer 1' ? 0 : 1]?.signal ??
          new AbortController().signal,
        permits: () => true,
      }),
    })
    let count = 0
    const token = (): string => `${++count}`
    const soon = { minMs: 1, maxMs: 1 }
    await using agent = new Agent({ url: server.url, connections: 1, token, backoff: soon })
    await agent.listen('web').ready()
    const identity = (): string | undefined => server.registry.pick(at('web'))?.identity
    expect(identity()).toBe('Bearer 1')
    rights[0]?.abort(new Error('expired token'))
    await until(() => identity() === 'Bearer 2')
  })

  test('cuts the streams of a consumer with notPermitted, at both ends', async () => {
    const right = new AbortController()
    const server = await startServer({
      authorize: ({ action }) => ({
        identity: 'a',
        tenant: '',
        ...(action === 'connect' && { ended: right.signal }),
        permits: () => true,
      }),
    })
    const peer = await connectPeer(`${server.url}/piko/v1/upstream/pg`)
    await using consumer = new Consumer({ url: server.url })
    const closed = new Promise<MuxError | undefined>((onClose) => {
      const sink = { onData: () => true, onEnd() {}, onDrain() {}, onClose }
      void consumer.open('pg', { sink })
    })
    const stream = await peer.stream()
    right.abort(new Error('expired token'))
    expect((await closed)?.reason).toBe(RESET_REASONS.notPermitted)
    expect(await ending(stream)).toBeInstanceOf(Error)
    // The agent's own right goes on.
    expect(server.registry.count(at('pg'))).toBe(1)
  })

  test('cuts what still runs of an agent after a moment', async () => {
    const right = new AbortController()
    const server = await serverOf(right.signal)
    await using agent = new Agent({ url: server.url, connections: 1 })
    const listener = agent.listen('web')
    await listener.ready()
    const channel = openTo(server.registry, { kind: 'http', endpoint: 'web' })
    right.abort(new Error('revoked token'))
    expect(server.registry.count(at('web'))).toBe(0)
    await until(() => channel.closed)
    await until(() => server.upstream.sessions.size === 0)
  })

  test('takes no stream that was under way', async () => {
    const right = new AbortController()
    const server = await serverOf(right.signal)
    const peer = await connectPeer(
      `${server.url}/_piko/v1/tcp/adit-session`,
      {},
      {
        'adit-protocol': '1',
      },
    )
    await connectPeer(`${server.url}/piko/v1/upstream/pg`)
    right.abort(new Error('revoked token'))
    const stream = await peer.session.open()
    stream.write(encodeStreamRecord({ kind: 'tcp', endpoint: 'pg' }))
    expect(await ending(stream)).toBeInstanceOf(Error)
  })

  test('that ended during the handshake gets no session to keep', async () => {
    const server = await serverOf(AbortSignal.abort(new Error('expired')))
    const peer = await connectPeer(`${server.url}/piko/v1/upstream/web`)
    await peer.session.closed
    expect(server.registry.count(at('web'))).toBe(0)
  })
})
