// What a stream multiplexer does over any transport. Run it with a factory of connected pairs:
//
//     muxSuite('over TLS', { connect: tlsPair, createSession: (t, o) => new Session(t, o) })
//
// It knows the multiplexer by the shapes of mux-shape.ts only, so that this package depends on none.
import type { Duplex } from 'node:stream'
import { buffer, text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { DuplexPair } from './duplex-pairs.ts'
import { countListeners, NOTHING_LEFT, pattern, sink, stat } from './mux-facts.ts'
import type { MuxSession } from './mux-shape.ts'
import { until, untilEvent } from './until.ts'

/** What the suite needs. */
export interface MuxSuiteSetup {
  /** Makes a fresh connected pair. */
  readonly connect: () => Promise<DuplexPair>
  /** Makes a session over one end. */
  readonly createSession: (transport: Duplex, options: { role: 'client' | 'server' }) => MuxSession
}

/** Declares the suite under `name`. */
export function muxSuite(name: string, { connect, createSession }: MuxSuiteSetup): void {
  describe(`multiplexes ${name}`, () => {
    let transports: DuplexPair
    let listenersBefore: string
    let client: MuxSession
    let server: MuxSession

    beforeEach(async () => {
      transports = await connect()
      listenersBefore = transports.map(countListeners).join()
      client = createSession(transports[0], { role: 'client' })
      server = createSession(transports[1], { role: 'server' })
    })

    afterEach(async () => {
      client.destroy()
      server.destroy()
      await Promise.all([client.closed, server.closed])
      for (const session of [client, server]) {
        expect(session.stats()).toMatchObject(NOTHING_LEFT)
      }
      await until(() => transports.map(countListeners).join() === listenersBefore)
    })

    const echo = (): void => {
      server.on('stream', (stream: Duplex) => void pipeline(stream, stream).catch(() => {}))
    }
    const pair = async (): Promise<DuplexPair> => {
      const accepted = untilEvent(server, 'stream')
      const near = await client.open()
      const [far] = (await accepted) as [Duplex]
      // the end of a test may cut them short; what a test expects it asserts
      for (const stream of [near, far]) stream.on('error', () => {})
      return [near, far]
    }

    test('carries bytes there and back, and the ends of both directions', async () => {
      echo()
      const stream = await client.open()
      stream.end('ping')
      expect(await text(stream)).toBe('ping')
    })

    test('opens streams from both sides', async () => {
      client.on('stream', (stream: Duplex) => {
        stream.on('error', () => {}) // the end of the test may cut it short
        stream.end('from the client')
      })
      const stream = await server.open()
      stream.on('error', () => {})
      stream.end()
      expect(await text(stream)).toBe('from the client')
    })

    test('yields streams of the peer to an async iterator that ends with the session', async () => {
      const seen: string[] = []
      const reading = (async () => {
        for await (const stream of server) {
          seen.push(await text(stream))
          stream.end()
        }
      })()
      for (const word of ['one', 'two']) {
        const stream = await client.open()
        stream.end(word)
        expect(await text(stream)).toBe('')
      }
      await client.close()
      await reading
      expect(seen).toEqual(['one', 'two'])
    })

    test('keeps the answer open after the question has ended', async () => {
      const [near, far] = await pair()
      near.end('question')
      expect(await text(far)).toBe('question')
      expect(near.readableEnded).toBe(false)
      far.end('answer')
      expect(await text(near)).toBe('answer')
    })

    test('keeps the question open after the answer has ended', async () => {
      const [near, far] = await pair()
      far.end('early answer')
      expect(await text(near)).toBe('early answer')
      near.end('late question')
      expect(await text(far)).toBe('late question')
    })

    test('moves megabytes both ways at once, unchanged', async () => {
      echo()
      const sent = pattern(6_000_000)
      const stream = await client.open()
      const received = buffer(stream)
      await pipeline([sent], stream, { end: true }).catch(() => {})
      expect((await received).equals(sent)).toBe(true)
    })

    test('keeps the order of many small writes', async () => {
      const [near, far] = await pair()
      const received = text(far)
      let expected = ''
      for (let i = 0; i < 5000; i++) {
        expected += `${i};`
        if (!near.write(`${i};`)) await untilEvent(near, 'drain')
      }
      near.end()
      far.end()
      expect(await received).toBe(expected)
      near.resume()
    })

    test('carries 1000 streams at once', async () => {
      echo()
      const answers = Array.from({ length: 1000 }, async (_, index) => {
        const stream = await client.open()
        stream.end(`stream ${index}`)
        return text(stream)
      })
      expect(await Promise.all(answers)).toEqual(answers.map((_, index) => `stream ${index}`))
      await until(() => stat(client, 'outboundStreams') === 0)
    })

    test('holds a writer back while there is no reader, and lets it go on', async () => {
      const [near, far] = await pair()
      const sent = pattern(3_000_000)
      near.end(sent)
      await until(() => stat(client, 'creditStalls') > 0)
      expect(stat(server, 'heldBytes')).toBeLessThanOrEqual(262_144)
      expect((await buffer(far)).equals(sent)).toBe(true)
      far.end()
      near.resume()
    })

    test('lets other streams pass one that is not read', async () => {
      const [stuck] = await pair()
      stuck.write(pattern(1_000_000))
      await until(() => stat(client, 'creditStalls') > 0)
      server.removeAllListeners('stream')
      echo()
      const stream = await client.open()
      stream.end('passes')
      expect(await text(stream)).toBe('passes')
    })

    test('resets one stream with a reason and leaves the session alone', async () => {
      const errors: unknown[] = []
      server.on('stream', (stream: Duplex) => stream.on('error', (error) => errors.push(error)))
      const closed: unknown[] = []
      const channel = client.openChannel(sink({ onClose: (error) => closed.push(error) }))
      channel.write(Buffer.from('x'))
      await until(() => stat(server, 'inboundStreams') === 1)
      channel.reset(0xdead_beef)
      await until(() => errors.length === 1)
      expect(errors).toMatchObject([{ code: 'MUX_STREAM_RESET', reason: 0xdead_beef }])
      expect(closed).toMatchObject([{ code: 'MUX_STREAM_ABORTED' }])
      expect(await client.ping()).toBeGreaterThanOrEqual(0)
    })

    test('breaks a stream that is destroyed half-way instead of ending it', async () => {
      const [near, far] = await pair()
      near.write('half')
      const received = text(far)
      await until(() => stat(server, 'bytesReceived') !== 12)
      near.destroy()
      await expect(received).rejects.toMatchObject({ code: 'MUX_STREAM_RESET', reason: 0 })
    })

    test('calls a sink with data, end and close, in that order', async () => {
      echo()
      const calls: string[] = []
      const closed = new Promise<void>((resolve) => {
        const channel = client.openChannel({
          onData: (chunk) => {
            calls.push(chunk.toString())
            channel.consume(chunk.length)
          },
          onEnd: () => calls.push('end'),
          onDrain: () => {},
          onClose: (error) => {
            calls.push(`close ${String(error)}`)
            resolve()
          },
        })
        channel.write(Buffer.from('hello'))
        channel.end()
      })
      await closed
      expect(calls).toEqual(['hello', 'end', 'close undefined'])
    })

    test('measures a round trip, and rejects pings once closed', async () => {
      expect(await client.ping()).toBeGreaterThanOrEqual(0)
      const waiting = [client.ping(), client.ping()]
      client.destroy()
      for (const ping of [...waiting, client.ping()]) {
        await expect(ping).rejects.toMatchObject({ name: 'MuxError' })
      }
    })

    test('takes no more streams after goAway, and finishes those it has', async () => {
      const [near, far] = await pair()
      const gone = untilEvent(client, 'goaway')
      server.goAway()
      expect(await gone).toEqual([0])
      expect(() => client.openChannel()).toThrow(
        expect.objectContaining({ code: 'MUX_GOAWAY_RECEIVED' }),
      )
      await expect(client.open()).rejects.toMatchObject({ code: 'MUX_GOAWAY_RECEIVED' })
      near.end('still')
      far.end('here')
      expect(await Promise.all([text(far), text(near)])).toEqual(['still', 'here'])
    })

    test('waits for its streams when closing', async () => {
      const [near, far] = await pair()
      const closing = client.close()
      expect(() => client.openChannel()).toThrow(
        expect.objectContaining({ code: 'MUX_SESSION_CLOSED' }),
      )
      far.end('last words')
      near.end()
      far.resume()
      expect(await text(near)).toBe('last words')
      await closing
      expect(await client.closed).toEqual({ code: 'MUX_SESSION_CLOSED' })
    })

    test('closes from both sides at once', async () => {
      const [near, far] = await pair()
      const closing = Promise.all([client.close(), server.close()])
      near.end()
      far.end()
      near.resume()
      far.resume()
      await closing
      expect(await client.closed).toEqual({ code: 'MUX_SESSION_CLOSED' })
    })

    test('sends the code of close as its last frame', async () => {
      const gone: number[] = []
      server.on('goaway', (code: number) => gone.push(code))
      await client.close({ code: 2 })
      expect(await server.closed).toMatchObject({ code: 'MUX_GOAWAY_RECEIVED' })
      expect(gone).toEqual([0, 2])
    })

    test('fails every stream of both sides when it is aborted', async () => {
      const [near, far] = await pair()
      const ends = Promise.allSettled([text(near), text(far)])
      client.abort(2)
      expect(await ends).toMatchObject([
        { reason: { code: 'MUX_SESSION_ABORTED' } },
        { reason: { code: 'MUX_GOAWAY_RECEIVED', goAwayCode: 2 } },
      ])
    })

    test('fails every reader and writer when the transport breaks', async () => {
      const [near, far] = await pair()
      near.write(pattern(2_000_000))
      const ends = Promise.allSettled([text(near), text(far), client.ping()])
      transports[0].destroy()
      for (const end of await ends) expect(end).toMatchObject({ reason: { name: 'MuxError' } })
      await Promise.all([client.closed, server.closed])
    })
  })
}
