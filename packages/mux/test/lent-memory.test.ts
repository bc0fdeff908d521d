import { Duplex } from 'node:stream'

import { until } from '@proj/testkit/until'
import { describe, expect, it, onTestFinished } from 'vitest'

import { type Channel, type ChunkAnswer, type ChunkHolder, Session } from '../src/index.ts'
import { Rig } from './wire.ts'

/** Two ends of a transport that delivers at once, and one that takes nothing while held. */
function transports(): { left: Duplex; right: Duplex; hold: () => void; release: () => void } {
  let held: (() => void)[] | undefined
  const end = (other: () => Duplex): Duplex =>
    new Duplex({
      read() {},
      write(chunk: Buffer, _, done) {
        other().push(chunk)
        if (held === undefined) done()
        else held.push(done)
      },
    })
  const left: Duplex = end(() => right)
  const right: Duplex = end(() => left)
  return {
    left,
    right,
    hold: () => (held = []),
    release: () => {
      const waiting = held ?? []
      held = undefined
      for (const done of waiting) done()
    },
  }
}

/** A sink that answers each chunk with what the test says. */
function sink(answer: () => ChunkAnswer | undefined): Parameters<Channel['attach']>[0] {
  return { onData: () => answer(), onEnd() {}, onDrain() {}, onClose() {} }
}

async function settled(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve))
}

it('tells the transport that memory is free only when every sink said so', async () => {
  const { left, right } = transports()
  const reports: ChunkAnswer[] = []
  const answers: (ChunkAnswer | undefined)[] = [true, undefined, false, true]
  const client = new Session(left, { role: 'client' })
  const server = new Session(right, {
    role: 'server',
    onProcessed: (answer) => reports.push(answer),
    onChannel: (channel) => channel.attach(sink(() => answers.shift())),
  })
  const channel = client.openChannel(sink(() => true))
  client.flush()
  await settled()
  reports.length = 0
  for (let sent = 0; sent < 4; sent++) {
    channel.write(Buffer.alloc(100))
    client.flush()
    await settled()
  }
  expect(reports).toEqual([true, false, false, true])
  client.destroy()
  server.destroy()
})

it('counts bytes that wait for a sink as kept', async () => {
  const { left, right } = transports()
  const reports: ChunkAnswer[] = []
  const client = new Session(left, { role: 'client' })
  const server = new Session(right, {
    role: 'server',
    onProcessed: (answer) => reports.push(answer),
    onChannel: () => {},
  })
  client.openChannel(sink(() => true)).write(Buffer.alloc(100))
  client.flush()
  await settled()
  expect(reports).toContain(false)
  client.destroy()
  server.destroy()
})

it('says of a flush whether the transport has taken everything', async () => {
  const { left, right, hold, release } = transports()
  const client = new Session(left, { role: 'client' })
  const server = new Session(right, {
    role: 'server',
    onChannel: (one) => one.attach(sink(() => false)),
  })
  const channel = client.openChannel(sink(() => true))
  expect(client.flush()).toBe(true)
  hold()
  channel.write(Buffer.alloc(100))
  expect(client.flush()).toBe(false)
  release()
  await settled()
  expect(client.flush()).toBe(true)
  client.destroy()
  server.destroy()
})

it('passes on who refers to a chunk, and asks all of several', async () => {
  const { left, right } = transports()
  const reports: ChunkAnswer[] = []
  const holders = [{ drained: false }, { drained: false }]
  const waiting = [...holders]
  const client = new Session(left, { role: 'client' })
  const server = new Session(right, {
    role: 'server',
    onProcessed: (answer) => reports.push(answer),
    onChannel: (channel) => channel.attach(sink(() => waiting.shift() ?? true)),
  })
  const channels = [client.openChannel(sink(() => true)), client.openChannel(sink(() => true))]
  await settled()
  reports.length = 0
  // Two streams, one batch, one chunk; sent while the transport is corked so that it stays one.
  for (const channel of channels) channel.write(Buffer.alloc(100))
  client.flush()
  await settled()
  expect(reports).toHaveLength(1)
  const [holder] = reports as [ChunkHolder]
  expect(holder.drained).toBe(false)
  for (const one of holders) one.drained = true
  expect(holder.drained).toBe(true)
  holders[0] = Object.assign(holders[0] ?? {}, { drained: false })
  expect(holder.drained).toBe(false)
  client.destroy()
  server.destroy()
})

it('asks a sink that gathers once for all pieces of a chunk', async () => {
  const { left, right } = transports()
  const calls: string[] = []
  const reports: ChunkAnswer[] = []
  let isGathering = false
  const client = new Session(left, { role: 'client' })
  const server = new Session(right, {
    role: 'server',
    onProcessed: (answer) => reports.push(answer),
    onChannel: (channel) => {
      const gather = (): ChunkAnswer => {
        calls.push('piece')
        if (isGathering) return true
        isGathering = true
        return channel.session.afterChunk(() => {
          isGathering = false
          calls.push('sent')
          return false
        })
      }
      channel.attach(sink(gather))
    },
  })
  const channel = client.openChannel(sink(() => true))
  await settled()
  calls.length = 0
  reports.length = 0
  const other = client.openChannel(sink(() => true))
  // Two frames of one stream, for another stream has its turn in between.
  channel.write(Buffer.alloc(40_000))
  other.write(Buffer.alloc(40_000))
  left.cork()
  client.flush()
  left.uncork()
  await settled()
  expect(calls.filter((call) => call === 'piece').length).toBeGreaterThan(2)
  expect(calls.at(-1)).toBe('sent')
  expect(reports).toContain(false)
  expect(server.afterChunk(() => false)).toBe(false)
  client.destroy()
  server.destroy()
})

