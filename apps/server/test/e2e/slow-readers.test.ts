// Many visitors that do not read: what the agent keeps for them is bounded, and used again by the next ones.
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { until } from '@proj/testkit/until'

import { memoryOf, startAgent, startServer } from './programs.ts'
import { tcpService } from './services.ts'

const MIB = 1024 * 1024
const READERS = process.env['ADIT_FULL_TESTS'] === '1' ? 800 : 400
/** Visitors that come at once. */
const GROUP = 20

/**
 * What the agent may need for them: 32 MiB of queues, then one read of 64 KiB for each stream, 40 MiB of read
 * buffers, what the collector has not freed yet, which is as much again as the reads, and 80 MiB of heap for the
 * streams. One wave takes between 150 and 220 MiB with 800 visitors, and a later one may take more than the first:
 * three waves show that nothing is kept from one to the next.
 */
const BOUND_BYTES = (32 + 40) * MIB + READERS * 2 * 65_536 + 80 * MIB

test('the agent needs a bounded amount for visitors that do not read, and no more for the next ones', async () => {
  const piece = Buffer.alloc(65_536)
  const service = await tcpService((socket) => {
    const fill = (): void => {
      while (!socket.destroyed && socket.write(piece)) continue
    }
    socket.on('drain', fill)
    socket.once('data', () => {
      socket.write('HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n')
      fill()
    })
  })
  // Neither overload is looked at here nor what ends slow readers.
  const anywhere = { proxy: 0, upstream: 0, admin: 0 }
  const flags = ['--proxy.max-loop-delay', 'inf', '--proxy.min-rate', '0']
  const server = await startServer(anywhere, flags)
  const agent = await startAgent('http', 'web', service.port, server)
  const memory = (): number => memoryOf(agent.pid, 'VmRSS')
  const before = memory()

  const visitor = async (): Promise<Socket> => {
    const socket = connect({ host: '127.0.0.1', port: server.ports.proxy })
    socket.on('error', () => {})
    socket.write('GET / HTTP/1.1\r\nhost: web.localhost\r\n\r\n')
    const [first] = (await once(socket, 'data')) as [Buffer]
    socket.pause()
    expect(first.toString('latin1', 0, 15)).toBe('HTTP/1.1 200 OK')
    return socket
  }
  const wave = async (): Promise<number> => {
    const visitors: Socket[] = []
    while (visitors.length < READERS) {
      visitors.push(...(await Promise.all(Array.from({ length: GROUP }, visitor))))
    }
    await until(() => isStill(service.sockets), { timeoutMs: 200_000 })
    const needed = memory() - before
    for (const socket of visitors) socket.destroy()
    await until(() => service.sockets.size === 0, { timeoutMs: 200_000 })
    return needed
  }

  const needed = [await wave(), await wave(), await wave()]
  expect(Math.max(...needed)).toBeLessThan(BOUND_BYTES)
  expect(memory() - before).toBeLessThan(BOUND_BYTES)
}, 600_000)

/** Whether the service cannot send any more: every buffer on the way is full. */
async function isStill(sockets: ReadonlySet<Socket>): Promise<boolean> {
  const sent = (): number =>
    [...sockets].reduce((sum, one) => sum + one.bytesWritten - one.writableLength, 0)
  const then = sent()
  await delay(500)
  return sent() === then
}
