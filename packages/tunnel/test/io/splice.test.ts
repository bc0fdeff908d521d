// SocketSplice and ChannelSplice on real sockets: visitor - SocketSplice - session - SocketSplice -
// service, and two sessions joined by a ChannelSplice in between.
import { once } from 'node:events'
import type { Socket } from 'node:net'

import { type Channel, Session } from '@proj/mux'
import { until } from '@proj/testkit/until'
import { describe, expect, onTestFinished, test } from 'vitest'

import { Bandwidth, MIN_BANDWIDTH, paced } from '../../src/io/bandwidth.ts'
import { ChannelSplice } from '../../src/io/channel-splice.ts'
import { RESET_REASONS, resetReasonName } from '../../src/protocol/reset-reason.ts'
import { resetSocket } from '../../src/io/reset-socket.ts'
import { SocketSplice } from '../../src/io/socket-splice.ts'
import { OutcomeWatch } from '../../src/protocol/stream-outcome.ts'
import { readAll, tcpSockets } from '../peers.ts'
import { TestClock } from './test-clock.ts'

const WINDOW = 262_144

/** Two sessions over one TCP connection, with windows that do not grow. */
async function sessions(
  onChannel: (channel: Channel) => void,
): Promise<{ client: Session; server: Session }> {
  const { near, far } = await tcpSockets()
  const limits = { maxStreamWindowBytes: WINDOW }
  const server = new Session(far, { role: 'server', onChannel, ...limits })
  const client = new Session(near, { role: 'client', ...limits })
  onTestFinished(() => {
    client.destroy()
    server.destroy()
  })
  return { client, server }
}

interface Path {
  /** The outer ends: what the visitor and the service hold. */
  readonly visitor: Socket
  readonly service: Socket
  readonly splices: { readonly near: SocketSplice; readonly far: SocketSplice }
  /** The sockets of the splices. */
  readonly sockets: { readonly near: Socket; readonly far: Socket }
  readonly client: Session
  /** Reasons the splices were closed with, undefined for a clean end. */
  readonly closed: { near?: string; far?: string }
}

const UNWATCHED = new OutcomeWatch(() => {})

/** A visitor's socket, spliced onto a stream, spliced onto a service's socket. */
async function path({
  hop = false,
  carriesRequests = false,
}: { readonly hop?: boolean; readonly carriesRequests?: boolean } = {}): Promise<Path> {
  const outer = await tcpSockets()
  const inner = await tcpSockets()
  const closed: Path['closed'] = {}
  const name = (reason: number | undefined): string =>
    reason === undefined ? 'clean' : resetReasonName(reason)
  let far: SocketSplice | undefined
  const accept = (channel: Channel): void => {
    far = new SocketSplice(channel, {
      resetReason: () => 'serviceReset',
      carriesRequests,
      onClose: (reason) => (closed.far = name(reason)),
    })
    channel.attach(far)
    far.connect(inner.near)
  }
  const last = await sessions(accept)
  const first = hop
    ? await sessions(
        (inbound) =>
          void new ChannelSplice(
            inbound,
            last.client.openChannel(),
            UNWATCHED,
            undefined,
            carriesRequests,
          ),
      )
    : last
  const channel = first.client.openChannel()
  const near = new SocketSplice(channel, {
    resetReason: () => 'consumerGone',
    onClose: (reason) => (closed.near = name(reason)),
  })
  channel.attach(near)
  near.connect(outer.near)
  const splices = { near, far: await until(() => far) }
  const sockets = { near: outer.near, far: inner.near }
  return { visitor: outer.far, service: inner.far, splices, sockets, client: first.client, closed }
}

/** How a socket ended: `fin` when both directions did, else the error's code. */
async function socketEnd(socket: Socket): Promise<string> {
  let code = 'fin'
  socket.on('error', (error: NodeJS.ErrnoException) => (code = error.code ?? error.message))
  socket.resume()
  if (!socket.closed) await new Promise((resolve) => socket.once('close', resolve))
  return code
}