it('refers to what was written until the transport has passed it on', async () => {
  const { left, right, hold, release } = transports()
  const client = new Session(left, { role: 'client' })
  const server = new Session(right, {
    role: 'server',
    onChannel: (one) => one.attach(sink(() => false)),
  })
  const channel = client.openChannel(sink(() => true))
  await settled()
  expect(channel.holder).toBe(true)
  hold()
  channel.write(Buffer.alloc(100_000))
  const queued = channel.holder as ChunkHolder
  expect(queued.drained).toBe(false)
  client.flush()
  expect(queued.drained).toBe(false)
  release()
  await settled()
  expect(queued.drained).toBe(true)
  client.destroy()
  server.destroy()
})

it('knows that something has left although more waits behind it', async () => {
  const { left, right, hold, release } = transports()
  const client = new Session(left, { role: 'client' })
  const server = new Session(right, {
    role: 'server',
    onChannel: (one) => one.attach(sink(() => false)),
  })
  const channel = client.openChannel(sink(() => true))
  await settled()
  channel.write(Buffer.alloc(262_144)) // all the credit there is
  channel.write(Buffer.alloc(10))
  const starved = channel.holder as ChunkHolder
  client.flush()
  await settled()
  expect(starved.drained).toBe(false)
  const other = client.openChannel(sink(() => true))
  hold()
  other.write(Buffer.alloc(100))
  const first = other.holder as ChunkHolder
  client.flush()
  other.write(Buffer.alloc(100))
  expect(first.drained).toBe(false)
  release()
  await settled()
  expect(first.drained).toBe(true)
  expect(starved.drained).toBe(false)
  client.destroy()
  server.destroy()
})

it('takes a chunk for kept when the sink throws', async () => {
  const { left, right } = transports()
  const reports: ChunkAnswer[] = []
  const client = new Session(left, { role: 'client' })
  const throwing = sink(() => {
    throw new Error('a bug')
  })
  const server = new Session(right, {
    role: 'server',
    onProcessed: (answer) => reports.push(answer),
    onChannel: (channel) => channel.attach(throwing),
  })
  const channel = client.openChannel(sink(() => true))
  await settled()
  reports.length = 0
  channel.write(Buffer.alloc(100))
  await settled()
  expect(reports).toEqual([false])
  client.destroy()
  server.destroy()
})

describe('poisoned memory', () => {
  /** Sends `text` to a sink that keeps the chunk and gives this answer; returns what it kept. */
  async function keptBy(answer: () => ChunkAnswer | undefined, text = 'payload'): Promise<Buffer> {
    const { left, right } = transports()
    const kept: Buffer[] = []
    const client = new Session(left, { role: 'client' })
    const server = new Session(right, {
      role: 'server',
      onChannel: (channel) =>
        channel.attach({
          onData: (chunk) => {
            kept.push(chunk)
            return answer()
          },
          onEnd() {},
          onDrain() {},
          onClose() {},
        }),
    })
    onTestFinished(() => {
      client.destroy()
      server.destroy()
    })
    client.openChannel().write(Buffer.from(text))
    await until(() => kept.length > 0)
    await settled()
    return kept[0] ?? Buffer.alloc(0)
  }

  it('shows a sink that keeps a chunk which it answered to be free', async () => {
    expect(await keptBy(() => true)).toEqual(Buffer.alloc(7, 0xdd))
  })

  it('leaves alone what a sink keeps', async () => {
    expect(String(await keptBy(() => false))).toBe('payload')
    expect(String(await keptBy(() => undefined))).toBe('payload')
  })

  it('waits for the holder of a chunk', async () => {
    const holder = { drained: false }
    const chunk = await keptBy(() => holder)
    await keptBy(() => true) // every chunk is a check of those before it
    expect(String(chunk)).toBe('payload')
    holder.drained = true
    await until(() => chunk.equals(Buffer.alloc(7, 0xdd)))
  })

  it('never touches what was written', async () => {
    const { left, right } = transports()
    const client = new Session(left, { role: 'client' })
    const server = new Session(right, {
      role: 'server',
      onChannel: (channel) => channel.attach(sink(() => true)),
    })
    const written = Buffer.alloc(10_000, 'w')
    client.openChannel().write(written)
    await until(() => server.stats().heldBytes === 10_000)
    expect(written.equals(Buffer.alloc(10_000, 'w'))).toBe(true)
    client.destroy()
    server.destroy()
  })

  it('shows a transport that reports as sent what it still refers to', async () => {
    const rig = new Rig()
    Object.assign(rig.transport, { unsentBytes: 0 })
    rig.open().channel.write(Buffer.from('payload'))
    await settled()
    const [batch] = rig.transport.written
    expect(batch).toEqual(Buffer.alloc(2 * 12 + 7, 0xdd))
  })
})
