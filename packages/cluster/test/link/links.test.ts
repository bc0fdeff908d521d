// Who gets a link, and what becomes of it.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { connect as connectTcp, createServer, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls'

import { Session } from '@proj/mux'
import { certificateAuthority } from '@proj/testkit/certificates'
import { listening } from '@proj/testkit/listening'
import { until } from '@proj/testkit/until'
import { encodeStreamRecord, type StreamRecord } from '@proj/tunnel/server'
import { describe, expect, onTestFinished, test } from 'vitest'

import {
  type LinkCertificate,
  makeLinkCertificate,
  readLinkCertificate,
} from '../../src/link/certificate.ts'
import { formatGreeting } from '../../src/link/control-stream.ts'
import type { ClusterRoute } from '../../src/model.ts'
import { startNode, startNodes, type TestNode } from './nodes.ts'

const web = { tenant: '', name: 'web' }

/** A row by which `node` is believed to serve `web`; its link is begun with it. */
function routeTo(from: TestNode, to: TestNode): ClusterRoute {
  const node = from.table.node(to.row.id)
  if (node === undefined) throw new Error('no row')
  const facts = { identity: 'ann', kind: undefined, sessions: 1, exclusive: false }
  const unsaid = {
    peer: undefined,
    reuse: undefined,
    strictness: undefined,
    rules: undefined,
    limits: undefined,
    agents: undefined,
  }
  const none = { ...unsaid, isDown: false }
  return { ...facts, ...none, node, epoch: 1 }
}

/** Asks for a stream to `web`, which begins the link. */
function ask(node: TestNode): void {
  const upstream = node.registry.pick(web)
  try {
    upstream?.openStream({ kind: 'tcp', endpoint: 'web' })
  } catch {
    // the link is being made
  }
}

const stateOf = (node: TestNode, id = 'b') =>
  [...node.links.links()].find((link) => link.node.id === id)?.state

/** Connects to the cluster port of a node as the options say; resolves when the node has closed the connection. */
async function connectTo(node: TestNode, options: ConnectionOptions = {}) {
  const socket = connect({
    host: '127.0.0.1',
    port: node.port.port,
    rejectUnauthorized: false,
    ...options,
  })
  onTestFinished(() => void socket.destroy())
  let received = 0
  socket.on('data', (chunk: Buffer) => (received += chunk.length))
  socket.on('error', () => {}) // an alert of TLS
  await new Promise((resolve) => socket.once('close', resolve))
  return received
}

/** A peer with the certificate of a node that has no program: the test is it. */
async function peerOf(node: TestNode, certificate: LinkCertificate): Promise<Session> {
  const { cert, key } = certificate
  const socket: TLSSocket = connect({
    host: '127.0.0.1',
    port: node.port.port,
    rejectUnauthorized: false,
    cert,
    key,
  })
  socket.on('error', () => {})
  onTestFinished(() => void socket.destroy())
  await once(socket, 'secureConnect')
  return new Session(socket, { role: 'client' })
}

/** A node of which there is only the row. */
function ghostOf(node: TestNode): LinkCertificate {
  const certificate = makeLinkCertificate('ghost')
  const { fingerprint } = certificate
  node.table.putNode({ ...node.row, id: 'ghost', boot: 'ghost-1', fingerprint })
  return certificate
}

const HOP = { tenant: '', hops: 1, epoch: 1, node: 'ghost', rules: Buffer.alloc(0) }
const GREETING = { protocol: 1, node: 'ghost', boot: 'ghost-1', version: '1.0.0' }

async function openOn(session: Session, record: StreamRecord, ...more: readonly Buffer[]) {
  const stream = await session.open()
  stream.on('error', () => {})
  for (const bytes of [encodeStreamRecord(record), ...more]) stream.write(bytes)
  return stream
}

