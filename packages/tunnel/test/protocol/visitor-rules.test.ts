// What an agent demands of its visitors: sent, answered, held as long as somebody registers it, and asked
// of bare connections. The rules themselves are another package's: here they are lists of addresses.
import { once } from 'node:events'
import type { Duplex } from 'node:stream'

import { until } from '@proj/testkit/until'
import { describe, expect, onTestFinished, test } from 'vitest'

import { Agent } from '../../src/client/agent.ts'
import { Consumer } from '../../src/client/consumer.ts'
import { ControlMessageReader, encodeControlMessage } from '../../src/protocol/control-codec.ts'
import type { ControlMessage } from '../../src/protocol/control-message.ts'
import { isTunnelError } from '../../src/errors.ts'
import { forward } from '../../src/client/forward.ts'
import { explainReset } from '../../src/client/sdk.ts'
import { encodeStreamRecord } from '../../src/protocol/stream-record.ts'
import { MAX_VISITOR_RULES_BYTES, type VisitorRules } from '../../src/protocol/visitor-rules.ts'
import {
  at,
  ending,
  openWebSocket,
  readAll,
  startPikoServer,
  startServer,
  startService,
} from '../peers.ts'

const RECORD = encodeStreamRecord({ kind: 'control', endpoint: '' })

function readVisitorRules(rules: object): VisitorRules {
  const { admit } = rules as { admit?: string }
  if (admit === undefined) throw new Error('no word of whom to admit')
  return { id: admit, admitsConnection: (address) => address === admit }
}

function agentOf(url: string, connections = 1): Agent {
  const agent = new Agent({ url, connections, backoff: { minMs: 1, baseMs: 1, maxMs: 2 } })
  onTestFinished(() => agent[Symbol.asyncDispose]())
  return agent
}

describe('rules', () => {
  test('are in force from the first session that sends them to the last', async () => {
    const server = await startServer({ readVisitorRules })
    const agent = agentOf(server.url, 2)
    const listener = agent.listen('pg', { kind: 'tcp', visitors: { admit: '192.0.2.1' } })
    await listener.ready()
    await until(() => server.registry.count(at('pg')) === 2)
    expect(server.registry.hasRules).toBe(true)
    expect(server.registry.rules(at('pg'))?.map(({ id }) => id)).toEqual(['192.0.2.1'])
    expect(server.registry.rules(at('other'))).toBeUndefined()
    await listener.close()
    await until(() => server.registry.count(at('pg')) === 0)
    expect(server.registry.rules(at('pg'))).toBeUndefined()
    expect(server.registry.hasRules).toBe(false)
  })

  test('of several agents all hold, and those without any change nothing', async () => {
    const server = await startServer({ readVisitorRules })
    const [one, other, careless] = [agentOf(server.url), agentOf(server.url), agentOf(server.url)]
    const first = one.listen('pg', { kind: 'tcp', visitors: { admit: '192.0.2.1' } })
    const second = other.listen('pg', { kind: 'tcp', visitors: { admit: '192.0.2.2' } })
    const third = careless.listen('pg', { kind: 'tcp' })
    await Promise.all([first.ready(), second.ready(), third.ready()])
    const ids = (): string[] =>
      (server.registry.rules(at('pg')) ?? []).map(({ id }) => id).toSorted()
    expect(ids()).toEqual(['192.0.2.1', '192.0.2.2'])
    const before = server.registry.rules(at('pg'))
    expect(server.registry.rules(at('pg'))).toBe(before)
    await first.close()
    await until(() => ids().length === 1)
    expect(ids()).toEqual(['192.0.2.2'])
    await second.close()
    await until(() => ids().length === 0)
    expect(server.registry.count(at('pg'))).toBe(1)
  })

  test('beyond eight different ones wait until one is gone', async () => {
    const server = await startServer({ readVisitorRules })
    for (let last = 1; last <= 8; last++) {
      const visitors = { admit: `192.0.2.${last}` }
      await agentOf(server.url).listen('pg', { kind: 'tcp', visitors }).ready()
    }
    const ninth = agentOf(server.url)
    const refused = once(ninth, 'refused')
    ninth.listen('pg', { kind: 'tcp', visitors: { admit: '192.0.2.9' } })
    const [, error] = await refused
    expect(String(error)).toContain('limit-reached')
    expect(error).toHaveProperty('retryAfterMs', 1000)
    expect(server.registry.rules(at('pg'))).toHaveLength(8)
  })

  test('that the server does not understand are refused for good', async () => {
    const server = await startServer({ readVisitorRules })
    const listener = agentOf(server.url).listen('pg', { kind: 'tcp', visitors: {} })
    await expect(listener.ready()).rejects.toThrow('visitors-invalid): no word of whom to admit')
    expect(server.registry.count(at('pg'))).toBe(0)
  })

  test('that are too long are TUNNEL_VISITORS_INVALID before anything is sent', async () => {
    const agent = agentOf('http://127.0.0.1:1')
    const admit = 'x'.repeat(MAX_VISITOR_RULES_BYTES)
    let said: unknown
    try {
      agent.listen('pg', { visitors: { admit } })
    } catch (error) {
      said = error
    }
    expect(isTunnelError(said, 'TUNNEL_VISITORS_INVALID')).toBe(true)
  })
})

