// Agents that serve one name are told of each other, and an exclusive one shares its name with none.
import { once } from 'node:events'

import { connectRaw } from '@proj/testkit/raw-http'
import { until } from '@proj/testkit/until'
import { describe, expect, onTestFinished, test } from 'vitest'

import { Agent } from '../../src/client/agent.ts'
import type { Listener } from '../../src/client/listener.ts'
import { isTunnelError } from '../../src/errors.ts'
import type { Grant } from '../../src/server/authorization.ts'
import type { Upstream } from '../../src/server/upstream.ts'
import { controlOf } from '../protocol/control-peer.ts'
import { at, connectPeer, startPikoServer, startServer, type TestServer } from '../peers.ts'

/** Short, so that a rejected agent asks again soon; nothing here depends on how short. */
const SOON = { nameRetryAfterMs: 100 }

function agentAt(url: string, localAddress = '127.0.0.1'): Agent {
  const agent = new Agent({ url, connect: { localAddress } })
  onTestFinished(() => agent.destroy())
  return agent
}

/** An agent that serves `web`, on two sessions. */
async function serving(server: TestServer, localAddress?: string) {
  const agent = agentAt(server.url, localAddress)
  const listener = agent.listen('web')
  await listener.ready()
  await until(() => agent.sessions === 2)
  return { agent, listener }
}

const others = (listener: Listener, agents: number, hosts: number) =>
  until(() => listener.others.agents === agents && listener.others.hosts === hosts)

describe('agents that share a name', () => {
  test('are told of each other: the new one when it is ready, the others when one comes or leaves', async () => {
    const server = await startServer()
    const first = await serving(server)
    expect(first.listener.others).toEqual({ agents: 0, hosts: 0 })
    const told = once(first.listener, 'shared')

    const second = await serving(server, '127.0.0.2')
    expect(second.listener.others).toEqual({ agents: 1, hosts: 1 })
    expect(await told).toEqual([{ agents: 1, hosts: 1 }])

    const third = await serving(server)
    expect(third.listener.others).toEqual({ agents: 2, hosts: 1 })
    await others(first.listener, 2, 1)
    // For the second, the other two are on one other host.
    await others(second.listener, 2, 1)

    await third.agent.close()
    await others(first.listener, 1, 1)
    second.agent.destroy()
    await others(first.listener, 0, 0)
  })

  test('count an agent of Piko, and only those of the same name', async () => {
    const server = await startServer()
    const { listener, agent } = await serving(server)
    const other = agent.listen('api')
    await other.ready()
    await connectPeer(`${server.url}/piko/v1/upstream/web`)
    await others(listener, 1, 0)
    expect(other.others).toEqual({ agents: 0, hosts: 0 })
  })

  test('are not told any more when there are many of them', async () => {
    const server = await startServer()
    const { listener } = await serving(server)
    for (let count = 1; count <= 17; count++) {
      await connectPeer(`${server.url}/piko/v1/upstream/web`)
      await until(() => server.registry.agents(at('web')) === count + 1)
    }
    const late = await serving(server)
    expect(late.listener.others.agents).toBe(18)
    expect(listener.others.agents).toBe(15)
  })
})

