// Which streams of an agent one source and one endpoint may have, for TCP.
import { describe, expect, test } from 'vitest'

import { Agent } from '../../src/client/agent.ts'
import { Consumer } from '../../src/client/consumer.ts'
import { silentLogger } from '../../src/logger.ts'
import { openConnection, TcpConnection } from '../../src/server/open-connection.ts'
import { StreamQuota } from '../../src/server/stream-quota.ts'
import { at, startServer } from '../peers.ts'

const { signal } = new AbortController()

/** An agent with two TCP endpoints, and a visitor that opens connections to them. */
async function agentOf(quota: StreamQuota) {
  const server = await startServer({ quota })
  const agent = new Agent({ url: server.url, connections: 1 })
  await Promise.all(['pg', 'ssh'].map((name) => agent.listen(name, { kind: 'tcp' }).ready()))
  const open = (name: string, remoteAddress: string, held = 0) =>
    openConnection(
      server.registry,
      at(name),
      { remoteAddress, remotePort: undefined, held },
      silentLogger,
      signal,
    )
  return { server, agent, open }
}

describe('connections to TCP endpoints', () => {
  test('are rejected above the share of their endpoint', async () => {
    const quota = new StreamQuota({ maxEndpointShare: 1, maxSourceShare: 100 })
    const { agent, open } = await agentOf(quota)
    for (let count = 0; count < 41; count++) {
      expect(open('pg', '192.0.2.1')).toBeInstanceOf(TcpConnection)
    }
    expect(open('pg', '192.0.2.2')).toBe('limitReached')
    expect(open('ssh', '192.0.2.1')).toBeInstanceOf(TcpConnection)
    expect(quota.rejected).toEqual({ source: 0, endpoint: 1 })
    await agent.close()
  })

  test('are counted again when a stream has ended', async () => {
    const quota = new StreamQuota({ maxEndpointShare: 1, maxSourceShare: 100 })
    const { agent, open, server } = await agentOf(quota)
    const first = open('pg', '192.0.2.1')
    for (let count = 1; count < 41; count++) void open('pg', '192.0.2.1')
    expect(open('pg', '192.0.2.1')).toBe('limitReached')
    if (first instanceof TcpConnection) first.abandon()
    const [session] = server.registry.sessions(at('pg'))
    expect(session?.streamsOf('pg')).toBe(40)
    expect(open('pg', '192.0.2.1')).toBeInstanceOf(TcpConnection)
    await agent.close()
  })

  test.each([
    ['its connections', 50, 0],
    ['the streams of its session', 1, 50],
  ])('of a source are rejected by %s above its share', async (_, connections, held) => {
    const quota = new StreamQuota({ maxEndpointShare: 100, maxSourceShare: 1 })
    quota.connectionsOf = (address) => (address === '192.0.2.1' ? connections : 1)
    const { agent, open } = await agentOf(quota)
    // While few streams are open it does not matter whose they are.
    for (let count = 0; count < 40; count++) {
      expect(open('pg', '192.0.2.1', held)).toBeInstanceOf(TcpConnection)
    }
    expect(open('pg', '192.0.2.1', held)).toBe('limitReached')
    expect(open('pg', '192.0.2.2')).toBeInstanceOf(TcpConnection)
    expect(quota.rejected).toEqual({ source: 1, endpoint: 0 })
    await agent.close()
  })

  test('are not rejected while idle streams of their endpoint can give way', async () => {
    const quota = new StreamQuota({ maxEndpointShare: 1, maxSourceShare: 100 })
    const { agent, open, server } = await agentOf(quota)
    const idle = Array.from({ length: 41 }, () => open('pg', '192.0.2.1'))
    const asked: unknown[] = []
    server.registry.makeRoom = (upstream, endpoint) => {
      asked.push(upstream, endpoint)
      const one = idle.pop()
      if (one instanceof TcpConnection) one.abandon()
      return true
    }
    expect(open('pg', '192.0.2.2')).toBeInstanceOf(TcpConnection)
    expect(asked).toEqual([server.registry.sessions(at('pg'))[0], 'pg'])
    await agent.close()
  })

  test('of one consumer session are counted together', async () => {
    const quota = new StreamQuota({ maxEndpointShare: 100, maxSourceShare: 1 })
    const { agent, server } = await agentOf(quota)
    const consumer = new Consumer({ url: server.url })
    await consumer.ready()
    for (let count = 0; count < 50; count++) await consumer.open('pg')
    await expect.poll(() => quota.rejected.source).toBeGreaterThan(0)
    expect(server.registry.sessions(at('pg'))[0]?.streamsOf('pg')).toBeLessThanOrEqual(42)
    await consumer.close()
    await agent.close()
  })
})