describe.each([
  ['one session', false],
  ['two sessions', true],
])('a connection over %s', (_, hop) => {
  test('carries bytes both ways', async () => {
    const { visitor, service } = await path({ hop })
    for (let turn = 0; turn < 5; turn++) {
      visitor.write(`question ${turn}`)
      expect(String(((await once(service, 'data')) as [Buffer])[0])).toBe(`question ${turn}`)
      service.write(`answer ${turn}`)
      expect(String(((await once(visitor, 'data')) as [Buffer])[0])).toBe(`answer ${turn}`)
    }
  })

  // So much that it waits in every queue on the way; the poison shows a wrong answer.
  test.each(['visitor', 'service'] as const)(
    'keeps every byte of a bulk transfer from the %s, read late',
    async (sender) => {
      const ends = await path({ hop })
      const [from, to, last] =
        sender === 'visitor'
          ? [ends.visitor, ends.service, ends.sockets.far]
          : [ends.service, ends.visitor, ends.sockets.near]
      const sent = Buffer.alloc(32 * 1024 * 1024)
      for (let at = 0; at < sent.length; at += 4) sent.writeUInt32LE((at * 40_503) >>> 0, at)
      from.end(sent)
      await until(() => last.writableLength > 0)
      let at = 0
      for await (const chunk of to as AsyncIterable<Buffer>) {
        expect(chunk.equals(sent.subarray(at, at + chunk.length))).toBe(true)
        at += chunk.length
      }
      expect(at).toBe(sent.length)
    },
    60_000,
  )

  test.each(['visitor', 'service'] as const)(
    'passes the FIN of the %s on, and the other direction lives',
    async (first) => {
      const ends = await path({ hop })
      const [ending, living] =
        first === 'visitor' ? [ends.visitor, ends.service] : [ends.service, ends.visitor]
      ending.end('last words')
      expect(await readAll(living)).toBe('last words')
      living.write('still ')
      living.end('here')
      expect(await readAll(ending)).toBe('still here')
      await until(() => ends.closed.near !== undefined && ends.closed.far !== undefined)
      expect(ends.closed).toEqual({ near: 'clean', far: 'clean' })
      expect(ends.client.openStreams).toBe(0)
    },
  )

  test.each([
    ['visitor', 'consumerGone'],
    ['service', 'serviceReset'],
  ] as const)('passes the RST of the %s on as RST, with the reason %s', async (first, reason) => {
    const ends = await path({ hop })
    const [resetting, other] =
      first === 'visitor' ? [ends.visitor, ends.service] : [ends.service, ends.visitor]
    resetting.write('x')
    await once(other, 'data')
    const ended = socketEnd(other)
    resetting.resetAndDestroy()
    expect(await ended).toBe('ECONNRESET')
    await until(() => ends.closed.near !== undefined && ends.closed.far !== undefined)
    expect(ends.closed).toEqual({ near: reason, far: reason })
    expect(ends.client.openStreams).toBe(0)
  })

  test.each([
    ['visitor', 'consumerGone'],
    ['service', 'serviceReset'],
  ] as const)('passes a RST behind the last bytes of the %s on as RST', async (first, reason) => {
    for (const bytes of [200, 5000, 60_000, 600_000]) {
      const ends = await path({ hop })
      const [resetting, other] =
        first === 'visitor' ? [ends.visitor, ends.service] : [ends.service, ends.visitor]
      let received = 0
      other.on('data', (chunk: Buffer) => (received += chunk.length))
      other.on('error', () => {})
      resetting.write(Buffer.alloc(bytes))
      resetting.resetAndDestroy()
      await until(() => ends.closed.near !== undefined && ends.closed.far !== undefined)
      expect(ends.closed).toEqual({ near: reason, far: reason })
      if (bytes <= 60_000) await until(() => received === bytes)
      expect(ends.client.openStreams).toBe(0)
      expect(ends.sockets.near.destroyed && ends.sockets.far.destroyed).toBe(true)
    }
  })

  test.each([
    ['visitor', 'service'],
    ['service', 'visitor'],
  ] as const)(
    'from %s to a %s that does not read holds a bounded number of bytes',
    async (from, to) => {
      const ends = await path({ hop })
      const [sender, reader] = [ends[from], ends[to]]
      reader.pause()
      const total = 32 * 1024 * 1024
      const chunk = Buffer.alloc(1024 * 1024, 7)
      let written = 0
      const pump = (): void => {
        while (written < total) {
          written += chunk.length
          if (!sender.write(chunk)) return
        }
        sender.end()
      }
      sender.on('drain', pump)
      pump()
      const splice = from === 'visitor' ? ends.splices.near : ends.splices.far
      const taken = (): number => splice.bytesFromSocket
      let before = -1
      await until(
        () => {
          const stands = taken() === before
          before = taken()
          return stands && before > 0
        },
        { pollMs: 100 },
      )
      // A window and a queue per session, and what a read brings on top; the kernel's own buffers of
      // the last leg are what the rest can be.
      const held = (hop ? 2 : 1) * (WINDOW + 2 * WINDOW) + 8 * 1024 * 1024
      expect(taken()).toBeLessThan(held)
      expect(taken()).toBeLessThan(total / 2)
      let received = 0
      reader.on('data', (bytes: Buffer) => (received += bytes.length))
      reader.resume()
      await once(reader, 'end')
      expect(received).toBe(total)
    },
  )

  test('ends both sockets when a session dies', async () => {
    const ends = await path({ hop })
    const [visitor, service] = [socketEnd(ends.visitor), socketEnd(ends.service)]
    ends.client.destroy()
    await Promise.all([visitor, service])
    expect(ends.closed.near).toBe('upstreamLost')
    expect(['upstreamLost', 'consumerGone']).toContain(ends.closed.far)
  })
})

