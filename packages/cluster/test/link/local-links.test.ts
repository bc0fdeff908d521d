// Links between processes of one program: unix sockets, without TLS.
import { connect } from 'node:net'
import type { Duplex } from 'node:stream'

import { Session } from '@proj/mux'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { until, untilEvent } from '@proj/testkit/until'
import { Agent, dial } from '@proj/tunnel'
import { encodeStreamRecord } from '@proj/tunnel/server'
import { expect, onTestFinished, test } from 'vitest'

import { formatGreeting } from '../../src/link/control-stream.ts'
import { serve, startLocalNode, type TestNode } from './nodes.ts'

const { signal } = new AbortController()

/** A folder that is removed with the test. */
function folder(): string {
  const directory = temporaryDirectory()
  onTestFinished(() => directory[Symbol.dispose]())
  return directory.path
}

/** A peer on the unix socket of a node that greets as it is told. */
async function greet(node: TestNode, greeting: object) {
  const socket = connect(node.row.address.slice('unix:'.length))
  onTestFinished(() => void socket.destroy())
  await untilEvent(socket, 'connect')
  const session = new Session(socket, { role: 'client' })
  const stream = await session.open()
  stream.on('error', () => {})
  stream.write(encodeStreamRecord({ kind: 'control', endpoint: '' }))
  stream.write(formatGreeting({ protocol: 1, version: '1.0.0', node: '', boot: '', ...greeting }))
  return { session, stream }
}

test('a connection crosses to another node, and pages are read', async () => {
  const path = folder()
  const [a, b] = [await startLocalNode('a', path), await startLocalNode('b', path)]
  a.meet(b)
  await a.links.ready(signal)
  const agent = new Agent({ url: await serve(b), connections: 1 })
  onTestFinished(async () => await agent.close())
  const listener = agent.listen('pg', { kind: 'tcp' })
  listener.on('connection', (stream: Duplex) => void stream.pipe(stream))
  await listener.ready()
  await until(() => a.registry.count({ tenant: '', name: 'pg' }) === 1)
  const stream = await dial('pg', { url: await serve(a) })
  stream.end('hello')
  expect((await stream.toArray()).join('')).toBe('hello')
  expect([...a.links.links()]).toMatchObject([{ state: 'up', hops: 1 }])
  expect(b.links.accepted).toMatchObject({ links: 1, hops: 1, refusedConnections: 0 })
  expect(await a.links.ask('b', '/health', signal)).toMatchObject({ status: 200, body: '/health' })
})

test('a node that connects before its row is known waits for it', async () => {
  const path = folder()
  const [a, b] = [await startLocalNode('a', path), await startLocalNode('b', path)]
  const { session, stream } = await greet(b, { node: 'a', boot: 'a-boot' })
  await session.ping() // its greeting has been read
  expect(b.links.accepted.links).toBe(0)
  b.knows(a)
  const [answer] = await untilEvent(stream, 'data')
  expect(JSON.parse(String(answer))).toMatchObject({ node: 'b', boot: 'b-boot' })
  expect(b.links.accepted.links).toBe(1)
})

test('a peer that names no node, or an earlier run of one, gets nothing', async () => {
  const path = folder()
  const [a, b] = [await startLocalNode('a', path), await startLocalNode('b', path)]
  a.knows(b)
  const { session } = await greet(a, { node: 'b', boot: 'b-0' })
  const hop = { tenant: '', hops: 1, epoch: 1, node: 'b', rules: Buffer.alloc(0) }
  const stream = await session.open()
  stream.on('error', () => {})
  stream.write(encodeStreamRecord({ kind: 'tcp', endpoint: 'web', hop }))
  expect((await session.closed).code).toMatch(/^MUX_TRANSPORT/)
  expect(a.links.accepted).toMatchObject({ links: 0, hops: 0, refusedHops: 0 })
})

test('a node of a cluster does not connect to unix sockets', async () => {
  const path = folder()
  const [a, b] = [await startLocalNode('a', path, false), await startLocalNode('b', path)]
  a.meet(b)
  await until(() => a.logger.find('no link to a node').length > 0)
  expect(a.logger.find('no link to a node')[0]?.fields['why']).toBe('its address is a unix socket')
  expect(b.links.accepted.links).toBe(0)
})

test('a node that ends as it should is no warning to the others, and refuses nobody', async () => {
  const path = folder()
  const [a, b] = [await startLocalNode('a', path), await startLocalNode('b', path)]
  a.meet(b)
  await a.links.ready(signal)
  await b.links.close(signal)
  await until(() => a.logger.find('no link to a node').length > 0)
  expect(a.logger.find('link to a node is lost')).toMatchObject([{ level: 'debug' }])
  expect(a.logger.find('no link to a node')[0]).toMatchObject({ level: 'debug' })
  expect(b.links.accepted.refusedConnections).toBe(0)
})
