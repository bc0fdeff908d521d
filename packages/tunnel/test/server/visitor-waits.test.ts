// Visitors that come while an agent is away or busy: who waits, for how long, and how many.
import { once } from 'node:events'

import type { Channel } from '@proj/mux'
import { until } from '@proj/testkit/until'
import { describe, expect, test, vi } from 'vitest'

import { Agent } from '../../src/client/agent.ts'
import { dial } from '../../src/client/sdk.ts'
import { silentLogger } from '../../src/logger.ts'
import { RESET_REASONS } from '../../src/protocol/reset-reason.ts'
import { openConnection, TcpConnection, type TcpVisitor } from '../../src/server/open-connection.ts'
import { ABSENT_MS, LEARN_MS, MOVED_MS, VisitorWaits } from '../../src/server/visitor-waits.ts'
import { at, connectPeer, openTo, readAll, startServer, type TestServer } from '../peers.ts'

const VISITOR = { remoteAddress: undefined, remotePort: undefined }
const SOON = { minMs: 1, baseMs: 1, maxMs: 2 }

/** Opens a connection; a result without a wait is a promise as well. */
async function open(
  { registry }: TestServer,
  signal = new AbortController().signal,
  visitor: TcpVisitor = VISITOR,
) {
  return await openConnection(registry, at('pg'), visitor, silentLogger, signal)
}

const route = ({ url }: TestServer) => `${url}/piko/v1/upstream/pg`

/** An agent of Piko's that was there and whose connection broke. */
async function lostAgent(server: TestServer): Promise<void> {
  const peer = await connectPeer(route(server))
  await until(() => server.registry.count(at('pg')) === 1)
  peer.socket.resetAndDestroy()
  await until(() => server.registry.count(at('pg')) === 0)
}

describe('an endpoint whose last session was lost', () => {
  test('is waited for until its agent is back', async () => {
    const server = await startServer()
    await lostAgent(server)
    const [first, second] = [open(server), open(server)]
    expect(server.registry.waits.waiting).toBe(2)
    await connectPeer(route(server))
    expect(await first).toBeInstanceOf(TcpConnection)
    expect(await second).toBeInstanceOf(TcpConnection)
    expect(server.registry.waits.waiting).toBe(0)
  })

  test('is waited for no longer than absentWaitMs', async () => {
    const server = await startServer({ waits: { absentWaitMs: 50 } })
    await lostAgent(server)
    const sinceMs = performance.now()
    expect(await open(server)).toBe('noUpstream')
    expect(performance.now() - sinceMs).toBeGreaterThan(45)
    expect(server.registry.waits.waiting).toBe(0)
  })

  test.each([
    ['its agent left in good order', {}],
    ['absentWaitMs is 0', { absentWaitMs: 0 }],
    ['too many wait', { maxWaiting: 0 }],
  ])('is not waited for when %s', async (why, waits) => {
    const server = await startServer({ waits })
    if (Object.keys(waits).length > 0) await lostAgent(server)
    else {
      const agent = new Agent({ url: server.url })
      await agent.listen('pg', { kind: 'tcp' }).ready()
      await agent.close()
      await until(() => server.registry.count(at('pg')) === 0)
    }
    expect(await open(server)).toBe('noUpstream')
    expect(server.registry.waits.rejected).toBe(why === 'too many wait' ? 1 : 0)
  })

  test('is not waited for by a visitor that is gone', async () => {
    const server = await startServer()
    await lostAgent(server)
    const gone = new AbortController()
    const waiting = open(server, gone.signal)
    gone.abort()
    expect(await waiting).toBe('noUpstream')
    expect(server.registry.waits.waiting).toBe(0)
  })

  test('is another one in another tenant', async () => {
    const { registry, ...server } = await startServer()
    await lostAgent({ ...server, registry })
    expect(registry.waits.expects(at('pg', 'acme'))).toBe(false)
    expect(registry.waits.expects(at('pg'))).toBe(true)
  })

  test('has what a consumer sent meanwhile, when its agent is back', async () => {
    const server = await startServer()
    await lostAgent(server)
    const stream = await dial('pg', { url: server.url })
    stream.end('SELECT 1')
    await until(() => server.registry.waits.waiting === 1)
    const agent = new Agent({ url: server.url })
    agent
      .listen('pg', { kind: 'tcp' })
      .on('connection', (connection) => connection.pipe(connection))
    expect(await readAll(stream)).toBe('SELECT 1')
    await agent[Symbol.asyncDispose]()
  })

  test('is forgotten by a consumer that goes while it waits', async () => {
    const server = await startServer()
    await lostAgent(server)
    const stream = await dial('pg', { url: server.url })
    await until(() => server.registry.waits.waiting === 1)
    stream.destroy()
    await until(() => server.registry.waits.waiting === 0)
    const agent = await connectPeer(route(server))
    await until(() => server.registry.count(at('pg')) === 1)
    expect(agent.session.openStreams).toBe(0)
  })
})

