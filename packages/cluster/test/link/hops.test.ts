// Visitors of one node that reach agents of another.
import { once } from 'node:events'
import type { Duplex } from 'node:stream'

import { until } from '@proj/testkit/until'
import { Agent, dial, explainReset, type ListenOptions } from '@proj/tunnel'
import { RESET_REASONS } from '@proj/tunnel/io'
import { describe, expect, onTestFinished, test } from 'vitest'

import { serve, startNode, startNodes, type TestNode } from './nodes.ts'

const at = (name: string) => ({ tenant: '', name })

/** An agent at a node, which answers what it gets with `echo`. */
async function echoAt(node: TestNode, name = 'pg', options: ListenOptions = {}): Promise<Agent> {
  const agent = new Agent({ url: await serve(node), connections: 1 })
  onTestFinished(async () => await agent.close())
  const listener = agent.listen(name, { kind: 'tcp', ...options })
  listener.on('connection', (stream: Duplex) => {
    stream.on('error', () => {})
    stream.pipe(stream)
  })
  await listener.ready()
  return agent
}

async function dialAt(url: string, name = 'pg'): Promise<Duplex> {
  const stream = await dial(name, { url })
  stream.on('error', () => {})
  return stream
}

describe('a connection', () => {
  test('crosses one node, with its end', async () => {
    const [a, b] = await startNodes('a', 'b')
    if (a === undefined || b === undefined) throw new Error('no nodes')
    await echoAt(b)
    await until(() => a.registry.count(at('pg')) === 1)
    const stream = await dialAt(await serve(a))
    stream.end('hello')
    expect((await stream.toArray()).join('')).toBe('hello')
    expect([...a.links.links()]).toMatchObject([{ state: 'up', hops: 1 }])
    expect(b.links.accepted).toMatchObject({ links: 1, hops: 1, refusedHops: 0 })
  })

  test('ends with a reason when the node of its agent stops', async () => {
    const [a, b] = await startNodes('a', 'b')
    if (a === undefined || b === undefined) throw new Error('no nodes')
    await echoAt(b)
    await until(() => a.registry.count(at('pg')) === 1)
    const stream = await dialAt(await serve(a))
    stream.write('hello')
    await once(stream, 'data')
    const failed = once(stream, 'error')
    expect([a.links.hasLongLived, b.links.hasLongLived]).toEqual([false, true])
    b.links.endLongLived()
    expect(await failed).toMatchObject([{ reason: 10 }]) // draining
    expect(b.links.hasLongLived).toBe(false)
  })

  test('ends with the reason of the agent, and of the visitor', async () => {
    const [a, b] = await startNodes('a', 'b')
    if (a === undefined || b === undefined) throw new Error('no nodes')
    const agent = new Agent({ url: await serve(b), connections: 1 })
    onTestFinished(async () => await agent.close())
    const listener = agent.listen('pg', { kind: 'tcp' })
    const streams: Duplex[] = []
    listener.on('connection', (stream: Duplex) => {
      stream.on('error', () => {})
      streams.push(stream)
    })
    await listener.ready()
    await until(() => a.registry.count(at('pg')) === 1)
    const url = await serve(a)
    const first = await dialAt(url)
    const failed = once(first, 'error')
    first.write('x')
    await until(() => streams[0])
    streams[0]?.destroy(new Error('broken'))
    const [error] = (await failed) as [Error]
    expect(explainReset(error)).toMatchObject({
      message: expect.stringContaining('reset') as string,
    })
    const second = await dialAt(url)
    second.write('x')
    await until(() => streams[1])
    second.destroy()
    await until(() => streams[1]?.destroyed === true)
    expect(b.links.accepted.hops).toBe(2)
    await until(() => b.links.accepted.openStreams === 1) // the control stream
  })

  test('goes to an agent of its own node first', async () => {
    const [a, b] = await startNodes('a', 'b')
    if (a === undefined || b === undefined) throw new Error('no nodes')
    await echoAt(b)
    await echoAt(a)
    await until(() => a.registry.count(at('pg')) === 2)
    const url = await serve(a)
    for (let turn = 0; turn < 3; turn++) {
      const stream = await dialAt(url)
      stream.end('hello')
      expect((await stream.toArray()).join('')).toBe('hello')
    }
    expect(b.links.accepted.hops).toBe(0)
  })

  test('of HTTP goes to the agent that is named alone, and to none when that one is not there', async () => {
    const [a, b] = await startNodes('a', 'b')
    if (a === undefined || b === undefined) throw new Error('no nodes')
    b.registry.setBalance(() => 'cookie')
    const agents = [
      await echoAt(b, 'web', { kind: 'http' }),
      await echoAt(b, 'web', { kind: 'http' }),
    ]
    const got = new Map<string, number>()
    for (const agent of agents) {
      const [listener] = agent.endpoints
      listener?.on('connection', () => got.set(agent.peer, (got.get(agent.peer) ?? 0) + 1))
    }
    const route = await until(() => {
      const [found] = a.table.routes(at('web'))
      return found?.agents?.split(' ').length === 2 ? found : undefined
    })
    const open = async (key: string | undefined): Promise<number | undefined> => {
      const upstream = a.links.upstream(route, at('web'), key)
      return await new Promise((resolve) => {
        const channel = upstream.openStream(
          { kind: 'http', endpoint: 'web' },
          {
            onData: () => {
              resolve(undefined)
              channel.reset(RESET_REASONS.consumerGone)
              return false
            },
            onEnd() {},
            onDrain() {},
            onClose: (error) => resolve(error?.reason),
          },
        )
        channel.write(Buffer.from('hello'))
      })
    }
    const keyOf = (peer: string): string | undefined => {
      const sessions = b.registry.sessions(at('web'))
      const session = sessions.find((one) => one.peer === peer)
      return session && b.registry.keyOf(at('web'), session)
    }
    const [one, other] = agents
    for (let turn = 0; turn < 3; turn++) {
      expect(await open(keyOf(other?.peer ?? ''))).toBeUndefined()
    }
    expect([got.get(one?.peer ?? ''), got.get(other?.peer ?? '')]).toEqual([undefined, 3])
    expect(await open('AAAAAAAAAAAAAAAA')).toBe(RESET_REASONS.notHere)
    expect(b.links.accepted.refusedHops).toBe(1)
    // What is bound to an agent counts for the node as well.
    await until(() => a.links.upstream(route, at('web')).streamsOf('web') === 0)
  })

  test('goes to a node whose agent passes its health checks, while there is one', async () => {
    const [a, b, c] = await startNodes('a', 'b', 'c')
    if (a === undefined || b === undefined || c === undefined) throw new Error('no nodes')
    const [atB] = (await echoAt(b)).endpoints
    const [atC] = (await echoAt(c)).endpoints
    const url = await serve(a)
    const hopsAfter = async (isDown: Record<string, boolean>): Promise<(number | undefined)[]> => {
      await until(() => {
        const routes = a.table.routes(at('pg'))
        return routes.length === 2 && routes.every((one) => one.isDown === isDown[one.node.id])
      })
      const before = [b, c].map(({ links }) => links.accepted.hops)
      for (let turn = 0; turn < 4; turn++) {
        const stream = await dialAt(url)
        stream.end('hello')
        expect((await stream.toArray()).join('')).toBe('hello')
      }
      return [b, c].map(({ links }, index) => links.accepted.hops - (before[index] ?? 0))
    }
    atB?.setHealth(false)
    expect(await hopsAfter({ b: true, c: false })).toEqual([0, 4])
    atC?.setHealth(false)
    const [toB = 0, toC = 0] = await hopsAfter({ b: true, c: true })
    expect(toB + toC).toBe(4)
    atB?.setHealth(true)
    expect(await hopsAfter({ b: false, c: true })).toEqual([4, 0])
  })

  test('goes on to another node when the first does not serve the endpoint any more', async () => {
    const [a, b, c] = await startNodes('a', 'b', 'c')
    if (a === undefined || b === undefined || c === undefined) throw new Error('no nodes')
    await echoAt(c)
    await until(() => a.registry.count(at('pg')) === 1)
    const [route] = a.table.routes(at('pg'))
    const [nodeB, nodeC] = [a.table.node('b'), a.table.node('c')]
    if (route === undefined || nodeB === undefined || nodeC === undefined) throw new Error('no row')
    a.table.putRoute(at('pg'), { ...route, node: nodeB })
    a.table.putNode({ ...c.row, load: { sessions: 9, streams: 1_000 } })
    const stream = await dialAt(await serve(a))
    stream.end('hello')
    expect((await stream.toArray()).join('')).toBe('hello')
    expect(b.links.accepted).toMatchObject({ hops: 0, refusedHops: 1 })
    expect(c.links.accepted).toMatchObject({ hops: 1, refusedHops: 0 })
  })

  test('is rejected when no node serves the endpoint as it is known', async () => {
    const [a, b] = await startNodes('a', 'b')
    if (a === undefined || b === undefined) throw new Error('no nodes')
    await echoAt(b)
    const [route] = await until(() => {
      const routes = a.table.routes(at('pg'))
      return routes.length > 0 ? routes : undefined
    })
    const session = b.registry.sessions(at('pg'))[0]
    if (route === undefined || session === undefined) throw new Error('no row')
    // The name went on to another node, which b does not know yet.
    b.registry.add(at('pg'), session, undefined, 'tcp', { epoch: 7 })
    await until(() => a.table.routes(at('pg'))[0]?.epoch === 7)
    a.table.putRoute(at('pg'), { ...route, epoch: 8 })
    const stream = await dialAt(await serve(a))
    const failed = once(stream, 'error')
    stream.write('x')
    expect(explainReset(((await failed) as [Error])[0])).toMatchObject({
      message: expect.stringContaining('no agent serves the endpoint now') as string,
    })
    expect(b.links.accepted.hops).toBe(0)
    expect(b.links.accepted.refusedHops).toBeGreaterThan(0)
  })

  test('waits for an endpoint until another node serves it', async () => {
    const [a, b] = [await startNode('a', { waitMs: 60_000 }), await startNode('b')]
    a.meet(b)
    const stream = await dialAt(await serve(a))
    stream.end('hello')
    await until(() => a.registry.waits.waiting === 1)
    await echoAt(b)
    expect((await stream.toArray()).join('')).toBe('hello')
  })

  test('is carried whole, both ways at once', async () => {
    const [a, b] = await startNodes('a', 'b')
    if (a === undefined || b === undefined) throw new Error('no nodes')
    await echoAt(b)
    await until(() => a.registry.count(at('pg')) === 1)
    const stream = await dialAt(await serve(a))
    const sent = Buffer.alloc(3_000_000, 'abcdefg')
    stream.end(sent)
    expect(Buffer.concat(await stream.toArray()).equals(sent)).toBe(true)
  })
})

