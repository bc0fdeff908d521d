// A million sessions whose peer sends damaged frames in random pieces. Between them the local side
// writes, consumes, ends and resets at random. In every case nothing is thrown, what we send follows the
// protocol, and nothing is left after the end of the transport.
import { setImmediate as nextTurn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { type Channel, type ChannelSink, Session } from '../../src/index.ts'
import { FrameReader } from '../../src/frame/frame-reader.ts'
import { FakeClock } from '../fake-clock.ts'
import { conversation, mutate, Random } from './mutations.ts'
import { SyncTransport } from '../sync-transport.ts'

// `pnpm test` runs all, the package alone a part
const SESSIONS = process.env['ADIT_FULL_TESTS'] === '1' ? 1_000_000 : 20_000
/** Sessions that live at once, between two turns of the event loop. */
const BATCH = 500
const SEED = 20_240_417
const SOME_BYTES = Buffer.alloc(5000, 'answer ')

const clock = new FakeClock()

/** Reads what the session sends and records violations of the protocol. */
class CheckedOutput extends SyncTransport {
  readonly #ended = new Set<number>()
  readonly #opened = new Set<number>()
  #final = false
  broken = ''

  readonly #reader = new FrameReader({
    onHeader: (type, flags, id) => {
      if (this.#final) this.broken ||= 'a frame after the last GoAway'
      if (type > 1) return
      if (this.#ended.has(id) && type === 0) this.broken ||= `data after the end of ${id}`
      if ((flags & 4) !== 0 && this.#ended.has(id)) this.broken ||= `a second FIN on ${id}`
      if ((flags & 1) !== 0 && this.#opened.has(id)) this.broken ||= `a second SYN on ${id}`
      if ((flags & 1) !== 0) this.#opened.add(id)
      if ((flags & 12) !== 0) this.#ended.add(id)
    },
    onPayload: () => {},
    onPayloadEnd: () => {},
  })

  override write(chunk: Buffer): boolean {
    this.#reader.push(chunk)
    return true
  }

  override end(): void {
    super.end()
    this.#final = true
  }
}

/** A user that consumes at once, later or never, and may call anything in a callback. */
class RandomSink implements ChannelSink {
  channel: Channel | undefined
  readonly #random: Random
  unconsumed = 0
  closes = 0

  constructor(random: Random) {
    this.#random = random
  }

  onData(chunk: Buffer): true {
    this.unconsumed += chunk.length
    if (this.#random.oneIn(2)) this.act()
    return true
  }

  onEnd(): void {
    if (this.#random.oneIn(2)) this.act()
  }

  onDrain(): void {}

  onClose(): void {
    this.closes += 1
    if (this.#random.oneIn(50)) this.channel?.session.destroy()
  }

  act(): void {
    const { channel } = this
    if (channel === undefined) return
    switch (this.#random.below(8)) {
      case 0:
        channel.end()
        break
      case 1:
        channel.reset(this.#random.below(1000))
        break
      case 2:
        if (this.#random.oneIn(100)) throw new Error('a bug of the user')
        break
      case 3:
      case 4:
        if (!channel.writableEnded) channel.write(SOME_BYTES.subarray(this.#random.below(5000)))
        break
      default: {
        const bytes = this.unconsumed
        this.unconsumed = 0
        channel.consume(bytes)
      }
    }
  }
}

interface Fuzzed {
  readonly seed: number
  readonly random: Random
  readonly transport: CheckedOutput
  readonly session: Session
  readonly sinks: RandomSink[]
  readonly bytes: Buffer
}

function begin(seed: number): Fuzzed {
  const random = new Random(seed)
  const transport = new CheckedOutput()
  const sinks: RandomSink[] = []
  const session = new Session(transport.duplex, {
    role: 'server',
    clock,
    maxInboundStreams: 4,
    onChannel: (channel) => {
      const sink = new RandomSink(random)
      sink.channel = channel
      sinks.push(sink)
      if (!random.oneIn(4)) channel.attach(sink)
    },
  })
  for (let opens = random.below(3); opens > 0; opens--) {
    const sink = new RandomSink(random)
    sink.channel = session.openChannel(sink)
    sink.channel.write(SOME_BYTES.subarray(0, random.below(100)))
    sinks.push(sink)
  }
  return { seed, random, transport, session, sinks, bytes: mutate(conversation(random), random) }
}

function feed({ random, transport, sinks }: Fuzzed, bytes: Buffer): void {
  for (let at = 0; at < bytes.length;) {
    const next = at + 1 + random.below(random.oneIn(3) ? 20 : 600)
    transport.feed(bytes.subarray(at, next))
    at = next
    if (sinks.length === 0 || !random.oneIn(3)) continue
    try {
      sinks[random.below(sinks.length)]?.act()
    } catch {
      // The random sink threw into its own caller.
    }
  }
}

function finish({ random, transport, session, sinks }: Fuzzed): string {
  for (const sink of sinks) {
    if (sink.channel !== undefined && random.oneIn(2)) sink.channel.attach(sink)
  }
  if (random.oneIn(3)) session.destroy()
  else transport.destroy()
  const stats = session.stats()
  const left = stats.inboundStreams + stats.outboundStreams + stats.unackedStreams
  if (transport.broken !== '') return transport.broken
  if (left + stats.grownBytes + stats.pendingPings > 0) return 'streams, bytes or pings left'
  if (stats.state !== 'closed') return `state ${stats.state}`
  if (transport.listenerTotal > 0) return 'listeners left'
  return sinks.some(({ closes }) => closes > 1) ? 'closed twice' : ''
}

test(`${SESSIONS} damaged sessions leave nothing behind`, { timeout: 600_000 }, async () => {
  const problems: string[] = []
  let ended = 0
  for (let first = 0; first < SESSIONS && problems.length === 0; first += BATCH) {
    const batch = Array.from({ length: BATCH }, (_, index) => begin(SEED + first + index))
    for (const fuzzed of batch) feed(fuzzed, fuzzed.bytes.subarray(0, fuzzed.bytes.length >> 1))
    await nextTurn()
    for (const fuzzed of batch) feed(fuzzed, fuzzed.bytes.subarray(fuzzed.bytes.length >> 1))
    await nextTurn()
    for (const fuzzed of batch) {
      if (fuzzed.session.stats().state !== 'open') ended += 1
      const problem = finish(fuzzed)
      if (problem !== '') problems.push(`seed ${fuzzed.seed}: ${problem}`)
    }
    if (clock.pending > 0) problems.push(`${clock.pending} timers left near seed ${SEED + first}`)
  }
  expect(problems).toEqual([])
  // Between too little damage, which ends no session, and too much, which ends all at once.
  expect(ended / SESSIONS).toBeGreaterThan(0.2)
  expect(ended / SESSIONS).toBeLessThan(0.8)
})