describe('an endpoint that no session has served', () => {
  test('is waited for by a connection of a consumer, and served when its agent comes', async () => {
    const server = await startServer()
    const stream = await dial('pg', { url: server.url })
    stream.end('SELECT 1')
    await until(() => server.registry.waits.waiting === 1)
    expect(server.registry.waits.expects(at('pg'))).toBe(false)
    await using agent = new Agent({ url: server.url })
    agent
      .listen('pg', { kind: 'tcp' })
      .on('connection', (connection) => connection.pipe(connection))
    expect(await readAll(stream)).toBe('SELECT 1')
    expect(server.registry.waits.waiting).toBe(0)
  })

  test('is waited for no longer than absentWaitMs', async () => {
    const server = await startServer({ waits: { absentWaitMs: 50 } })
    const sinceMs = performance.now()
    const stream = await dial('pg', { url: server.url })
    await expect(readAll(stream)).rejects.toMatchObject({
      reason: RESET_REASONS.noUpstream,
    })
    expect(performance.now() - sinceMs).toBeGreaterThan(45)
  })

  test('is not waited for by other visitors, nor when absentWaitMs is 0', async () => {
    const server = await startServer({ waits: { absentWaitMs: 0 } })
    const waiting = await startServer()
    const opened = open(waiting)
    expect(waiting.registry.waits.waiting).toBe(0)
    expect(await opened).toBe('noUpstream')
    const stream = await dial('pg', { url: server.url })
    await expect(readAll(stream)).rejects.toMatchObject({
      reason: RESET_REASONS.noUpstream,
    })
  })

  test('takes a quarter of the places, together with others of its kind', async () => {
    const waits = new VisitorWaits({ maxWaiting: 8 })
    const gone = new AbortController()
    const wait = (name: string, isHeld: boolean) => waits.whenServed(at(name), gone.signal, isHeld)
    waits.lost(at('lost'))
    const held = [wait('one', true), wait('two', true)]
    expect(held).not.toContain(undefined)
    expect([wait('three', true), waits.rejected]).toEqual([undefined, 1])
    const expected = wait('lost', true)
    expect(expected).toBeInstanceOf(Promise)
    waits.settled(at('one'))
    await held[0]
    expect(wait('three', true)).toBeInstanceOf(Promise)
    gone.abort()
    await Promise.all([...held, expected])
  })
})