describe('a peer that is no node', () => {
  test.each([
    ['without a certificate', () => ({})],
    ['with a certificate of another cluster', () => makeLinkCertificate('a')],
    ['with TLS 1.2', () => ({ ...makeLinkCertificate('a'), maxVersion: 'TLSv1.2' as const })],
  ])('%s gets nothing', async (_, options) => {
    const [a, b] = [await startNode('a', { unknownWaitMs: 1 }), await startNode('b')]
    a.meet(b)
    await b.links.ready(new AbortController().signal)
    const received = await connectTo(a, options())
    expect(received).toBe(0)
    expect(a.links.accepted).toMatchObject({ links: 1, refusedConnections: 1 })
    await connectTo(a, options())
    expect(a.links.accepted).toMatchObject({ links: 1, refusedConnections: 2 })
    expect(a.logger.find('connection to the cluster port refused')).toHaveLength(1)
  })

  test.skipIf(spawnSync('openssl', ['version']).error !== undefined)(
    'gets nothing as openssl s_client either',
    async () => {
      const [a, b] = await startNodes('a', 'b')
      if (a === undefined || b === undefined) throw new Error('no node')
      await b.links.ready(new AbortController().signal)
      const at = `127.0.0.1:${a.port.port}`
      const program = spawn('openssl', ['s_client', '-quiet', '-connect', at], {
        stdio: ['pipe', 'pipe', 'ignore'],
      })
      program.stdin.on('error', () => {}) // it ends with the connection
      program.stdin.write('GET / HTTP/1.1\r\n\r\n')
      expect(await text(program.stdout)).toBe('')
      expect(a.links.accepted).toMatchObject({ links: 1, refusedConnections: 1 })
    },
  )

  test('that says nothing keeps no node out, however many connections it has', async () => {
    const [a, b] = [await startNode('a'), await startNode('b')]
    const closed: number[] = []
    for (let index = 0; index < 70; index++) {
      const socket = connectTcp({ host: '127.0.0.1', port: a.port.port })
      onTestFinished(() => void socket.destroy())
      socket.on('error', () => {})
      socket.once('close', () => closed.push(index))
      await once(socket, 'connect')
    }
    a.meet(b)
    await b.links.ready(new AbortController().signal)
    // the oldest ones made room for the others and for the node
    await until(() => closed.length >= 7)
    expect(closed[0]).toBeLessThan(7)
  })

  test('that has the certificate of a node gets no further than its row allows', async () => {
    const a = await startNode('a')
    const certificate = ghostOf(a)
    const session = await peerOf(a, certificate)
    // A stream before the greeting.
    await openOn(session, { kind: 'tcp', endpoint: 'web', hop: HOP })
    expect((await session.closed).code).toMatch(/^MUX_TRANSPORT/)
  })

  test.each([
    ['another boot', { ...GREETING, boot: 'ghost-0' }],
    ['another node', { ...GREETING, node: 'b' }],
    ['another version of links', { ...GREETING, protocol: 9 }],
  ])('that says it is %s is not believed', async (_, greeting) => {
    const a = await startNode('a')
    const session = await peerOf(a, ghostOf(a))
    await openOn(session, { kind: 'control', endpoint: '' }, formatGreeting(greeting))
    expect((await session.closed).code).toMatch(/^MUX_TRANSPORT/)
    await until(() => a.links.accepted.links === 0)
    expect(a.logger.find('link of a node is ended')).toHaveLength(1)
  })

  test('that was a node loses its link when that node starts again', async () => {
    const a = await startNode('a')
    const session = await peerOf(a, ghostOf(a))
    await openOn(session, { kind: 'control', endpoint: '' }, formatGreeting(GREETING))
    await until(() => a.logger.find('link of a node accepted').length === 1)
    ghostOf(a)
    expect((await session.closed).code).toMatch(/^MUX_TRANSPORT/)
  })
})