test('a reset waits for the bytes before it while the far side has no room', async () => {
  const { near, far } = await tcpSockets()
  let reason: number | undefined
  const { client } = await sessions((inbound) => {
    const splice = new SocketSplice(inbound, {
      resetReason: () => 'serviceReset',
      onClose: (given) => (reason = given),
    })
    inbound.attach(splice)
    splice.connect(near)
  })
  const channel = client.openChannel()
  let received = 0
  let isReset = false
  channel.attach({
    onData: (chunk: Buffer) => void (received += chunk.length),
    onEnd() {},
    onDrain() {},
    onClose: (error) => void (isReset = error !== undefined),
  })
  const sent = WINDOW + 50_000
  far.write(Buffer.alloc(sent))
  await until(() => received === WINDOW && near.bytesRead === sent)
  far.resetAndDestroy()
  await until(() => near.destroyed || near.readableEnded)
  await client.ping()
  expect(isReset).toBe(false)
  channel.consume(WINDOW)
  await until(() => isReset)
  expect(received).toBe(sent)
  expect(reason).toBe(RESET_REASONS.serviceReset)
})

test('what comes before there is a socket waits, at most a window of it, and its end too', async () => {
  const inner = await tcpSockets()
  let splice: SocketSplice | undefined
  const { client } = await sessions((inbound) => {
    splice = new SocketSplice(inbound, { resetReason: () => 'serviceReset' })
    inbound.attach(splice)
  })
  const channel = client.openChannel()
  const sent = Buffer.alloc(2 * WINDOW, 1)
  channel.write(sent)
  channel.end()
  await client.ping()
  expect(channel.sendCreditBytes).toBe(0)
  expect(channel.queuedBytes).toBe(sent.length - WINDOW)
  const received = readAll(inner.far)
  splice?.connect(inner.near)
  expect((await received).length).toBe(sent.length)
})

test('a socket that comes after the stream was reset is reset', async () => {
  const { near, far } = await tcpSockets()
  let closed: number | undefined
  const { client } = await sessions(() => {})
  const channel = client.openChannel()
  const splice = new SocketSplice(channel, {
    resetReason: () => 'serviceReset',
    onClose: (reason) => (closed = reason),
  })
  channel.attach(splice)
  splice.abort('limitReached')
  expect(closed).toBe(RESET_REASONS.limitReached)
  const ended = socketEnd(far)
  splice.connect(near)
  expect(await ended).toBe('ECONNRESET')
  splice.abort('draining')
  expect(closed).toBe(RESET_REASONS.limitReached)
})

