// HTTP visitors of one node whose agent is at another: what holds on one server holds on two. All tests of the
// proxy run through two nodes with ADIT_TEST_HOP=1.
import { createServer as createHttpServer } from 'node:http'

import { Agent, forward } from '@proj/tunnel'
import { listening } from '@proj/testkit/listening'
import { until } from '@proj/testkit/until'
import { describe, expect, test } from 'vitest'

import { request, startServer, tunnel } from '../tunnel-fixture.ts'

const web = { tenant: '', name: 'web' }

describe('a visitor whose agent is at another node', () => {
  test('has its requests on one stream, which is kept', async () => {
    await using fixture = await tunnel({
      hop: true,
      http: (message, response) => void message.pipe(response),
    })
    using visitor = await fixture.visit()
    for (let turn = 0; turn < 5; turn++) {
      const body = `turn ${turn}`
      await visitor.send(request('PUT /', `Content-Length: ${body.length}`) + body)
      const answer = await visitor.readResponse()
      expect([answer.status, answer.body.toString()]).toEqual([200, body])
    }
    expect(fixture.nodes?.links[1].accepted).toMatchObject({ links: 1, hops: 1, refusedHops: 0 })
    expect([...(fixture.nodes?.links[0].links() ?? [])]).toMatchObject([{ state: 'up', hops: 1 }])
  })

  test('switches protocols, and the bytes and ends of both sides cross', async () => {
    await using fixture = await tunnel({
      hop: true,
      tcp: (socket) => {
        socket.once('data', () => {
          socket.write(
            'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n',
          )
          socket.pipe(socket)
        })
      },
    })
    using visitor = await fixture.visit()
    await visitor.send(request('GET /', 'Connection: Upgrade', 'Upgrade: x'))
    expect(await visitor.readTo('\r\n\r\n')).toMatch(/^HTTP\/1.1 101 /)
    await visitor.send('both ways')
    expect((await visitor.read(9)).toString()).toBe('both ways')
    visitor.end()
    expect((await visitor.readToEnd()).toString()).toBe('')
  })

  test('has its WebSocket closed with 1001 when the node of the agent stops, and its service learns so', async () => {
    let fromVisitor = ''
    await using fixture = await tunnel({
      hop: true,
      tcp: (socket) => {
        socket.once('data', () => {
          socket.write(
            'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
          )
          socket.on('data', (chunk) => (fromVisitor += chunk.toString('hex')))
          socket.on('end', () => socket.end())
        })
      },
    })
    using visitor = await fixture.visit()
    await visitor.send(request('GET /', 'Connection: Upgrade', 'Upgrade: websocket'))
    await visitor.readTo('\r\n\r\n')
    const { signal } = new AbortController()
    const closed = fixture.far?.close({ longLivedMs: 0, signal })
    const reason = 'server restarts, connect again'
    expect(await visitor.readTo('again')).toBe(
      `\x88${String.fromCharCode(2 + reason.length)}\x03\xe9${reason}`,
    )
    await visitor.send(Buffer.from('88820000000003e9', 'hex')) // the visitor's answer
    visitor.end()
    expect((await visitor.readToEnd()).length).toBe(0)
    await closed
    expect(fromVisitor).toBe('88820000000003e9')
  })

  test('has its events ended behind one of them when the node of the agent stops', async () => {
    await using fixture = await tunnel({
      hop: true,
      http: (_, response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' })
        response.write('data: one\n\n')
      },
    })
    using visitor = await fixture.visit()
    await visitor.send(request('GET /'))
    await visitor.readTo('data: one\n\n')
    const { signal } = new AbortController()
    const closed = fixture.far?.close({ longLivedMs: 0, signal })
    expect((await visitor.readToEnd()).toString()).toMatch(/\r\n0\r\n\r\n$/)
    await closed
  })

  test('counts as long-lived at the node of the agent once it has switched protocols', async () => {
    await using fixture = await tunnel({
      hop: true,
      tcp: (socket) => {
        socket.on('end', () => socket.end())
        socket.once('data', () =>
          socket.write(
            'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n',
          ),
        )
      },
    })
    const { far } = fixture
    using visitor = await fixture.visit()
    await visitor.send(request('GET /', 'Connection: Upgrade', 'Upgrade: x'))
    await visitor.readTo('\r\n\r\n')
    expect(far?.registry.remote?.hasLongLived).toBe(true)
    visitor.end()
    await visitor.readToEnd()
    await until(() => far?.registry.remote?.hasLongLived === false)
  })

  test('is checked by the rules of the agent', async () => {
    await using fixture = await tunnel({
      hop: true,
      http: (_, response) => void response.end('secret'),
      visitors: { allow: ['192.0.2.1'] },
    })
    using visitor = await fixture.visit()
    await visitor.send(request('GET /'))
    const { status, headers } = await visitor.readResponse()
    expect([status, headers['adit-error']]).toEqual([403, 'address_denied'])
    expect(fixture.nodes?.links[1].accepted.hops).toBe(0)
  })

  test('gets the kept stream no more when the rules became stricter', async () => {
    await using fixture = await tunnel({
      hop: true,
      http: (_, response) => void response.end('open'),
    })
    using visitor = await fixture.visit()
    await visitor.send(request('GET /'))
    expect((await visitor.readResponse()).status).toBe(200)
    const far = fixture.nodes?.links[1]
    expect(far?.accepted.openStreams).toBe(2) // with the control stream
    await using other = new Agent({ url: fixture.upstreamUrl, connections: 1 })
    const { host, port } = fixture.service
    await forward(other, 'web', {
      kind: 'http',
      service: { host, port },
      visitors: { allow: ['192.0.2.1'] },
    }).ready()
    await until(() => far?.accepted.openStreams === 1)
    await visitor.send(request('GET /'))
    expect((await visitor.readResponse()).status).toBe(403)
  })

  test('is sent on when its agent has gone to this node meanwhile', async () => {
    await using fixture = await tunnel({
      hop: true,
      http: (_, response) => void response.end('far'),
    })
    const here = createHttpServer((_, response) => void response.end('here'))
    await using service = await listening(here)
    const url = `http://127.0.0.1:${fixture.server.listeners.upstream.bound[0]?.port}`
    using visitor = await fixture.visit()
    await visitor.send(request('GET /'))
    expect((await visitor.readResponse()).body.toString()).toBe('far')
    await using agent = new Agent({ url, connections: 1 })
    const { host, port } = service
    await forward(agent, 'web', { kind: 'http', service: { host, port } }).ready()
    // Agents of its own node come first.
    await visitor.send(request('GET /'))
    expect((await visitor.readResponse()).body.toString()).toBe('here')
    await agent.close()
    await visitor.send(request('GET /'))
    expect((await visitor.readResponse()).body.toString()).toBe('far')
    await fixture.agent.close()
    await until(() => fixture.server.registry.count(web) === 0)
    await visitor.send(request('GET /'))
    expect((await visitor.readResponse()).headers['adit-error']).toBe('no_upstream')
  })

  test('is told that the service closed the kept connection in place of an answer to a POST', async () => {
    await using fixture = await tunnel({
      hop: true,
      tcp: (socket) => {
        socket.once('data', () => {
          socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
          socket.once('data', () => socket.end())
        })
      },
    })
    using visitor = await fixture.visit()
    await visitor.send(request('POST /', 'Content-Length: 0'))
    expect((await visitor.readResponse()).status).toBe(200)
    await visitor.send(request('POST /', 'Content-Length: 0'))
    const { status, headers } = await visitor.readResponse()
    expect([status, headers['adit-error']]).toEqual([502, 'service_closed'])
    expect(fixture.nodes?.links[1].accepted.hops).toBe(1)
  })

  test('is told that no agent is there when its node is', async () => {
    await using fixture = await tunnel({
      hop: true,
      waits: { absentWaitMs: 1 }, // its agents might come to another node
      http: (_, response) => void response.end('far'),
    })
    await fixture.nodes?.links[1].close(AbortSignal.abort())
    using visitor = await fixture.visit()
    await visitor.send(request('GET /'))
    expect((await visitor.readResponse()).status).toBe(503)
  })
})

test('a server that is no node has no other node to ask', async () => {
  const server = await startServer()
  expect(server.registry.hasRules).toBe(false)
  expect(server.registry.count(web)).toBe(0)
  server.destroy()
})
