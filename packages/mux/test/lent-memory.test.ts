import { Duplex } from 'node:stream'

import { expect, it } from 'vitest'

import { type Channel, Session } from '../src/index.ts'

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
function sink(answer: () => unknown): Parameters<Channel['attach']>[0] {
  return { onData: () => answer(), onEnd() {}, onDrain() {}, onClose() {} }
}

async function settled(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve))
}

it('tells the transport that memory is free only when every sink said so', async () => {
  const { left, right } = transports()
  const reports: boolean[] = []
  const answers: unknown[] = [true, undefined, false, true]
  const client = new Session(left, { role: 'client' })
  const server = new Session(right, {
    role: 'server',
    onProcessed: (isFree) => reports.push(isFree),
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
  const reports: boolean[] = []
  const client = new Session(left, { role: 'client' })
  const server = new Session(right, {
    role: 'server',
    onProcessed: (isFree) => reports.push(isFree),
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
    onChannel: (one) => one.attach(sink(() => 1)),
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