describe('a stream of a node', () => {
  test.each([
    ['a second hop', { ...HOP, hops: 2 }, 11],
    ['an endpoint that is not served', HOP, 16],
  ])('with %s is reset', async (_, hop, reason) => {
    const a = await startNode('a')
    const session = await peerOf(a, ghostOf(a))
    await openOn(session, { kind: 'control', endpoint: '' }, formatGreeting(GREETING))
    const stream = await openOn(session, { kind: 'http', endpoint: 'web', hop })
    const [error] = (await once(stream, 'error')) as [unknown]
    expect(error).toMatchObject({ code: 'MUX_STREAM_RESET', reason })
  })

  test('in the name of another node ends its link', async () => {
    const a = await startNode('a')
    const session = await peerOf(a, ghostOf(a))
    await openOn(session, { kind: 'control', endpoint: '' }, formatGreeting(GREETING))
    await openOn(session, { kind: 'http', endpoint: 'web', hop: { ...HOP, node: 'b' } })
    expect((await session.closed).code).toMatch(/^MUX_TRANSPORT/)
  })
})

describe('a link', () => {
  test('is made when the node is known, and made again when it is lost', async () => {
    const [a, b] = await startNodes('a', 'b')
    if (a === undefined || b === undefined) throw new Error('no nodes')
    await a.links.ready(new AbortController().signal)
    expect(stateOf(a)).toBe('up')
    a.table.putRoute(web, routeTo(a, b))
    ask(a)
    await until(() => stateOf(a) === 'up' && b.links.accepted.links === 1)
    for (const socket of b.port.sockets) socket.destroy()
    await until(() => a.logger.find('link to a node is up').length === 2)
    await until(() => stateOf(a) === 'up')
    const { connections, bytesSent } = a.links.opened
    expect([connections, bytesSent > 0]).toEqual([2, true])
    a.table.removeNode('b')
    await until(() => b.links.accepted.links === 0)
    expect(a.links.opened.connections).toBe(2)
    expect(a.links.opened.bytesSent).toBeGreaterThanOrEqual(bytesSent)
  })

  test('waits for a node that does not know this one yet', async () => {
    const [a, b] = [await startNode('a'), await startNode('b')]
    a.knows(b)
    const waited = a.links.ready(new AbortController().signal)
    // The connection is there, and its node is not in the table of the other.
    await until(() => b.port.sockets.size === 1)
    b.knows(a)
    await waited
    expect(stateOf(a)).toBe('up')
    expect(a.logger.find('no link to a node')).toEqual([])
    // What does not become known is waited for no longer than asked.
    const c = await startNode('c')
    a.knows(c, { ...c.row, address: '127.0.0.1:1' })
    const gone = AbortSignal.abort()
    await a.links.ready(gone)
  })

  test('is not made to a peer that has another certificate than the row', async () => {
    const [a, b] = [await startNode('a'), await startNode('b')]
    b.knows(a)
    a.knows(b, { ...b.row, fingerprint: makeLinkCertificate('b').fingerprint })
    a.table.putRoute(web, routeTo(a, b))
    ask(a)
    await until(() => stateOf(a) === 'down')
    expect(a.registry.pick(web)?.suspect).toBe(true)
    const [record] = a.logger.find('no link to a node')
    expect(record?.fields).toMatchObject({ why: 'its certificate is not the one of its row' })
    // What the row says decides, as soon as it says it.
    a.knows(b)
    a.table.putRoute(web, routeTo(a, b))
    ask(a)
    await until(() => stateOf(a) === 'up')
  })

  test('with an own CA needs its certificates as well', async () => {
    const authority = certificateAuthority('own')
    const issue = (name: string) => {
      const { cert, key } = authority.issue({ name, usage: 'both' })
      return readLinkCertificate(cert, key)
    }
    const ca = authority.cert
    const a = await startNode('a', { tls: { certificate: issue('a'), ca } })
    const b = await startNode('b', { tls: { certificate: issue('b'), ca } })
    const c = await startNode('c')
    a.meet(b)
    a.meet(c)
    a.table.putRoute(web, routeTo(a, b))
    ask(a)
    await until(() => stateOf(a) === 'up')
    a.table.removeRoute(web, 'b')
    a.table.putRoute(web, routeTo(a, c))
    ask(a)
    await until(() => stateOf(a, 'c') === 'down')
    c.table.putRoute(web, routeTo(c, a))
    ask(c)
    await until(() => stateOf(c, 'a') === 'down')
    expect(a.links.accepted.links).toBe(1) // that of b
  })

  test('to a node that is silent is taken last', async () => {
    const [a, b, c] = [await startNode('a'), await startNode('b'), await startNode('c')]
    b.knows(a)
    a.meet(c)
    const frozen = new Set<Socket>()
    let isFrozen = false
    const relay = createServer((socket) => {
      const far = connectTcp(b.port.port, '127.0.0.1')
      for (const one of [socket, far]) {
        one.on('error', () => {})
        frozen.add(one)
        if (isFrozen) one.pause()
      }
      socket.on('data', (chunk) => far.write(chunk))
      far.on('data', (chunk) => socket.write(chunk))
      if (isFrozen) for (const one of [socket, far]) one.pause()
    })
    const port = await listening(relay)
    onTestFinished(() => {
      for (const socket of frozen) socket.destroy()
    })
    onTestFinished(async () => await port.close())
    a.knows(b, { ...b.row, address: port.authority })
    a.table.putRoute(web, routeTo(a, b))
    ask(a)
    await until(() => stateOf(a) === 'up')
    a.table.putRoute(web, routeTo(a, c))
    a.table.putNode({ ...c.row, load: { sessions: 0, streams: 100_000 } })
    expect(a.registry.pick(web)?.id).toBe('node b')
    expect(a.links.state('b')).toBe('up')
    isFrozen = true
    for (const socket of frozen) socket.pause()
    await until(() => a.links.state('b') === 'silent')
    expect(a.registry.pick(web)?.id).toBe('node c')
  })

  test('forgets the tenants that have no visitor now', async () => {
    const [a, b] = await startNodes('a', 'b')
    if (a === undefined || b === undefined) throw new Error('no nodes')
    await a.links.ready(new AbortController().signal)
    const route = routeTo(a, b)
    const picked = (tenant: string) => {
      const endpoint = { tenant, name: 'web' }
      a.table.putRoute(endpoint, route)
      return a.registry.pick(endpoint)
    }
    const [used, unused] = [picked('used'), picked('unused')]
    const stream = used?.openStream({ kind: 'http', endpoint: 'web' })
    for (let index = 0; index < 1_000; index++) picked(`tenant ${index}`)
    expect([used?.leaving.aborted, unused?.leaving.aborted]).toEqual([false, true])
    expect(picked('used')).toBe(used)
    expect(picked('unused')?.leaving.aborted).toBe(false)
    stream?.reset()
  })

  test('of a node that is gone takes no stream', async () => {
    const [a, b] = await startNodes('a', 'b')
    if (a === undefined || b === undefined) throw new Error('no nodes')
    a.table.putRoute(web, routeTo(a, b))
    ask(a)
    await until(() => stateOf(a) === 'up')
    const upstream = a.registry.pick(web)
    a.table.removeNode('b')
    expect(a.registry.pick(web)).toBeUndefined()
    expect(upstream?.leaving.aborted).toBe(true)
    expect(() => upstream?.openStream({ kind: 'tcp', endpoint: 'web' })).toThrow(/./)
    await until(() => b.links.accepted.links === 0)
  })

  test('of a node that closes refuses what crosses that, with a reason that lets it go elsewhere', async () => {
    const [a, b] = await startNodes('a', 'b')
    if (a === undefined || b === undefined) throw new Error('no nodes')
    a.table.putRoute(web, routeTo(a, b))
    ask(a)
    await until(() => stateOf(a) === 'up' && b.links.accepted.links === 1)
    const over = new AbortController()
    const closing = b.links.close(over.signal)
    const closed = new Promise((resolve) => {
      const sink = { onData: () => false, onEnd() {}, onDrain() {}, onClose: resolve } as const
      a.registry.pick(web)?.openStream({ kind: 'http', endpoint: 'web' }, sink)
    })
    expect(await closed).toMatchObject({ code: 'MUX_STREAM_RESET', reason: 10 }) // draining
    over.abort()
    await closing
  })
})
