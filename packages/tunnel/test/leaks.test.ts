// Nothing is left behind: no socket, no listener on a signal, no
// entry in a map, after a whole life of every part and after every way it can be cut short.
import { getEventListeners, once } from 'node:events'

import { until } from '@proj/testkit/until'
import { expect, onTestFinished, test } from 'vitest'

import { Agent } from '../src/client/agent.ts'
import { Consumer } from '../src/client/consumer.ts'
import { listen } from '../src/client/sdk.ts'
import {
  deadAddress,
  ending,
  readAll,
  startPikoServer,
  startServer,
  type TestServer,
} from './peers.ts'

const SOON = { minMs: 1, baseMs: 1, maxMs: 2 }

/** Sockets and listening sockets of this process. */
function alive(): number {
  const watched = new Set(['TCPSocketWrap', 'TLSWrap', 'TCPServerWrap'])
  return process.getActiveResourcesInfo().filter((kind) => watched.has(kind)).length
}

const AT_START = alive()

/** Waits until the sockets of the test before are gone, and only those that this one has opened are left. */
async function settled(opened: number): Promise<number> {
  const count = AT_START + opened
  await until(() => alive() === count, { what: `${count} sockets before the test` })
  return count
}

async function emptied(server: TestServer, before: number): Promise<void> {
  await until(() => server.upstream.sessions.size === 0 && server.connect.size === 0)
  expect(server.registry.snapshot().size).toBe(0)
  await until(() => alive() === before, { what: `${before} sockets` })
}

test('a whole life leaves nothing', async () => {
  const server = await startServer()
  const before = await settled(1)
  const listener = await listen('pg', { url: server.url, kind: 'tcp' })
  listener.on('connection', (stream) => void readAll(stream).then((text) => stream.end(text)))
  const consumer = new Consumer({ url: server.url })
  const texts = await Promise.all(
    Array.from({ length: 50 }, async (_, index) => {
      const way = await consumer.open('pg')
      const stream = way.protocol === 'adit' ? way.channel.toStream() : way.pipe
      stream.end(`text ${index}`)
      return await readAll(stream)
    }),
  )
  expect(new Set(texts).size).toBe(50)
  await consumer.close()
  await listener.close()
  await emptied(server, before)
})

test.each(['agent', 'consumer', 'upstream', 'connect', 'connections'] as const)(
  'the %s cut in the middle of everything leaves nothing',
  async (part) => {
    const server = await startServer()
    const before = await settled(1)
    const agent = new Agent({ url: server.url, backoff: SOON })
    const consumer = new Consumer({ url: server.url, backoff: SOON })
    onTestFinished(async () => {
      await agent[Symbol.asyncDispose]()
      await consumer[Symbol.asyncDispose]()
    })
    const listener = agent.listen('pg', { kind: 'tcp' })
    listener.on('connection', (stream) => stream.on('error', () => {}).write('hello'))
    await listener.ready()
    const ways = await Promise.all(Array.from({ length: 20 }, () => consumer.open('pg')))
    const streams = ways.map((way) => (way.protocol === 'adit' ? way.channel.toStream() : way.pipe))
    await Promise.all(streams.map((stream) => once(stream, 'data')))
    const ended = Promise.all(streams.map(ending))
    if (part === 'agent') agent.destroy()
    else if (part === 'consumer') consumer.destroy()
    else if (part === 'upstream') server.upstream.destroy()
    else if (part === 'connect') server.connect.destroy()
    else for (const socket of server.listening.sockets) socket.resetAndDestroy()
    const errors = await ended
    expect(errors.filter((error) => error === undefined)).toEqual([])
    agent.destroy()
    consumer.destroy()
    await emptied(server, before)
  },
)

test('an agent that is ended between two attempts, or in one, leaves nothing', async () => {
  const before = await settled(0)
  const { host, port } = await deadAddress()
  const waiting = new Agent({
    url: `http://${host}:${port}`,
    backoff: { minMs: 60_000, baseMs: 60_000 },
  })
  waiting.listen('web')
  await once(waiting, 'retry')
  await waiting.close()
  const server = await startPikoServer()
  const connecting = new Agent({ url: server.url })
  connecting.listen('web')
  await connecting[Symbol.asyncDispose]()
  await server.listening.close()
  await until(() => alive() === before)
  expect([waiting.sessions, connecting.sessions]).toEqual([0, 0])
})

test('a signal that was used has no listener left', async () => {
  const server = await startServer()
  const { signal } = new AbortController()
  const agent = new Agent({ url: server.url })
  const consumer = new Consumer({ url: server.url })
  const listener = agent.listen('pg', { kind: 'tcp' })
  await listener.ready({ signal })
  await consumer.ready({ signal })
  await consumer.query('pg', { signal })
  const way = await consumer.open('pg', { signal })
  if (way.protocol === 'adit') way.channel.reset()
  await Promise.all([agent.close({ signal }), consumer.close({ signal })])
  expect(getEventListeners(signal, 'abort')).toEqual([])
})
