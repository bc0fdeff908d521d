// Moving from one server to another: make before break, with visitors all the time.
import { once } from 'node:events'

import { isMuxError } from '@proj/mux'
import { until } from '@proj/testkit/until'
import { expect, onTestFinished, test } from 'vitest'

import { Agent } from '../../src/client/agent.ts'
import { Consumer } from '../../src/client/consumer.ts'
import { at, openTo, startServer, startService, type TestServer, tryOpen } from '../peers.ts'

const SOON = { minMs: 1, baseMs: 1, maxMs: 5 }
const RECORD = { kind: 'tcp', endpoint: 'echo' } as const

/** A load balancer for connections: one address, behind it whichever server is told. */
async function balancer(
  first: TestServer,
): Promise<{ url: string; use: (next: TestServer) => void }> {
  const { connect } = await import('node:net')
  let server = first
  const { authority } = await startService((socket) => {
    const { host, port } = server.listening
    const onward = connect({ host, port })
    socket.on('error', () => onward.destroy())
    onward.on('error', () => socket.destroy())
    socket.pipe(onward).pipe(socket)
  })
  return { url: `http://${authority}`, use: (next) => (server = next) }
}

/** One exchange of a visitor: what it sent, or why it failed. */
async function visit(server: TestServer, text: string): Promise<string> {
  const channel = tryOpen(server.registry, RECORD)
  if (channel === undefined) return 'none'
  return await new Promise((resolve) => {
    let received = ''
    channel.attach({
      onData(chunk) {
        received += chunk.toString()
        channel.consume(chunk.length)
      },
      onEnd() {},
      onDrain() {},
      onClose: (error) => resolve(error === undefined ? received : error.code),
    })
    channel.write(Buffer.from(text))
    channel.end()
  })
}

function echoAgent(url: string, connections?: number): Agent {
  const agent = new Agent({ url, backoff: SOON, ...(connections !== undefined && { connections }) })
  onTestFinished(() => agent[Symbol.asyncDispose]())
  agent.listen('echo', { kind: 'tcp' }).on('connection', (stream) => {
    stream.on('error', () => {})
    stream.pipe(stream)
  })
  return agent
}

test('no request is lost while agents move to the next server', async () => {
  const [old, next] = [await startServer(), await startServer()]
  const { url, use } = await balancer(old)
  const agent = echoAgent(url)
  await until(() => old.registry.count(at('echo')) === 2)
  const offline: unknown[] = []
  for (const listener of agent.endpoints) listener.on('offline', () => offline.push(1))

  // Visitors come to both servers for as long as each serves the endpoint; at every moment one does.
  let visiting = true
  const answers: string[] = []
  const visitor = async (name: number): Promise<void> => {
    for (let count = 0; visiting; count++) {
      const text = `${name}-${count}`
      const server = next.registry.count(at('echo')) > 0 ? next : old
      const answer = await visit(server, text)
      answers.push(answer === text ? 'ok' : answer)
    }
  }
  const visitors = [0, 1, 2, 3].map(visitor)
  const longLived = openTo(old.registry, RECORD)
  const echoed: string[] = []
  longLived.attach({
    onData(chunk) {
      echoed.push(chunk.toString())
      longLived.consume(chunk.length)
    },
    onEnd() {},
    onDrain() {},
    onClose: (error) => void echoed.push(error?.code ?? 'closed'),
  })

  use(next)
  old.upstream.askToMove()
  await until(() => next.registry.count(at('echo')) === 2)
  await until(() => old.registry.count(at('echo')) === 0)
  const drained = old.upstream.drain({ signal: AbortSignal.timeout(20_000) })
  longLived.write(Buffer.from('still here'))
  await until(() => echoed.length === 1)
  longLived.end()
  await drained
  visiting = false
  await Promise.all(visitors)

  expect(echoed).toEqual(['still here', 'closed'])
  expect(new Set(answers)).toEqual(new Set(['ok']))
  expect(answers.length).toBeGreaterThan(4)
  expect(offline).toEqual([])
  await until(() => agent.sessions === 2)
  expect(old.upstream.sessions.size).toBe(0)
})

test('an agent that has nowhere else to go serves on until the server cuts it', async () => {
  const server = await startServer()
  const agent = echoAgent(server.url)
  await until(() => server.registry.count(at('echo')) === 2)
  const retried = once(agent, 'retry')
  server.upstream.askToMove()
  await retried
  expect(await visit(server, 'on')).toBe('on')
  const [listener] = agent.endpoints
  expect(listener?.online).toBe(true)
  await server.upstream.drain({ signal: AbortSignal.timeout(20_000) })
  await until(() => listener?.online === false)
})

test('an agent that is refused by the next server stays with the old one', async () => {
  const old = await startServer()
  const next = await startServer()
  next.upstream.askToMove() // which is itself about to stop
  const { url, use } = await balancer(old)
  const agent = echoAgent(url)
  await until(() => old.registry.count(at('echo')) === 2)
  use(next)
  old.upstream.askToMove()
  await once(agent, 'retry')
  await once(agent, 'retry')
  expect(await visit(old, 'on')).toBe('on')
  expect(old.registry.count(at('echo'))).toBe(2)
})