describe('the rules of an agent on another node', () => {
  test('are checked before its node is asked', async () => {
    const [a, b] = await startNodes('a', 'b')
    if (a === undefined || b === undefined) throw new Error('no nodes')
    const agent = new Agent({ url: await serve(b), connections: 1 })
    onTestFinished(async () => await agent.close())
    await agent.listen('closed', { kind: 'tcp', visitors: { allow: [] } }).ready()
    await agent.listen('open', { kind: 'tcp', visitors: { allow: ['127.0.0.1'] } }).ready()
    await until(() => a.registry.count(at('open')) === 1 && a.registry.count(at('closed')) === 1)
    const url = await serve(a)
    const denied = await dialAt(url, 'closed')
    const failed = once(denied, 'error')
    denied.write('x')
    expect(explainReset(((await failed) as [Error])[0])).toMatchObject({
      message: expect.stringContaining('not permitted') as string,
    })
    expect(b.links.accepted).toMatchObject({ hops: 0, refusedHops: 0 })
    const admitted = await dialAt(url, 'open')
    admitted.write('x')
    await until(() => b.links.accepted.hops === 1)
  })

  test('close the endpoint when this node cannot read them', async () => {
    const [a, b] = await startNodes('a', 'b')
    if (a === undefined || b === undefined) throw new Error('no nodes')
    await echoAt(b)
    const [route] = await until(() => {
      const routes = a.table.routes(at('pg'))
      return routes.length > 0 ? routes : undefined
    })
    if (route === undefined) throw new Error('no row')
    a.table.putRoute(at('pg'), { ...route, rules: '[["tcp",{"unreadable":true}]]' })
    expect(a.registry.rules(at('pg'))?.map(({ id }) => id)).toEqual(['closed'])
    expect(a.logger.records.filter(({ level }) => level === 'error')).toHaveLength(1)
  })

  test('hold also where they are not known yet', async () => {
    const [a, b] = await startNodes('a', 'b')
    if (a === undefined || b === undefined) throw new Error('no nodes')
    await echoAt(b)
    await until(() => a.registry.count(at('pg')) === 1)
    const session = b.registry.sessions(at('pg'))[0]
    if (session === undefined) throw new Error('no session')
    const stale = a.table.routes(at('pg'))[0]
    const visitors = { allow: ['127.0.0.2'] }
    const rules = { id: 'tcp {"allow":["127.0.0.2"]}', admitsConnection: () => false }
    b.registry.add(at('pg'), session, rules, 'tcp', { visitors })
    await until(() => a.table.routes(at('pg'))[0]?.rules)
    if (stale === undefined) throw new Error('no row')
    a.table.putRoute(at('pg'), stale)
    const stream = await dialAt(await serve(a))
    const failed = once(stream, 'error')
    stream.write('x')
    await failed
    expect(b.links.accepted.hops).toBe(0)
    expect(b.links.accepted.refusedHops).toBeGreaterThan(0)
  })
})
