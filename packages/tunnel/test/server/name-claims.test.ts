// Names that are claimed beyond this process before an agent gets its answer.
import { once } from 'node:events'

import { until } from '@proj/testkit/until'
import { describe, expect, test } from 'vitest'

import { Agent } from '../../src/client/agent.ts'
import type { NameClaim, NameConflict } from '../../src/server/claim-name.ts'
import type { NameClaims, NameLease, NameRejection } from '../../src/server/name-claims.ts'
import type { PortLease, PublicPortSource } from '../../src/server/port-leases.ts'
import { at, connectPeer, openWebSocket, startServer, type TestServer } from '../peers.ts'

type Answer = NameLease | NameConflict | NameRejection

/** Answers when the test says so, and counts what is held. */
class Claims implements NameClaims {
  readonly asked: NameClaim[] = []
  readonly signals: AbortSignal[] = []
  readonly answers: ((answer: Answer | Error) => void)[] = []
  held = 0
  epoch = 0

  take(claim: NameClaim, signal: AbortSignal): Promise<Answer> {
    this.asked.push(claim)
    this.signals.push(signal)
    return new Promise((resolve, reject) => {
      this.answers.push((answer) => {
        if (answer instanceof Error) reject(answer)
        else resolve(answer)
      })
    })
  }

  /** The lease of the next epoch. */
  lease(): NameLease {
    this.held += 1
    this.epoch += 1
    let isHeld = true
    const release = (): void => {
      if (!isHeld) throw new Error('released twice')
      isHeld = false
      this.held -= 1
    }
    return { epoch: this.epoch, release }
  }
}

const TAKEN: NameConflict = {
  holder: 'session',
  identity: 'bob',
  since: Date.UTC(2026, 0, 2),
  retryAfterMs: 60_000,
}
const UNAVAILABLE: NameRejection = {
  code: 'unavailable',
  message: 'names cannot be claimed now',
  retryAfterMs: 60_000,
}
const route = ({ url }: TestServer) => `${url}/piko/v1/upstream/web`