test('a server that is killed and started again gets its agents back', async () => {
  const [old, next] = [await startServer(), await startServer()]
  const { url, use } = await balancer(old)
  echoAgent(url)
  await until(() => old.registry.count(at('echo')) === 2)
  use(next)
  for (const socket of old.listening.sockets) socket.resetAndDestroy()
  await until(() => next.registry.count(at('echo')) === 2)
  expect(await visit(next, 'again')).toBe('again')
})

test('a consumer moves too: open connections finish, new ones go to the next server', async () => {
  const [old, next] = [await startServer(), await startServer()]
  echoAgent(old.url)
  echoAgent(next.url)
  await until(() => old.registry.count(at('echo')) + next.registry.count(at('echo')) === 4)
  const { url, use } = await balancer(old)
  const consumer = new Consumer({ url, backoff: SOON })
  onTestFinished(() => consumer[Symbol.asyncDispose]())
  const first = await consumer.open('echo')
  if (first.protocol !== 'adit') throw new Error('not our protocol')
  const stream = first.channel.toStream()
  stream.on('error', (error) => expect(isMuxError(error)).toBe(true))
  use(next)
  const drained = old.connect.drain({ signal: AbortSignal.timeout(20_000) })
  await until(() => next.connect.size === 1)
  const second = await consumer.open('echo')
  if (second.protocol !== 'adit') throw new Error('not our protocol')
  expect(second.channel.session).not.toBe(first.channel.session)
  stream.write('late')
  expect(String(((await once(stream, 'data')) as [Buffer])[0])).toBe('late')
  stream.end()
  await drained
  expect(old.connect.size).toBe(0)
  second.channel.reset()
})

test('an agent that is kept serves on after it has moved, until it is let go', async () => {
  const [old, next] = [await startServer(), await startServer()]
  const { url, use } = await balancer(old)
  const agent = echoAgent(url)
  await until(() => old.registry.count(at('echo')) === 2)
  use(next)
  old.upstream.askToMove({ keep: true })
  await until(() => next.registry.count(at('echo')) === 2)
  // Round trips on the connections that its `drain` has come on.
  for (let count = 0; count < 20; count += 1) expect(await visit(old, 'on')).toBe('on')
  expect(old.registry.count(at('echo'))).toBe(2)
  old.upstream.letGo()
  await until(() => old.registry.count(at('echo')) === 0)
  await until(() => old.upstream.sessions.size === 0)
  await until(() => agent.sessions === 2) // it may learn of the end a moment later
})

test('agents move one after the other', async () => {
  const [old, next] = [await startServer(), await startServer()]
  const { url, use } = await balancer(old)
  echoAgent(url)
  await until(() => old.registry.count(at('echo')) === 2)
  use(next)
  const beganAt = performance.now()
  old.upstream.askToMove({ perSecond: 4 })
  await until(() => next.registry.count(at('echo')) === 2)
  expect(performance.now() - beganAt).toBeGreaterThanOrEqual(250)
})

test('some agents are asked to move while the server goes on to accept them', async () => {
  const from = await startServer()
  const to = await startServer()
  const front = await balancer(from)
  const all = 3
  for (let index = 0; index < all; index++) echoAgent(front.url, 1)
  await until(() => from.registry.count(at('echo')) === all)
  front.use(to)
  const { signal } = new AbortController()
  expect(from.upstream.moveSome(2, { signal })).toBe(2)
  await until(() => to.upstream.sessions.size === 2 && from.upstream.sessions.size === all - 2)
  // Those that were asked do not count: the others are.
  expect(from.upstream.moveSome(Infinity, { signal })).toBe(all - 2)
  await until(() => from.upstream.sessions.size === 0)
  front.use(from)
  echoAgent(front.url, 1)
  await until(() => from.registry.count(at('echo')) === 1)
})

test('a name that another identity has now is served no more, and its agent asks again', async () => {
  const server = await startServer()
  const agent = new Agent({ url: server.url, backoff: SOON, connections: 1 })
  onTestFinished(() => agent[Symbol.asyncDispose]())
  for (const name of ['echo', 'other']) agent.listen(name, { kind: 'tcp' })
  await until(
    () => server.registry.count(at('other')) === 1 && server.registry.count(at('echo')) === 1,
  )
  const [first] = server.upstream.sessions
  server.upstream.loseName({ tenant: 'acme', name: 'echo' })
  expect(server.registry.count(at('echo'))).toBe(1)
  server.upstream.loseName(at('echo'))
  expect([server.registry.count(at('echo')), server.registry.count(at('other'))]).toEqual([0, 1])
  await until(() => server.registry.count(at('echo')) === 1)
  // The first session may not be over yet.
  const [second] = server.registry.sessions(at('echo'))
  expect(second).not.toBe(first)
})
