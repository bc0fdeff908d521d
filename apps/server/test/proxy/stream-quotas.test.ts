// One source and one endpoint cannot take all streams of an agent. With a share of 1 percent the limits of a
// session with 4096 streams are at 41.
import type { ServerResponse } from 'node:http'
import { connect } from 'node:net'

import { dial, forward } from '@proj/tunnel'
import type { StreamQuotaOptions } from '@proj/tunnel/server'
import { until } from '@proj/testkit/until'
import { describe, expect, it, onTestFinished } from 'vitest'

import type { ProxyOptions } from '../../src/proxy/proxy-options.ts'
import { tunnel } from '../tunnel-fixture.ts'

const SHARE = 41

/** A path whose service answers nothing but `/now`, with a second endpoint. */
async function path(quota: StreamQuotaOptions, edge: ProxyOptions = {}) {
  const waiting: ServerResponse[] = []
  const one = await tunnel({
    http: (request, response) => {
      if (request.url === '/now') response.end('now')
      else waiting.push(response)
    },
    server: { quota },
    edge,
  })
  onTestFinished(async () => await one[Symbol.asyncDispose]())
  const { host, port } = one.service
  const addEndpoint = async (): Promise<void> => {
    await forward(one.agent, 'other', { kind: 'http', service: { host, port } }).ready()
  }
  /** Sends a request from an address of loopback. @returns the head of the answer, when there is one. */
  const visit = (from: string, target = '/', endpoint = 'web'): { head: string } => {
    const visitor = { head: '' }
    const socket = connect({ port: one.port, host: '127.0.0.1', localAddress: from })
    onTestFinished(() => void socket.destroy())
    socket.on('error', () => {})
    socket.on('data', (chunk) => (visitor.head += chunk.toString('latin1')))
    // A body that does not come.
    const length = target === '/now' ? '' : 'Content-Length: 5\r\n'
    const method = target === '/now' ? 'GET' : 'POST'
    socket.write(`${method} ${target} HTTP/1.1\r\nHost: ${endpoint}.localhost\r\n${length}\r\n`)
    return visitor
  }
  const answer = async (visitor: { head: string }): Promise<string> => {
    await until(() => visitor.head.includes('\r\n\r\n'))
    const [status = '', ...rest] = visitor.head.split('\r\n')
    const code = rest.find((line) => line.startsWith('adit-error: ')) ?? ''
    const retry = rest.find((line) => line.startsWith('retry-after: ')) ?? ''
    return [status.slice(9, 12), code.slice(12), retry.slice(13)].filter(Boolean).join(' ')
  }
  /** Slow requests, which reach the service. */
  const fill = async (from: string, count: number): Promise<void> => {
    const before = waiting.length
    for (let at = 0; at < count; at++) visit(from)
    await until(() => waiting.length === before + count)
  }
  return { ...one, waiting, addEndpoint, visit, answer, fill }
}

describe('the share of an endpoint', () => {
  const quota = { maxEndpointShare: 1, maxSourceShare: 100 }

  it('leaves streams for the other endpoints of its agent', async () => {
    const { addEndpoint, answer, fill, visit, server } = await path(quota)
    await addEndpoint()
    await fill('127.0.0.1', SHARE)
    expect(await answer(visit('127.0.0.2'))).toBe('503 endpoint_quota 1')
    expect(await answer(visit('127.0.0.1', '/now', 'other'))).toBe('200')
    expect(server.registry.quota.rejected).toEqual({ source: 0, endpoint: 1 })
  })

  it('is free again when requests have ended', async () => {
    const { addEndpoint, answer, fill, visit, waiting } = await path(quota)
    await addEndpoint()
    await fill('127.0.0.1', SHARE)
    expect(await answer(visit('127.0.0.1', '/now'))).toBe('503 endpoint_quota 1')
    for (const response of waiting.splice(0, 5)) response.socket?.destroy()
    await until(async () => (await answer(visit('127.0.0.1', '/now'))) === '200')
  })

  it('does not matter to an agent with one endpoint', async () => {
    const { answer, fill, visit } = await path(quota)
    await fill('127.0.0.1', SHARE + 10)
    expect(await answer(visit('127.0.0.1', '/now'))).toBe('200')
  })
})

