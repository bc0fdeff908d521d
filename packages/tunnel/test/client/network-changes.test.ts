// What an agent and a consumer do when the addresses of their machine change, with real connections.
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

import { listening } from '@proj/testkit/listening'
import { until } from '@proj/testkit/until'
import { expect, onTestFinished, test } from 'vitest'

import { Agent } from '../../src/client/agent.ts'
import { Consumer } from '../../src/client/consumer.ts'
import type { NetworkChange, NetworkChanges } from '../../src/client/network-watch.ts'
import { at, openTo, startServer } from '../peers.ts'

/** A network that changes when the test says so. */
function network(): NetworkChanges & { change(gone: readonly string[], hasCome: boolean): void } {
  const listeners = new Set<(change: NetworkChange) => void>()
  return {
    subscribe(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    change(gone, hasCome) {
      for (const listener of listeners) listener({ gone: new Set(gone), hasCome })
    },
  }
}

/** A relay to a port that can stop passing bytes on its connections, and lets later ones pass. */
async function relayTo(port: number) {
  const sockets = new Set<Socket>()
  const relay = await listening(
    createServer((near) => {
      const far = connect(port, '127.0.0.1')
      for (const socket of [near, far]) sockets.add(socket.on('error', () => {}))
      near.pipe(far).pipe(near)
    }),
  )
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy()
    await relay.close()
  })
  return {
    url: `http://${relay.authority}`,
    freeze: () => {
      for (const socket of sockets) socket.unpipe().pause()
    },
  }
}

test('an agent whose address is gone connects again, and what the old connection carries goes on', async () => {
  const server = await startServer()
  const changes = network()
  await using agent = new Agent({ url: server.url, connections: 1, network: changes })
  const listener = agent.listen('web')
  listener.on('connection', (socket) => socket.on('error', () => {}).pipe(socket))
  await listener.ready()
  const [first] = server.registry.sessions(at('web'))
  const stream = openTo(server.registry, { kind: 'http', endpoint: 'web' }).toStream()
  onTestFinished(() => void stream.destroy())
  stream.write('before')
  expect(String(await once(stream, 'data'))).toBe('before')

  const retried = once(agent, 'retry')
  changes.change(['127.0.0.1'], false)
  expect(await retried).toMatchObject([{ error: { code: 'TUNNEL_NETWORK_CHANGED' }, delayMs: 0 }])
  // The old session serves until the new one does.
  await until(() => {
    const now = server.registry.sessions(at('web'))
    expect(now.length).toBeGreaterThan(0)
    return now.length === 1 && now[0] !== first
  })
  stream.write('after')
  expect(String(await once(stream, 'data'))).toBe('after')
  stream.end()
  await until(() => agent.sessions === 1)
})

test('an agent whose connection is silent after a change replaces it, long before its pings tell', async () => {
  const server = await startServer()
  const changes = network()
  const relay = await relayTo(server.listening.port)
  await using agent = new Agent({ url: relay.url, connections: 1, network: changes })
  await agent.listen('web').ready()
  const [first] = server.registry.sessions(at('web'))
  // A connection that lives is left alone.
  changes.change([], true)
  relay.freeze()
  const retried = once(agent, 'retry')
  changes.change([], true)
  expect(await retried).toMatchObject([{ error: { code: 'TUNNEL_NETWORK_CHANGED' } }])
  const second = await until(() => server.registry.sessions(at('web')).find((one) => one !== first))
  expect(second.suspect).toBe(false)
})

test('a consumer whose address is gone connects again', async () => {
  const server = await startServer()
  const changes = network()
  await using agent = new Agent({ url: server.url, connections: 1, network: network() })
  const listener = agent.listen('echo', { kind: 'tcp' })
  listener.on('connection', (socket) => socket.on('error', () => {}).pipe(socket))
  await listener.ready()
  await using consumer = new Consumer({ url: server.url, network: changes })
  const before = await consumer.open('echo')
  if (before.protocol !== 'adit') throw new Error('not our server')
  const stream = before.channel.toStream()
  stream.on('error', () => {}) // when the consumer ends
  const connected = once(consumer, 'connected')
  changes.change(['127.0.0.1'], false)
  await connected
  stream.write('still')
  expect(String(await once(stream, 'data'))).toBe('still')
  const after = await consumer.open('echo')
  if (after.protocol !== 'adit') throw new Error('not our server')
  expect(after.channel.session).not.toBe(before.channel.session)
  after.channel.reset()
})

test('the name of a server is looked up for each attempt', async () => {
  const server = await startServer()
  let address = '127.0.0.2'
  let lookups = 0
  const lookup = async () => {
    lookups += 1
    return [{ address, family: 4 as const }]
  }
  // Nothing listens at the first address: the name moves while the agent tries.
  const url = `http://server.test:${server.listening.port}`
  await using agent = new Agent({ url, connections: 1, connect: { lookup } })
  const listener = agent.listen('web')
  await once(agent, 'retry')
  expect(lookups).toBe(1)
  address = '127.0.0.1'
  await listener.ready()
  expect(lookups).toBeGreaterThan(1)
})