test('a socket that was gone before it came resets the stream', async () => {
  const { near, far } = await tcpSockets()
  const ended = socketEnd(near)
  far.resetAndDestroy()
  await ended
  const { client } = await sessions(() => {})
  const channel = client.openChannel()
  const splice = new SocketSplice(channel, { resetReason: () => 'consumerGone' })
  channel.attach(splice)
  splice.connect(near)
  expect([channel.closed, client.openStreams]).toEqual([true, 0])
})

test('a socket torn down without a word is no clean end', async () => {
  const ends = await path()
  ends.visitor.write('x')
  await once(ends.service, 'data')
  const ended = socketEnd(ends.service)
  // The near end of the visitor's own connection, destroyed under the splice.
  ends.splices.near.abort('idleTimeout')
  expect(await ended).toBe('ECONNRESET')
  expect(ends.closed).toMatchObject({ near: 'idleTimeout' })
})

const used = () => {
  const clock = new TestClock()
  const bandwidth = new Bandwidth(MIN_BANDWIDTH, clock)
  bandwidth.take(MIN_BANDWIDTH)
  return { clock, bandwidth }
}

test('the first bytes of a visitor wait for their turn as well', async () => {
  const { clock, bandwidth } = used()
  const came: Buffer[] = []
  const { client } = await sessions((inbound) => {
    inbound.attach({
      onData: (chunk) => {
        came.push(Buffer.from(chunk))
        return true
      },
      onEnd: () => {},
      onDrain: () => {},
      onClose: () => {},
    })
  })
  const [held, free] = [await tcpSockets(), await tcpSockets()]
  const splice = (bandwidth?: Bandwidth) =>
    new SocketSplice(client.openChannel(), { resetReason: () => 'consumerGone', bandwidth })
  const [first, second] = [splice(bandwidth), splice()]
  held.far.write('held')
  first.connect(held.near)
  // What comes later, and behind it in the same session, overtakes it.
  for (const bytes of ['free', 'more']) {
    free.far.write(bytes)
    if (bytes === 'free') second.connect(free.near)
    await until(() => came.at(-1)?.toString() === bytes)
  }
  expect([first.isHeldBack, String(came)]).toEqual([true, 'free,more'])
  clock.advance(1000)
  await until(() => came.length === 3)
  expect(came.at(-1)?.toString()).toBe('held')
})

describe('what a bandwidth holds back of a stream that is over', () => {
  test('is dropped when the socket of the visitor is closed', async () => {
    const { clock, bandwidth } = used()
    const { near } = await tcpSockets()
    let isClosed = false
    const { client } = await sessions((inbound) => {
      inbound.write(Buffer.alloc(1024))
      inbound.resetWhenSent(RESET_REASONS.serviceReset, 60_000)
    })
    const channel = client.openChannel()
    const splice = new SocketSplice(channel, {
      resetReason: () => 'consumerGone',
      onClose: () => (isClosed = true),
    })
    channel.attach(paced(splice, bandwidth))
    splice.connect(near)
    await until(() => channel.closed)
    near.destroy()
    await once(near, 'close')
    expect([isClosed, splice.isGone]).toEqual([false, true])
    clock.advance(1000)
    expect([isClosed, splice.bytesToSocket]).toEqual([true, 0])
  })

  test('is dropped when the stream of the visitor is closed', async () => {
    const { clock, bandwidth } = used()
    let isClosed = false
    let agent: Channel | undefined
    const last = await sessions((inbound) => (agent = inbound))
    const second = last.client.openChannel()
    let first: Channel | undefined
    let splice: ChannelSplice | undefined
    const { client } = await sessions((inbound) => {
      first = inbound
      const onClose = (): void => void (isClosed = true)
      const bandwidths = { download: bandwidth }
      splice = new ChannelSplice(inbound, second, UNWATCHED, onClose, false, bandwidths)
    })
    const visitor = client.openChannel()
    await until(() => agent !== undefined && first !== undefined)
    agent?.write(Buffer.alloc(1024))
    agent?.resetWhenSent(RESET_REASONS.serviceReset, 60_000)
    await until(() => second.closed)
    visitor.reset(RESET_REASONS.consumerGone)
    await until(() => first?.closed)
    expect(isClosed).toBe(false)
    clock.advance(1000)
    expect([isClosed, splice?.bytesBack]).toEqual([true, 0])
  })
})

