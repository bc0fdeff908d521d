import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'

import { expect, onTestFinished, test } from 'vitest'

import { hasQueued, parseQueued } from '../../src/listen/accept-queue.ts'
import { untilQueued } from '../accept-queue-of.ts'

// The columns after rx_queue are left out, except one.
const HEAD = '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when'
const IDLE = '   0: 0100007F:1F40 00000000:0000 0A 00000000:00000000 00:00000000'
const QUEUED = '   1: 0100007F:1F41 00000000:0000 0A 00000000:00000002 00:00000000'
const IPV6 =
  '   0: 00000000000000000000000000000000:1F42 00000000000000000000000000000000:0000 0A 00000000:0000000A 00:00000000'
const CONNECTED = '   2: 0100007F:1F43 0100007F:C350 01 00000000:00000005 00:00000000'

const table = (...lines: readonly string[]): string => [HEAD, ...lines, ''].join('\n')

test.each([
  ['nothing listens', table(), 8000, false],
  ['an empty queue', table(IDLE, QUEUED), 8000, false],
  ['a queue with two', table(IDLE, QUEUED), 8001, true],
  ['IPv6', table(IPV6), 8002, true],
  ['bytes of a connection are no queue', table(IDLE, CONNECTED), 8003, false],
  ['a line that is cut', table(QUEUED.slice(0, 40)), 8001, false],
  ['no table', '', 8000, false],
])('%s', (_, text, port, expected) => {
  expect(parseQueued(text, new Set([port]))).toBe(expected)
})

test.runIf(process.platform === 'linux')(
  'finds each of a hundred sockets of this machine',
  async () => {
    const ports = await Promise.all(
      Array.from({ length: 100 }, async () => {
        const server = createServer().listen(0, '127.0.0.1')
        onTestFinished(() => void server.close())
        await once(server, 'listening')
        return (server.address() as AddressInfo).port // it listens on TCP
      }),
    )
    expect(hasQueued(new Set(ports))).toBe(false)
    for (const port of ports) {
      const visitor = connect(port, '127.0.0.1').on('error', () => {})
      onTestFinished(() => void visitor.destroy())
    }
    // They are asked for in the next tick, and no turn of the event loop has accepted one.
    await new Promise<void>((resolve) => process.nextTick(resolve))
    untilQueued(ports)
    expect(ports.filter((port) => !hasQueued(new Set([port])))).toEqual([])
  },
)
