// With @chainsafe/libp2p-yamux, another implementation, over TCP, in both roles.
import { once } from 'node:events'
import type { Duplex } from 'node:stream'
import { buffer, text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { tcpPair } from '@proj/testkit/duplex-pairs'
import { pattern } from '@proj/testkit/mux-facts'
import { until } from '@proj/testkit/until'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Session } from '../src/index.ts'
import { type Libp2pMuxer, libp2pMuxer, type Libp2pStream } from './peers/libp2p-yamux.js'

describe.each([
  { ours: 'client', theirs: 'server' },
  { ours: 'server', theirs: 'client' },
] as const)('we are the $ours of libp2p', ({ ours, theirs }) => {
  let transports: readonly [Duplex, Duplex]
  let session: Session
  let muxer: Libp2pMuxer
  let serve: (stream: Libp2pStream) => void

  beforeEach(async () => {
    transports = await tcpPair()
    serve = echo
    session = new Session(transports[0], { role: ours })
    muxer = libp2pMuxer(transports[1], theirs, (stream) => serve(stream))
  })

  afterEach(async () => {
    session.destroy()
    await session.closed
    transports[1].destroy()
  })

  test('a stream of ours is echoed, both sides end, and theirs closes', async () => {
    const stream = await session.open()
    stream.end('hello')
    expect(await text(stream)).toBe('hello')
    await until(() => muxer.streams.length === 0)
    expect(session.stats()).toMatchObject({ outboundStreams: 0, unackedStreams: 0 })
  })

  test('a stream of theirs is echoed and both sides end', async () => {
    session.on('stream', (stream) => void pipeline(stream, stream))
    const stream = await muxer.createStream()
    const answer = collect(stream)
    stream.send(Buffer.from('hello'))
    await stream.close()
    expect((await answer).toString()).toBe('hello')
    await until(() => session.stats().inboundStreams === 0)
  })

  test('4 MiB are echoed unchanged, across many windows', async () => {
    const sent = pattern(4_194_304)
    const stream = await session.open()
    stream.end(sent)
    expect((await buffer(stream)).equals(sent)).toBe(true)
    expect(session.stats().creditStalls).toBeGreaterThan(0)
  })

  test('200 streams of each side at once', async () => {
    session.on('stream', (stream) => void pipeline(stream, stream))
    const answers = Array.from({ length: 200 }, async (_, index) => {
      const [mine, yours] = await Promise.all([session.open(), muxer.createStream()])
      const answer = collect(yours)
      mine.end(`mine ${index}`)
      yours.send(Buffer.from(`yours ${index}`))
      await yours.close()
      return `${await text(mine)}, ${(await answer).toString()}`
    })
    const expected = answers.map((_, index) => `mine ${index}, yours ${index}`)
    expect(await Promise.all(answers)).toEqual(expected)
    await until(() => muxer.streams.length === 0 && session.stats().inboundStreams === 0)
  })

  test('a reset of ours, with a reason they do not know, resets theirs', async () => {
    const streams: Libp2pStream[] = []
    serve = (stream) => streams.push(stream)
    const stream = await session.open()
    stream.on('error', () => {})
    stream.write('x')
    await until(() => streams.length === 1)
    stream.reset(42)
    await until(() => streams[0]?.status === 'reset')
    expect(muxer.status).toBe('open')
  })

  test('a reset of theirs breaks ours with MUX_STREAM_RESET', async () => {
    serve = (stream) => stream.abort(new Error('no'))
    const stream = await session.open()
    await expect(text(stream)).rejects.toMatchObject({ code: 'MUX_STREAM_RESET', reason: 0 })
  })

  test('libp2p uses a larger window that we announce', async () => {
    session.destroy()
    transports[1].destroy()
    transports = await tcpPair()
    session = new Session(transports[0], { role: ours, initialWindowBytes: 1_048_576 })
    muxer = libp2pMuxer(transports[1], theirs, echo)
    const stream = await muxer.createStream()
    const [inbound] = (await once(session, 'stream')) as [Duplex]
    inbound.on('error', () => {})
    stream.send(Buffer.alloc(2_000_000))
    // nothing reads it: they send what the announced window and the Duplex hold, and then wait
    await until(() => session.stats().heldBytes > 900_000)
    expect(session.stats().heldBytes).toBeLessThanOrEqual(1_048_576)
  })

  test('both sides respond to pings', async () => {
    expect(await session.ping()).toBeGreaterThan(0)
    withResolversForNode20()
    expect(await muxer.ping()).toBeGreaterThanOrEqual(0)
  })

  test('close() ends the session of libp2p', async () => {
    await session.close()
    expect(muxer.status).not.toBe('open')
  })

  test('their close is a GoAway 0 to us', async () => {
    const gone = once(session, 'goaway')
    await muxer.close()
    expect(await gone).toEqual([0])
    expect(() => session.openChannel()).toThrow(
      expect.objectContaining({ code: 'MUX_GOAWAY_RECEIVED' }),
    )
  })
})

function echo(stream: Libp2pStream): void {
  stream.addEventListener('message', (event) => stream.send(bytesOf(event)))
  stream.addEventListener('remoteCloseWrite', () => void stream.close())
}

function collect(stream: Libp2pStream): Promise<Buffer> {
  const pieces: Uint8Array[] = []
  stream.addEventListener('message', (event) => pieces.push(bytesOf(event)))
  return new Promise((resolve) => {
    stream.addEventListener('remoteCloseWrite', () => resolve(Buffer.concat(pieces)))
  })
}

function bytesOf(event: Event): Uint8Array {
  const { data } = event as Event & { data: { subarray(): Uint8Array } }
  return data.subarray()
}

// libp2p uses it in ping() and names Node 22 as its floor; we test on Node 20 too.
function withResolversForNode20(): void {
  if ('withResolvers' in Promise) return
  Object.defineProperty(Promise, 'withResolvers', {
    configurable: true,
    value: () => {
      const result: Record<string, unknown> = {}
      result['promise'] = new Promise((resolve, reject) =>
        Object.assign(result, { resolve, reject }),
      )
      return result
    },
  })
}