test('bytes are counted in both directions', async () => {
  const ends = await path()
  ends.visitor.write('12345')
  await once(ends.service, 'data')
  ends.service.write('123')
  await once(ends.visitor, 'data')
  expect([ends.splices.far.bytesToSocket, ends.splices.far.bytesFromSocket]).toEqual([5, 3])
  expect([ends.splices.near.bytesFromSocket, ends.splices.near.bytesToSocket]).toEqual([5, 3])
})

test('resetSocket destroys what cannot be reset', async () => {
  const { near, far } = await tcpSockets()
  const ended = socketEnd(far)
  resetSocket(near)
  expect(await ended).toBe('ECONNRESET')
  resetSocket(near) // again: nothing
  expect(near.destroyed).toBe(true)
})

describe.each([
  ['one session', false],
  ['two sessions', true],
])('the connection of an HTTP service that has ended its side, over %s,', (_, hop) => {
  /** Whether what the visitor sends behind the end still gets to a service that answered with these pieces. */
  async function takesMore(...pieces: string[]): Promise<boolean> {
    const { visitor, service, splices, closed } = await path({ hop, carriesRequests: true })
    let bytes = 0
    visitor.on('error', () => {}).resume()
    for (const piece of pieces) {
      service.write(piece)
      bytes += piece.length
      // Each is a chunk of its own.
      await until(() => splices.near.bytesToSocket === bytes)
    }
    service.end()
    await until(() => visitor.readableEnded)
    service.on('error', () => {})
    const got = new Promise<boolean>((resolve) => service.once('data', () => resolve(true)))
    visitor.write('more')
    return await Promise.race([got, until(() => closed.far !== undefined).then(() => false)])
  }

  test.each([
    ['HTTP/1.1 101 Switching Protocols\r\n\r\n'],
    ['HTTP/1.1 1', '01 Switching Protocols\r\n\r\n'],
    Array.from('HTTP/1.1 101'),
    ['HTTP/1.1 100 Continue\r\n\r\n', 'HTTP/1.0 10', '1 Switching Protocols\r\n\r\n'],
  ])('takes more after a switch of protocols: %j', async (...pieces) => {
    expect(await takesMore(...pieces)).toBe(true)
  })

  test.each([
    ['HTTP/1.1 200 OK\r\n\r\n'],
    ['HTTP/1.1 1', '00 Continue\r\n\r\n'],
    ['HTTP/1.1 ', '200 101'],
  ])('takes no more after %j %j', async (...pieces) => {
    expect(await takesMore(...pieces)).toBe(false)
  })
})