describe('what is remembered', () => {
  test('lasts for ABSENT_MS, for reserved names from the start of the process', () => {
    vi.useFakeTimers({ toFake: ['performance', 'setTimeout', 'clearTimeout'] })
    try {
      const waits = new VisitorWaits({}, ({ name }) => name === 'reserved')
      waits.lost(at('pg'))
      const expected = () => ['pg', 'reserved', 'other'].map((name) => waits.expects(at(name)))
      expect([waits.isExpecting, ...expected()]).toEqual([true, true, true, false])
      vi.advanceTimersByTime(ABSENT_MS - 1)
      expect([waits.isExpecting, ...expected()]).toEqual([true, true, true, false])
      vi.advanceTimersByTime(1)
      expect([waits.isExpecting, ...expected()]).toEqual([false, false, false, false])
      waits.lost(at('other'))
      expect([waits.isExpecting, ...expected()]).toEqual([true, false, false, true])
      vi.advanceTimersByTime(ABSENT_MS)
      expect([waits.isExpecting, ...expected()]).toEqual([false, false, false, false])
    } finally {
      vi.useRealTimers()
    }
  })

  test('lasts for MOVED_MS where an agent has left a node of a cluster, and so does the wait', async () => {
    vi.useFakeTimers({ toFake: ['performance', 'setTimeout', 'clearTimeout'] })
    try {
      const waits = new VisitorWaits()
      vi.advanceTimersByTime(ABSENT_MS) // nothing is expected because of the start
      waits.left(at('pg'))
      expect([waits.isExpecting, waits.expects(at('pg')), waits.absent]).toEqual([true, true, []])
      const ended: string[] = []
      void waits.whenServed(at('pg'))?.then(() => ended.push('moved'))
      await vi.advanceTimersByTimeAsync(MOVED_MS - 1)
      expect([waits.expects(at('pg')), ended]).toEqual([true, []])
      await vi.advanceTimersByTimeAsync(1)
      expect([waits.isExpecting, waits.expects(at('pg')), ended]).toEqual([false, false, ['moved']])
      expect(waits.whenServed(at('pg'))).toBeUndefined()
      waits.left(at('pg'))
      waits.settled(at('pg'))
      expect(waits.expects(at('pg'))).toBe(false)
    } finally {
      vi.useRealTimers()
    }
  })

  test('lasts for LEARN_MS for names that another process of the server may have, and ends when it has', async () => {
    vi.useFakeTimers({ toFake: ['performance', 'setTimeout', 'clearTimeout'] })
    try {
      const waits = new VisitorWaits({ maxWaiting: 16 })
      vi.advanceTimersByTime(ABSENT_MS) // nothing is expected because of the start
      expect([waits.isExpecting, waits.expects(at('pg'))]).toEqual([false, false])
      waits.hasPeers = true
      expect([waits.isExpecting, waits.expects(at('pg'))]).toEqual([true, true])
      const ended: string[] = []
      const wait = (name: string) => waits.whenServed(at(name))?.then(() => ended.push(name))
      void wait('unknown')
      void wait('new')
      expect([wait('third'), waits.rejected]).toEqual([undefined, 1]) // half of a quarter of the places
      // Visitors that wait for other reasons, as just after a start, still have places.
      expect(waits.whenServed(at('held'), undefined, true)).toBeInstanceOf(Promise)
      waits.settled(at('new'))
      await vi.advanceTimersByTimeAsync(LEARN_MS - 1)
      expect(ended).toEqual(['new'])
      await vi.advanceTimersByTimeAsync(1)
      expect(ended).toEqual(['new', 'unknown'])
      waits.lost(at('lost'))
      void wait('lost')
      await vi.advanceTimersByTimeAsync(waits.absentWaitMs - 1)
      expect(ended).not.toContain('lost')
      await vi.advanceTimersByTimeAsync(1)
      expect(ended).toContain('lost')
      const never = new VisitorWaits({ absentWaitMs: 0 })
      never.hasPeers = true
      expect([never.expects(at('pg')), never.whenServed(at('pg'))]).toEqual([false, undefined])
    } finally {
      vi.useRealTimers()
    }
  })

  test('is told to a process that takes over', () => {
    vi.useFakeTimers({ toFake: ['performance', 'setTimeout', 'clearTimeout'] })
    try {
      const waits = new VisitorWaits({ startWaitMs: 100 })
      for (const name of ['pg', 'back']) waits.lost(at(name))
      waits.settled(at('back'))
      expect([waits.absent, waits.startLeftMs]).toEqual([[at('pg')], 100])
      vi.advanceTimersByTime(99.6)
      expect(waits.startLeftMs).toBe(0)
      vi.advanceTimersByTime(ABSENT_MS)
      expect([waits.absent, waits.startLeftMs]).toEqual([[], 0])
    } finally {
      vi.useRealTimers()
    }
  })

  test('any name may return within startWaitMs, unless it was served since the start', () => {
    vi.useFakeTimers({ toFake: ['performance', 'setTimeout', 'clearTimeout'] })
    try {
      const waits = new VisitorWaits({ startWaitMs: 100 })
      const usual = new VisitorWaits()
      const never = new VisitorWaits({ startWaitMs: 0 })
      waits.settled(at('left'))
      const mayReturn = () => [
        waits.mayReturn(at('pg')),
        waits.mayReturn(at('left')),
        waits.mayReturn(at('left', 'acme')),
        usual.mayReturn(at('pg')),
        never.mayReturn(at('pg')),
      ]
      vi.advanceTimersByTime(99)
      expect(mayReturn()).toEqual([true, false, true, true, false])
      vi.advanceTimersByTime(1)
      expect(mayReturn()).toEqual([false, false, false, true, false])
      vi.advanceTimersByTime(6_900)
      expect(usual.mayReturn(at('pg'))).toBe(false)
    } finally {
      vi.useRealTimers()
    }
  })

  test('a reserved name that was served since the start is not expected because of the start', () => {
    const waits = new VisitorWaits({}, () => true)
    expect(waits.expects(at('pg'))).toBe(true)
    waits.settled(at('pg')) // and its agent leaves in good order
    expect(waits.expects(at('pg'))).toBe(false)
    expect(waits.expects(at('pg', 'acme'))).toBe(true)
    waits.lost(at('pg'))
    expect(waits.expects(at('pg'))).toBe(true)
  })

  test('is limited: the oldest of 10 000 names is forgotten first', () => {
    const waits = new VisitorWaits()
    for (let n = 0; n <= 10_000; n++) waits.lost(at(`name-${n}`))
    expect(waits.expects(at('name-0'))).toBe(false)
    expect(waits.expects(at('name-1'))).toBe(true)
  })
})