describe('a server that does not know of rules', () => {
  test('is told to forget the endpoint, and nobody is served: TUNNEL_VISITORS_UNSUPPORTED', async () => {
    const server = await startServer()
    const agent = agentOf(server.url)
    const listener = agent.listen('pg', { kind: 'tcp', visitors: { admit: '192.0.2.1' } })
    const other = agent.listen('free', { kind: 'tcp' })
    const { error } = await listener.closed
    expect(isTunnelError(error, 'TUNNEL_VISITORS_UNSUPPORTED')).toBe(true)
    await until(() => server.registry.count(at('pg')) === 0)
    await other.ready()
    expect(server.registry.count(at('free'))).toBe(1)
  })

  test('gets every stream of it reset until it has forgotten', async () => {
    const server = await startServer()
    let served = 0
    const service = await startService((socket) => {
      served += 1
      socket.end('served')
    })
    const opened = new Promise<Error | undefined>((resolve) => {
      server.registry.on('endpoint', ({ name }, present) => {
        if (name !== 'pg' || !present) return
        const upstream = server.registry.pick(at('pg'))
        const stream = upstream?.openStream({ kind: 'tcp', endpoint: 'pg' }).toStream()
        if (stream !== undefined) resolve(ending(stream))
      })
    })
    const listener = forward(agentOf(server.url), 'pg', {
      kind: 'tcp',
      service: service.service,
      visitors: { admit: '192.0.2.1' },
    })
    const error = await opened
    expect(error === undefined ? '' : explainReset(error).message).toContain('does not serve')
    await listener.closed
    expect(served).toBe(0)
  })

  test('gets no stream served before it has said that the rules are in force', async () => {
    // A server of our wire, by hand: it opens streams before and after its answer.
    const server = await startPikoServer({ headers: ['adit-protocol: 1'] })
    const listener = agentOf(server.url).listen('pg', { kind: 'tcp', visitors: { admit: 'x' } })
    listener.on('connection', (stream) => stream.on('error', () => {}).end('served'))
    const peer = await server.session(0)
    const control = await peer.stream()
    control.on('error', () => {})
    const asked: ControlMessage[] = []
    const reader = new ControlMessageReader()
    control.on('data', (chunk: Buffer) => {
      try {
        asked.push(...reader.push(asked.length === 0 ? chunk.subarray(RECORD.length) : chunk))
      } catch {
        // the record came in a chunk of its own
      }
    })
    const say = (message: ControlMessage): void => void control.write(encodeControlMessage(message))
    say({ type: 'hello', software: 't', peer: 's' })
    const register = await until(() => asked.find(({ type }) => type === 'register'))
    const open = async (): Promise<Duplex> => {
      const opened = await peer.session.open()
      opened.on('error', () => {})
      opened.write(encodeStreamRecord({ kind: 'tcp', endpoint: 'pg' }))
      return opened
    }
    const early = await ending(await open())
    expect(early === undefined ? '' : explainReset(early).message).toContain('does not serve')
    say({ type: 'registered', id: 'id' in register ? register.id : 0, urls: [], visitors: true })
    await listener.ready()
    expect(await readAll(await open())).toBe('served')
  })

  test('such as Piko gets no stream served either', async () => {
    const server = await startPikoServer()
    const agent = agentOf(server.url)
    const listener = agent.listen('pg', { kind: 'tcp', visitors: { admit: '192.0.2.1' } })
    const { error } = await listener.closed
    expect(isTunnelError(error, 'TUNNEL_VISITORS_UNSUPPORTED')).toBe(true)
    const { session } = await server.session(0)
    await session.closed
  })
})

describe('a bare connection', () => {
  async function served(admit: string) {
    const server = await startServer({ readVisitorRules })
    const listener = agentOf(server.url).listen('pg', { kind: 'tcp', visitors: { admit } })
    listener.on('connection', (stream) => {
      stream.on('error', () => {})
      stream.end('served')
    })
    await listener.ready()
    return server
  }

  test.each([
    ['127.0.0.1', 'served'],
    ['192.0.2.1', 'the endpoint is not permitted for this token'],
  ])('of a consumer is judged by its address: where %s may come: %s', async (admit, outcome) => {
    const server = await served(admit)
    const consumer = new Consumer({ url: server.url })
    onTestFinished(() => consumer.destroy())
    const way = await consumer.open('pg')
    if (way.protocol !== 'adit') throw new Error('not our protocol')
    const stream = way.channel.toStream()
    let text = ''
    stream.on('data', (chunk: Buffer) => (text += chunk.toString()))
    stream.end()
    const error = await ending(stream)
    expect(error === undefined ? text : explainReset(error).message).toBe(outcome)
  })

  test.each([
    ['127.0.0.1', 'opens'],
    ['192.0.2.1', 'Error: status 403'],
  ])('of a Piko forwarder too: where %s may come it %s', async (admit, outcome) => {
    const server = await served(admit)
    const tried = openWebSocket(`${server.url}/_piko/v1/tcp/pg`).then(
      () => 'opens',
      (error: unknown) => String(error),
    )
    expect(await tried).toBe(outcome)
  })
})

test('rules of the operator hold for an endpoint, whatever session serves it now or later', async () => {
  const server = await startServer({ readVisitorRules })
  const ids = (name: string): string[] =>
    (server.registry.rules(at(name)) ?? []).map(({ id }) => id)
  await agentOf(server.url).listen('early', { kind: 'tcp' }).ready()
  const standing = readVisitorRules({ admit: '192.0.2.9' })
  server.registry.setStandingRules(({ name }) => (name === 'free' ? [] : [standing]))
  const late = agentOf(server.url).listen('late', { visitors: { admit: '192.0.2.1' } })
  await Promise.all([late.ready(), agentOf(server.url).listen('free').ready()])
  expect(ids('early')).toEqual(['192.0.2.9'])
  expect(ids('late')).toEqual(['192.0.2.9', '192.0.2.1'])
  expect(ids('free')).toEqual([])
  server.registry.setStandingRules(() => [])
  expect(ids('early')).toEqual([])
  expect(server.registry.hasRules).toBe(true)
  await late.close()
  await until(() => server.registry.count(at('late')) === 0)
  expect(server.registry.hasRules).toBe(false)
})