describe('a request of another node that crosses the end of its stream', () => {
  const silent = { onData: () => undefined, onEnd: () => {}, onDrain: () => {} }

  /** A node between the sessions of two peers; how the stream of the other node was closed, and the agent's stream. */
  async function joined() {
    let [stream, end]: [Channel | undefined, (() => void) | undefined] = [undefined, undefined]
    let closed: string | undefined
    const ended = new Promise<void>((resolve) => (end = resolve))
    const agent = await sessions((channel) => {
      stream = channel
      channel.attach({ ...silent, onClose: () => {} })
    })
    const link = await sessions(
      (inbound) =>
        void new ChannelSplice(inbound, agent.client.openChannel(), UNWATCHED, undefined, true),
    )
    const origin = link.client.openChannel({
      ...silent,
      onEnd: () => end?.(),
      onClose: (error) => {
        closed = error === undefined ? 'clean' : resetReasonName(error.reason)
      },
    })
    const received = await until(() => stream)
    return { origin, received, ended, reason: async () => await until(() => closed) }
  }

  // The agent, one of Piko, says nothing after its end.
  test('is reset with serviceClosed when it was not sent to the agent', async () => {
    const { origin, received, ended, reason } = await joined()
    let bytes = 0
    received.attach({
      ...silent,
      onData: ({ length }) => void (bytes += length),
      onClose: () => {},
    })
    received.end()
    await ended
    origin.write(Buffer.from('POST / HTTP/1.1\r\n\r\n'))
    expect(await reason()).toBe('serviceClosed')
    await until(() => received.closed)
    expect(bytes).toBe(0)
  })

  test('is reset with serviceReset when the agent took it and has no answer', async () => {
    const { origin, received, reason } = await joined()
    let bytes = 0
    received.attach({
      ...silent,
      onData: (chunk) => {
        bytes += chunk.length
        received.consume(chunk.length)
        received.end()
      },
      onClose: () => {},
    })
    origin.write(Buffer.from('POST / HTTP/1.1\r\n\r\n'))
    expect(await reason()).toBe('serviceReset')
    expect(bytes).toBe(19)
  })

  test('gets the reason of an agent that did not take it', async () => {
    const { origin, received, reason } = await joined()
    received.attach({
      ...silent,
      onData: () => {
        received.end()
        received.reset(RESET_REASONS.serviceClosed)
        return undefined
      },
      onClose: () => {},
    })
    origin.write(Buffer.from('POST / HTTP/1.1\r\n\r\n'))
    expect(await reason()).toBe('serviceClosed')
  })

  test.each([
    { how: 'behind the answer to what the agent took of it', takesAll: true, is: 'serviceClosed' },
    // With serviceClosed it would be sent again.
    { how: 'when not all of that answer leaves in time', takesAll: false, is: 'serviceReset' },
  ])('is reset with $is $how', async ({ takesAll, is }) => {
    const { origin, received } = await joined()
    // The other node has room for a part of the answer, and the end of the agent comes before it reads on.
    const answer = Buffer.alloc(WINDOW + WINDOW / 2, 'x')
    let bytes = 0
    let readsOn = false
    let closed: string | undefined
    origin.attach({
      ...silent,
      onData: ({ length }) => {
        bytes += length
        if (readsOn) origin.consume(length)
      },
      onClose: (error) => {
        closed = error === undefined ? 'clean' : resetReasonName(error.reason)
      },
    })
    received.attach({
      ...silent,
      onData: ({ length }) => {
        received.consume(length)
        received.write(answer)
        received.end()
      },
      onClose: () => {},
    })
    origin.write(Buffer.from('POST / HTTP/1.1\r\n\r\n'))
    await until(() => bytes === WINDOW)
    await received.session.ping()
    origin.write(Buffer.from('more of the body'))
    await origin.session.ping()
    readsOn = takesAll
    if (takesAll) origin.consume(WINDOW)
    expect(await until(() => closed)).toBe(is)
    expect(bytes).toBe(takesAll ? answer.length : WINDOW)
  })
})

test('a service that ends behind an answer which does not leave in time has taken the request', async () => {
  const { near, far: service } = await tcpSockets()
  const { client } = await sessions((inbound) => {
    const splice = new SocketSplice(inbound, {
      resetReason: () => 'serviceReset',
      carriesRequests: true,
    })
    inbound.attach(splice)
    splice.connect(near)
  })
  let bytes = 0
  let closed: string | undefined
  const channel = client.openChannel({
    onData: ({ length }) => void (bytes += length),
    onEnd: () => {},
    onDrain: () => {},
    onClose: (error) => (closed = resetReasonName(error?.reason ?? 0)),
  })
  service.once('data', () => service.end(Buffer.alloc(WINDOW + 1024, 'x')))
  channel.write(Buffer.from('POST / HTTP/1.1\r\n\r\n'))
  await until(() => bytes === WINDOW && near.readableEnded)
  channel.write(Buffer.from('more of the body'))
  expect(await until(() => closed)).toBe('serviceReset')
})