describe('an agent that is busy', () => {
  test('gets a burst of 400 connections when it reads again', async () => {
    const server = await startServer()
    const agent = await connectPeer(route(server))
    await until(() => server.registry.count(at('pg')) === 1)
    agent.socket.pause()
    const all = Array.from({ length: 400 }, () => open(server))
    expect(server.registry.waits.waiting).toBe(144)
    agent.socket.resume()
    const connections = await Promise.all(all)
    expect(connections.every((one) => one instanceof TcpConnection)).toBe(true)
  })

  test('serves a visitor of another source before the rest of a burst', async () => {
    const server = await startServer()
    const agent = await connectPeer(route(server))
    await until(() => server.registry.count(at('pg')) === 1)
    server.registry.waits.sourceOf = (address) => address.slice(0, '2001:db8:0:1'.length)
    agent.socket.pause()
    const order: string[] = []
    const all = Array.from({ length: 500 }, async (_, index) => {
      // IPv6 addresses of one /64 are one source.
      const remoteAddress = index === 499 ? '2001:db8:0:2::1' : `2001:db8:0:1::${index}`
      const result = await open(server, undefined, { remoteAddress, remotePort: 1 })
      expect(result).toBeInstanceOf(TcpConnection)
      order.push(remoteAddress)
    })
    agent.socket.resume()
    await Promise.all(all)
    // Behind those that were under way, and the one whose turn it was.
    expect(order.indexOf('2001:db8:0:2::1')).toBe(257)
  })

  test('is waited for no longer than busyWaitMs, by no more than maxWaiting', async () => {
    const server = await startServer({ waits: { busyWaitMs: 50, maxWaiting: 8 } })
    const agent = await connectPeer(route(server))
    await until(() => server.registry.count(at('pg')) === 1)
    agent.socket.pause()
    for (let n = 0; n < 256; n++) openTo(server.registry, { kind: 'tcp', endpoint: 'pg' })
    const waiting = [open(server), open(server)]
    expect(await open(server)).toBe('limitReached')
    expect(server.registry.waits).toMatchObject({ waiting: 2, rejected: 1 })
    expect(await Promise.all(waiting)).toEqual(['limitReached', 'limitReached'])
  })

  test('with as many streams as a session may have is waited for, and logged once', async () => {
    const server = await startServer()
    await connectPeer(route(server), { acceptBacklog: 10_000 })
    await until(() => server.registry.count(at('pg')) === 1)
    const [session] = server.registry.sessions(at('pg'))
    const channels: Channel[] = []
    const { signal } = new AbortController()
    while (channels.length < 4096) {
      await session?.whenRoom({ signal })
      channels.push(openTo(server.registry, { kind: 'tcp', endpoint: 'pg' }))
    }
    await until(() => channels.every(({ acknowledged }) => acknowledged))
    const waiting = [open(server), open(server)]
    expect(server.registry.waits.waiting).toBe(2)
    channels[0]?.reset()
    expect(await Promise.race(waiting)).toBeInstanceOf(TcpConnection)
    channels[1]?.reset()
    expect((await Promise.all(waiting)).every((one) => one instanceof TcpConnection)).toBe(true)
    const logged = server.logger.records.filter(({ message }) =>
      message.includes('as many streams'),
    )
    expect(logged).toMatchObject([{ level: 'warn', fields: { openStreams: 4096 } }])
  })

  test('that is lost meanwhile is waited for like one that is away', async () => {
    const server = await startServer()
    const agent = await connectPeer(route(server))
    await until(() => server.registry.count(at('pg')) === 1)
    agent.socket.pause()
    for (let n = 0; n < 256; n++) openTo(server.registry, { kind: 'tcp', endpoint: 'pg' })
    const waiting = open(server)
    agent.socket.resetAndDestroy()
    const back = new Agent({ url: server.url, backoff: SOON })
    back.listen('pg', { kind: 'tcp' })
    await once(back, 'connected')
    expect(await waiting).toBeInstanceOf(TcpConnection)
    await back[Symbol.asyncDispose]()
  })
})
