import { Duplex } from 'node:stream'

import { until } from '@proj/testkit/until'
import { describe, expect, it, onTestFinished } from 'vitest'

import { type Channel, type ChunkAnswer, type ChunkHolder, Session } from '../src/index.ts'
import { Rig } from './wire.ts'

/** Two ends of a transport that delivers at once. While held, it does not complete writes. */
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

/** A sink with the given answers. */
function sink(answer: () => ChunkAnswer | undefined): Parameters<Channel['attach']>[0] {
  return { onData: () => answer(), onEnd() {}, onDrain() {}, onClose() {} }
}

async function settled(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve))
}

it('reports memory as free only when every sink answered so', async () => {
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

it('reports bytes that wait for a sink as kept', async () => {
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

it('flush returns whether the transport has passed on everything', async () => {
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

it('passes on the holder of a chunk, and asks all holders if there are several', async () => {
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
  // Two streams in one batch, which arrives as one chunk.
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

it('calls a sink that collects pieces once per transport chunk', async () => {
  const { left, right } = transports()
  const calls: string[] = []
  const reports: ChunkAnswer[] = []
  let isCollecting = false
  const client = new Session(left, { role: 'client' })
  const server = new Session(right, {
    role: 'server',
    onProcessed: (answer) => reports.push(answer),
    onChannel: (channel) => {
      const collect = (): ChunkAnswer => {
        calls.push('piece')
        if (isCollecting) return true
        isCollecting = true
        return channel.session.afterChunk(() => {
          isCollecting = false
          calls.push('sent')
          return false
        })
      }
      channel.attach(sink(collect))
    },
  })
  const channel = client.openChannel(sink(() => true))
  await settled()
  calls.length = 0
  reports.length = 0
  const other = client.openChannel(sink(() => true))
  // One stream has two frames, because the other stream has its turn in between.
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

it('the holder of a channel is drained when the transport has passed on what was written', async () => {
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

it('the holder is drained although later bytes still wait', async () => {
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

it('reports the chunk as kept when the sink throws', async () => {
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

describe('with test/poison.ts', () => {
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

  it('a sink that keeps a chunk after it answered true reads 0xdd', async () => {
    expect(await keptBy(() => true)).toEqual(Buffer.alloc(7, 0xdd))
  })

  it('a chunk that a sink keeps is not overwritten', async () => {
    expect(String(await keptBy(() => false))).toBe('payload')
    expect(String(await keptBy(() => undefined))).toBe('payload')
  })

  it('a chunk with a holder is overwritten when the holder is drained', async () => {
    const holder = { drained: false }
    const chunk = await keptBy(() => holder)
    await keptBy(() => true) // every chunk is a check of those before it
    expect(String(chunk)).toBe('payload')
    holder.drained = true
    await until(() => chunk.equals(Buffer.alloc(7, 0xdd)))
  })

  it('a buffer that was written is not overwritten', async () => {
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

  it('a transport that reports unsentBytes 0 too early sends 0xdd', async () => {
    const rig = new Rig()
    Object.assign(rig.transport, { unsentBytes: 0 })
    rig.open().channel.write(Buffer.from('payload'))
    await settled()
    const [batch] = rig.transport.written
    expect(batch).toEqual(Buffer.alloc(2 * 12 + 7, 0xdd))
  })
})
