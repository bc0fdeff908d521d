import { once } from 'node:events'
import { createServer as createHttp } from 'node:http'
import { connect, createServer, type Server } from 'node:net'
import { text } from 'node:stream/consumers'

import { foreignSocket, hasForeignSockets } from '@proj/testkit/foreign-socket'
import { listening } from '@proj/testkit/listening'
import { describe, expect, it, onTestFinished } from 'vitest'

import { claim } from '../src/claim/claim-port.ts'
import type { Claim } from '../src/claim/claim.ts'
import { dialTargets } from '../src/reachable.ts'
import { listen } from '../src/listen/listen.ts'
import { verify } from '../src/verify.ts'
import type { Want } from '../src/claim/wanted-address.ts'

describe('verify', () => {
  it.each([0, 'localhost:0', '127.0.0.1:0', '[::1]:0', '0.0.0.0:0'])(
    'reaches a claim of %s on every address, and its server sees nothing of it',
    async (want) => {
      const claimed = await held(want)
      let seen = 0
      claimed.serve((socket) => {
        seen += 1
        socket.end('served')
      })
      const { reached, warnings } = await verify(claimed)
      expect(warnings).toEqual([])
      expect(reached.filter((one) => one.outcome === 'mine').length).toBeGreaterThan(0)
      expect(reached.filter((one) => !['mine', 'refused'].includes(one.outcome))).toEqual([])
      expect(seen).toBe(0)
    },
  )

  it('serves a client that connects during the check', async () => {
    const claimed = await held('127.0.0.1:0')
    claimed.serve((socket) => socket.end('served'))
    const verifying = verify(claimed)
    const answer = text(connect({ host: '127.0.0.1', port: claimed.port }))
    expect((await verifying).warnings).toEqual([])
    expect(await answer).toBe('served')
  })

  it('reaches both sockets of a claim that a server has adopted', async () => {
    const claimed = await held('localhost:0')
    claimed.adopt(createHttp())
    const { reached, warnings } = await verify(claimed)
    expect(warnings).toEqual([])
    expect(reached.map((one) => one.outcome)).toEqual(['mine', 'mine'])
  })

  it('reaches an http server without a request', async () => {
    let requests = 0
    const server = createHttp(() => {
      requests += 1
    })
    await using _listening = await listening(server)
    expect((await verify(server)).warnings).toEqual([])
    expect([requests, server.listenerCount('connection')]).toEqual([0, 2])
  })

  it('expects no IPv4 of an IPv6-only server', async () => {
    const server = createServer((socket) => socket.destroy())
    server.listen({ host: '::', port: 0, ipv6Only: true })
    await once(server, 'listening')
    onTestFinished(() => void server.close())
    const { reached, warnings } = await verify(server)
    expect(reached.find((one) => one.host === '127.0.0.1')?.outcome).toBe('refused')
    expect(warnings).toEqual([])
  })

  it('works with a server that destroys every connection at once', async () => {
    const server: Server = createServer((socket) => socket.destroy())
    await using _listening = await listening(server)
    expect((await verify(server)).warnings).toEqual([])
  })

  it('verifies all addresses of listeners', async () => {
    const listeners = await listen(['localhost:0', '127.0.0.1:0'], {
      onConnection: (socket) => socket.end(),
    })
    onTestFinished(() => listeners.destroy())
    const { reached, warnings } = await listeners.verify()
    expect(warnings).toEqual([])
    expect(reached.filter((one) => one.outcome === 'mine')).toHaveLength(3)
  })

  it('counts the two sockets of one listener as one', async () => {
    // The port of a pair that was just given up: free on both families.
    const pair = await claim('localhost:0')
    const { port } = pair
    await pair.close()
    const both = await listen([`127.0.0.1:${port}`, `[::1]:${port}`], {
      onConnection: (socket) => socket.end(),
    })
    onTestFinished(() => both.destroy())
    const { reached, warnings } = await both.verify()
    expect(warnings).toEqual([])
    expect(reached.map(({ host, outcome }) => [host, outcome])).toEqual([
      ['127.0.0.1', 'mine'],
      ['::1', 'mine'],
    ])
  })

  it.skipIf(!hasForeignSockets)('tells whom localhost reaches on the other family', async () => {
    await using foreign = await foreignSocket({ host: '::1' })
    const claimed = await held(`127.0.0.1:${foreign.port}`)
    const { reached, warnings } = await verify(claimed, { timeoutMs: 100 })
    expect(reached).toMatchObject([
      { host: '127.0.0.1', outcome: 'mine' },
      { host: '::1', outcome: 'other' },
    ])
    expect(warnings).toMatchObject([{ code: 'PC101', holder: { pid: foreign.pid } }])
  })

  it('sees what arrived while the process was held up for longer than timeoutMs', async () => {
    const verifying = verify(await held('127.0.0.1:0'), { timeoutMs: 20 })
    process.nextTick(() => {
      for (const end = performance.now() + 60; performance.now() < end;);
    })
    expect((await verifying).reached).toMatchObject([{ outcome: 'mine' }, { outcome: 'refused' }])
  })

  it.each([0, 60_001, Number.NaN])('rejects a timeoutMs of %d', async (timeoutMs) => {
    await expect(verify(await held('127.0.0.1:0'), { timeoutMs })).rejects.toThrow(RangeError)
  })

  it('rejects a server that does not listen', async () => {
    await expect(verify(createServer())).rejects.toThrow(TypeError)
  })
})

describe('dialTargets', () => {
  const interfaces = {
    lo: [info('127.0.0.1', 'IPv4', true), info('::1', 'IPv6', true)],
    docker0: [info('172.17.0.1', 'IPv4', false)],
    eth0: [info('fe80::1', 'IPv6', false), info('192.0.2.5', 'IPv4', false)],
  }

  it.each([
    ['::', true, ['127.0.0.1', '192.0.2.5', '::1'], []],
    ['0.0.0.0', false, ['127.0.0.1', '192.0.2.5'], ['::1']],
    ['::', false, ['::1'], ['127.0.0.1']],
    ['127.0.0.1', false, ['127.0.0.1'], ['::1']],
    ['192.0.2.5', false, ['192.0.2.5'], []],
  ])('of %s (dual: %s) are %j, and in addition %j', (host, dual, ours, others) => {
    const targets = dialTargets([{ host, port: 80, dual }], interfaces)
    expect(targets.filter((one) => one.ours).map((one) => one.host)).toEqual(ours)
    expect(targets.filter((one) => !one.ours).map((one) => one.host)).toEqual(others)
  })
})

async function held(want: Want): Promise<Claim> {
  const claimed = await claim(want)
  onTestFinished(() => claimed.destroy())
  return claimed
}

function info(address: string, family: 'IPv4' | 'IPv6', internal: boolean) {
  const common = { address, netmask: '', mac: '', internal, cidr: null }
  return family === 'IPv6' ? { ...common, family, scopeid: 0 } : { ...common, family }
}