describe('an exclusive agent', () => {
  test('is rejected while another agent serves the name, and gets it when that leaves', async () => {
    const server = await startServer({ nameRetryAfterMs: 2_000 })
    const first = await serving(server)
    const agent = agentAt(server.url)
    const listener = agent.listen('web', { exclusive: true })
    const [, error] = await once(agent, 'refused')
    expect(error).toMatchObject({
      code: 'TUNNEL_NAME_IN_USE',
      holder: 'session',
      retryAfterMs: 2_000,
      message: expect.stringMatching(
        /^endpoint "web" refused \(name-in-use\): another agent serves "web" since 20\S+Z, and one of the two is exclusive$/,
      ),
    })
    expect([listener.online, server.registry.agents(at('web'))]).toEqual([false, 1])
    await first.agent.close()
    await listener.ready()
    // Its own second connection is no other agent.
    await until(() => server.registry.count(at('web')) === 2)
    expect(listener.others).toEqual({ agents: 0, hosts: 0 })
  })

  test('ends with TUNNEL_NAME_IN_USE when the other agent is still there after the time to ask again', async () => {
    const server = await startServer(SOON)
    await serving(server)
    const listener = agentAt(server.url).listen('web', { exclusive: true })
    const { error } = await listener.closed
    expect(isTunnelError(error, 'TUNNEL_NAME_IN_USE')).toBe(true)
    expect(server.registry.agents(at('web'))).toBe(1)
  })

  test('asks each of several servers twice, whatever the others said', async () => {
    const seen: unknown[] = []
    const first = await startServer(SOON)
    const toldOften = async (): Promise<Grant> => {
      await until(() => seen.length > 1)
      return { identity: 'a', tenant: '', permits: () => true }
    }
    const late = await startServer({
      nameRetryAfterMs: 150,
      authorize: async ({ headers }) =>
        headers.authorization === undefined
          ? { identity: 'a', tenant: '', permits: () => true }
          : await toldOften(),
    })
    await serving(first)
    await serving(late)
    const agent = new Agent({ url: [first.url, late.url], token: 'late' })
    onTestFinished(() => agent.destroy())
    agent.on('refused', (_, { retryAfterMs }) => seen.push(retryAfterMs))
    const { error } = await agent.listen('web', { exclusive: true }).closed
    expect(isTunnelError(error, 'TUNNEL_NAME_IN_USE')).toBe(true)
    expect(seen.filter((ms) => ms === 150).length).toBeGreaterThan(1)
  })

  test('that has served the name waits for it', async () => {
    const server = await startServer(SOON)
    const alone = agentAt(server.url)
    const listener = alone.listen('web', { exclusive: true })
    await listener.ready()
    await until(() => alone.sessions === 2)
    // Another agent has the name when the sessions of this one come back.
    const sessions = server.registry.sessions(at('web'))
    const rival: Upstream = {
      id: 'rival',
      peer: 'rival',
      agentId: 'rival',
      protocol: 'adit',
      identity: sessions[0]?.identity ?? '',
      tenant: sessions[0]?.tenant ?? '',
      remoteAddress: undefined,
      connectedAt: Date.now(),
      leaving: new AbortController().signal,
      openStreams: 0,
      maxStreams: 1,
      openable: 0,
      endpointCount: 1,
      suspect: false,
      streamsOf: () => 0,
      openStream: () => {
        throw new Error('no visitor comes')
      },
      whenRoom: async () => {},
      doubt: () => {},
      probe: () => {},
      end: () => {},
    }
    server.registry.add(at('web'), rival)
    for (const session of sessions) session.end('test')
    let refusals = 0
    alone.on('refused', () => (refusals += 1))
    await until(() => refusals >= 6)
    expect(listener.online).toBe(false)
    server.registry.remove(at('web'), rival)
    await listener.ready()
  })

  test('keeps other agents off, of ours and of Piko, until it leaves', async () => {
    const server = await startServer(SOON)
    const alone = agentAt(server.url)
    await alone.listen('web', { exclusive: true }).ready()
    const late = agentAt(server.url)
    const listener = late.listen('web')
    const [, error] = await once(late, 'refused')
    expect(error).toMatchObject({ code: 'TUNNEL_NAME_IN_USE', retryAfterMs: 100 })

    using connection = await connectRaw(Number(new URL(server.url).port))
    const lines = [
      'GET /piko/v1/upstream/web HTTP/1.1',
      'Host: x',
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
    ]
    await connection.send(`${lines.join('\r\n')}\r\n\r\n`)
    const { status, headers, body } = await connection.readResponse()
    expect([status, headers['retry-after']]).toEqual([503, '1'])
    expect(JSON.parse(body.toString())).toMatchObject({
      code: 'name-in-use',
      holder: 'session',
      retryAfterMs: 100,
    })

    // Other names are free.
    await late.listen('api').ready()
    await alone.close()
    await listener.ready()
  })

  test('does not serve a name of a server that does not know of it: TUNNEL_EXCLUSIVE_UNSUPPORTED', async () => {
    const server = await startPikoServer({ headers: ['adit-protocol: 1'] })
    const listener = agentAt(server.url).listen('web', { exclusive: true })
    const control = await controlOf(await (await server.session(0)).stream())
    control.send({ type: 'hello', software: 's', peer: 'n' })
    const { id, exclusive } = await control.receive('register')
    expect(exclusive).toBe(true)
    control.send({ type: 'registered', id, urls: [] })
    const { error } = await listener.closed
    expect(isTunnelError(error, 'TUNNEL_EXCLUSIVE_UNSUPPORTED')).toBe(true)
    expect(await control.receive('release')).toMatchObject({ endpoint: 'web' })
  })

  test('does not serve a name of a server of Piko', async () => {
    const server = await startPikoServer()
    const { error } = await agentAt(server.url).listen('web', { exclusive: true }).closed
    expect(isTunnelError(error, 'TUNNEL_EXCLUSIVE_UNSUPPORTED')).toBe(true)
  })
})

describe('an agent that replaces another', () => {
  test('is the same agent for the server: both serve an exclusive name until the old one leaves', async () => {
    const server = await startServer(SOON)
    const old = agentAt(server.url)
    const before = old.listen('web', { exclusive: true })
    await before.ready()
    await until(() => old.sessions === 2)

    const next = new Agent({ url: server.url, peer: old.peer })
    onTestFinished(() => next.destroy())
    const listener = next.listen('web', { exclusive: true })
    await listener.ready()
    await next.reached(1, { signal: new AbortController().signal })
    expect(next.peer).toBe(old.peer)
    expect([before.online, server.registry.agents(at('web'))]).toEqual([true, 1])
    expect([before.others.agents, listener.others.agents]).toEqual([0, 0])

    await old.close()
    await until(() => server.registry.count(at('web')) === 2)
    expect(listener.online).toBe(true)
  })

  test('waits until as many servers serve its names', async () => {
    const servers = [
      await startServer({ node: 'first' }),
      await startServer({ node: 'second' }),
    ] as const
    const url = servers.map((server) => server.url)
    const agent = new Agent({ url })
    onTestFinished(() => agent.destroy())
    agent.listen('web')
    await agent.reached(2, { signal: new AbortController().signal })
    expect(servers.map(({ registry }) => registry.agents(at('web')))).toEqual([1, 1])

    const ending = new AbortController()
    const third = agent.reached(3, { signal: ending.signal })
    ending.abort(new Error('not three'))
    await expect(third).rejects.toThrow('not three')
  })
})