describe('a name that an agent asks for', () => {
  test('is served when it was claimed, and released with the session', async () => {
    const claims = new Claims()
    const server = await startServer({ claims })
    await using agent = new Agent({ url: server.url, connections: 1 })
    const listener = agent.listen('web', { exclusive: true })
    await until(() => claims.answers[0])
    expect(claims.asked).toMatchObject([
      { endpoint: at('web'), identity: 'anonymous', isExclusive: true },
    ])
    expect(claims.asked[0]?.session).toBeDefined()
    expect([listener.online, server.registry.count(at('web'))]).toEqual([false, 0])
    claims.answers[0]?.(claims.lease())
    await listener.ready()
    expect(server.registry.epoch(at('web'))).toBe(1)
    expect(claims.held).toBe(1)
    await agent.close()
    await until(() => claims.held === 0)
  })

  test.each([
    ['another identity has it', TAKEN, { code: 'TUNNEL_NAME_TAKEN', holder: 'session' }],
    ['names cannot be claimed', UNAVAILABLE, { code: 'TUNNEL_ENDPOINT_REFUSED' }],
    ['the claim fails', new Error('broken'), { code: 'TUNNEL_ENDPOINT_REFUSED' }],
  ])('is rejected when %s', async (_, answer, expected) => {
    const claims = new Claims()
    const rejected: unknown[] = []
    const server = await startServer({ claims, onNameRejected: (one) => rejected.push(one) })
    await using agent = new Agent({ url: server.url, connections: 1 })
    agent.listen('web')
    const refused = once(agent, 'refused')
    await until(() => claims.answers[0])
    claims.answers[0]?.(answer)
    const [, error] = (await refused) as [unknown, unknown]
    expect(error).toMatchObject({ ...expected, retryAfterMs: expect.any(Number) as number })
    expect(rejected).toHaveLength(answer === TAKEN ? 1 : 0)
    expect([claims.held, server.registry.count(at('web'))]).toEqual([0, 0])
    expect(server.logger.find('a name cannot be claimed')).toHaveLength(
      answer instanceof Error ? 1 : 0,
    )
  })

  test('is given back when its agent went before the answer', async () => {
    const claims = new Claims()
    const server = await startServer({ claims })
    const agent = new Agent({ url: server.url, connections: 1 })
    agent
      .listen('web')
      .ready()
      .catch(() => {})
    await until(() => claims.answers[0])
    expect(claims.signals[0]?.aborted).toBe(false)
    await agent.close()
    await until(() => claims.signals[0]?.aborted === true)
    claims.answers[0]?.(claims.lease())
    await until(() => claims.held === 0)
    expect(server.registry.count(at('web'))).toBe(0)
  })

  test('is given back when its public port cannot be had', async () => {
    const claims = new Claims()
    const ports: PublicPortSource = {
      take: () =>
        Promise.resolve({ code: 'port-none-left', message: 'none', retryAfterMs: 60_000 }),
    }
    const server = await startServer({ claims, publicPorts: ports })
    await using agent = new Agent({ url: server.url, connections: 1 })
    agent.listen('pg', { kind: 'tcp', publicPort: 0 })
    const refused = once(agent, 'refused')
    await until(() => claims.answers[0])
    claims.answers[0]?.(claims.lease())
    await refused
    expect(claims.held).toBe(0)
  })

  test('is claimed before its public port is opened', async () => {
    const claims = new Claims()
    const opened: PortLease[] = []
    const ports: PublicPortSource = {
      take: ({ port }) => {
        expect(claims.held).toBe(1)
        const lease = { port, url: undefined, release: () => {} }
        opened.push(lease)
        return Promise.resolve(lease)
      },
    }
    const server = await startServer({ claims, publicPorts: ports })
    await using agent = new Agent({ url: server.url, connections: 1 })
    const listener = agent.listen('pg', { kind: 'tcp', publicPort: 7 })
    await until(() => claims.answers[0])
    expect(opened).toEqual([])
    claims.answers[0]?.(claims.lease())
    await listener.ready()
    expect(opened).toHaveLength(1)
  })

  test('is not claimed when this process rejects it', async () => {
    const claims = new Claims()
    const server = await startServer({ claims, maxEndpointsPerSession: 1 })
    await using agent = new Agent({ url: server.url, connections: 1 })
    agent.listen('web')
    await until(() => claims.answers[0])
    const refused = once(agent, 'refused')
    agent.listen('more')
    await refused
    expect(claims.asked).toHaveLength(1)
  })
})

describe('a name of a Piko agent', () => {
  test('is claimed before its handshake is answered, and released with the session', async () => {
    const claims = new Claims()
    const server = await startServer({ claims })
    const connected = connectPeer(route(server))
    await until(() => claims.answers[0])
    expect(server.upstream.sessions.size).toBe(0)
    claims.answers[0]?.(claims.lease())
    const peer = await connected
    expect([server.registry.count(at('web')), server.registry.epoch(at('web'))]).toEqual([1, 1])
    peer.session.destroy()
    await until(() => claims.held === 0)
  })

  test.each([
    ['another identity has it', TAKEN],
    ['names cannot be claimed', UNAVAILABLE],
  ])('is rejected when %s, and its agent told to come back', async (_, answer) => {
    const claims = new Claims()
    const server = await startServer({ claims })
    const opened = openWebSocket(route(server))
    await until(() => claims.answers[0])
    claims.answers[0]?.(answer)
    await expect(opened).rejects.toThrow('status 503')
    expect(server.upstream.sessions.size).toBe(0)
  })

  test('is given back when the server began to stop meanwhile', async () => {
    const claims = new Claims()
    const server = await startServer({ claims })
    const opened = openWebSocket(route(server))
    await until(() => claims.answers[0])
    server.upstream.askToMove()
    claims.answers[0]?.(claims.lease())
    await expect(opened).rejects.toThrow('status 503')
    expect(claims.held).toBe(0)
  })
})
