import { Session } from '@proj/mux'
import { memoryPair } from '@proj/testkit/duplex-pairs'
import { expect, test } from 'vitest'

import { whenProcessed } from '../../src/io/ordering-pings.ts'

const QUESTIONS = 110

test('what was written before has arrived then', async () => {
  const { server, received } = await sessions()
  const channel = server.openChannel()
  channel.write(Buffer.from('first'))
  await whenProcessed(server)
  expect(received).toEqual(['first'])
  channel.write(Buffer.from('second'))
  // Asked together: one ping behind both, a little later.
  await Promise.all([whenProcessed(server), whenProcessed(server)])
  expect(received).toEqual(['first', 'second'])
})

// A session ends when its peer pings it more than 100 times a second.
test('many questions leave a session open', async () => {
  const { server } = await sessions()
  for (let count = 0; count < QUESTIONS; count++) await whenProcessed(server)
  expect(server.stats().state).toBe('open')
})

test('is answered when the session ends', async () => {
  const { server, agent } = await sessions()
  agent.destroy()
  await server.closed
  await expect(whenProcessed(server)).resolves.toBeUndefined()
})

async function sessions() {
  const [near, far] = await memoryPair()
  const received: string[] = []
  const agent = new Session(far, {
    role: 'server',
    onChannel: (channel) => {
      channel.attach({
        onData: (chunk) => {
          received.push(chunk.toString())
          return true
        },
        onEnd: () => {},
        onDrain: () => {},
        onClose: () => {},
      })
    },
  })
  return { server: new Session(near, { role: 'client' }), agent, received }
}