describe('the share of a source', () => {
  const quota = { maxEndpointShare: 100, maxSourceShare: 1 }

  it('leaves streams for visitors from elsewhere', async () => {
    const { answer, fill, visit, server } = await path(quota)
    // The control stream of the agent is one of those that are open.
    await fill('127.0.0.1', SHARE - 1)
    expect(await answer(visit('127.0.0.1'))).toBe('429 source_quota 1')
    expect(await answer(visit('127.0.0.2', '/now'))).toBe('200')
    expect(server.registry.quota.rejected).toEqual({ source: 1, endpoint: 0 })
  })

  it('does not hold behind a trusted proxy', async () => {
    const { answer, fill, visit } = await path(quota, { trustedHops: 1 })
    await fill('127.0.0.1', SHARE + 10)
    expect(await answer(visit('127.0.0.1', '/now'))).toBe('200')
  })
})

describe('idle streams', () => {
  /** Leaves streams idle that only their own visitors may use again, as after each request with a body. */
  const visitMany = async (
    { answer, port }: Pick<Awaited<ReturnType<typeof path>>, 'answer' | 'port'>,
    count: number,
  ): Promise<void> => {
    for (let at = 0; at < count; at++) {
      const visitor = { head: '' }
      const socket = connect({ port, host: '127.0.0.1' })
      onTestFinished(() => void socket.destroy())
      socket.on('data', (chunk) => (visitor.head += chunk.toString('latin1')))
      socket.write('POST /now HTTP/1.1\r\nHost: web.localhost\r\nContent-Length: 5\r\n\r\nhello')
      expect(await answer(visitor)).toBe('200')
    }
  }
  /** Sends a request by a TCP endpoint of the same agent. @returns the status of the answer. */
  const askByTcp = async (one: Awaited<ReturnType<typeof path>>): Promise<string> => {
    const { host, port } = one.service
    await forward(one.agent, 'tcp', { kind: 'tcp', service: { host, port } }).ready()
    const stream = await dial('tcp', { url: one.upstreamUrl })
    onTestFinished(() => void stream.destroy())
    const visitor = { head: '' }
    stream.on('error', (error) => (visitor.head = `${String(error)}\r\n\r\n`))
    stream.on('data', (chunk: Buffer) => (visitor.head += chunk.toString('latin1')))
    stream.write('GET /now HTTP/1.1\r\nHost: web\r\n\r\n')
    return await one.answer(visitor)
  }

  it.each([
    ['endpoint', { maxEndpointShare: 1, maxSourceShare: 100 }],
    ['source', { maxEndpointShare: 100, maxSourceShare: 1 }],
  ])('give way where the share of the %s is used up', async (_, quota) => {
    const one = await path(quota)
    const { addEndpoint, server } = one
    await addEndpoint()
    await visitMany(one, SHARE + 10)
    expect(server.registry.quota.rejected).toEqual({ source: 0, endpoint: 0 })
    const [session] = server.registry.sessions({ tenant: '', name: 'web' })
    expect(session?.streamsOf('web')).toBeLessThanOrEqual(SHARE)
  })

  it('give way to a connection to a TCP endpoint', async () => {
    const one = await path({ maxEndpointShare: 100, maxSourceShare: 1 })
    await visitMany(one, SHARE + 10)
    expect(await askByTcp(one)).toBe('200')
    expect(one.server.registry.quota.rejected).toEqual({ source: 0, endpoint: 0 })
  })

  it('give way where a session has as many streams as it can', async () => {
    const one = await path({ maxEndpointShare: 100, maxSourceShare: 100 })
    const [session] = one.server.registry.sessions({ tenant: '', name: 'web' })
    Object.defineProperty(session, 'maxStreams', { value: 10 })
    await visitMany(one, 20)
    expect(session?.openStreams).toBe(10)
    expect(await askByTcp(one)).toBe('200')
    expect(session?.openStreams).toBe(10)
  })
})
