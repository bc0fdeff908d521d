import type { Socket } from 'node:net'

import type { Channel } from '@proj/mux'
import { SocketSplice } from '@proj/tunnel'

import type { Expiring } from './deadlines.ts'
import type { EdgeContext } from './edge-context.ts'

/**
 * Makes one pipe of a visitor's socket and a stream, after the service switched protocols.
 *
 * @param rest - bytes that came behind the 101.
 * @param held - bytes the visitor had sent before it saw the 101.
 */
export function joinUpgraded(
  edge: EdgeContext,
  channel: Channel,
  socket: Socket,
  rest: Buffer,
  held: Buffer | undefined,
): void {
  const idle = new UpgradedIdle(edge)
  edge.stats.upgraded += 1
  const splice = new SocketSplice(channel, {
    resetReason: () => 'consumerGone',
    onClose: () => {
      edge.deadlines.delete(idle)
      edge.stats.upgraded -= 1
    },
  })
  idle.watch(splice, edge.options.upgradeIdleTimeoutMs)
  channel.attach(splice)
  splice.connect(socket)
  if (rest.length > 0) splice.onData(rest)
  if (held === undefined || channel.write(held)) socket.resume()
}

/** Watches an upgraded connection through the bytes its splice counted. */
class UpgradedIdle implements Expiring {
  deadline = Infinity
  readonly #edge: EdgeContext
  #splice: SocketSplice | undefined
  #timeoutMs = 0
  #seen = 0

  constructor(edge: EdgeContext) {
    this.#edge = edge
  }

  watch(splice: SocketSplice, timeoutMs: number): void {
    this.#splice = splice
    this.#timeoutMs = timeoutMs
    this.deadline = this.#edge.deadlines.now + timeoutMs
    this.#edge.deadlines.add(this)
  }

  expire(): void {
    const splice = this.#splice
    if (splice === undefined) return
    const moved = splice.bytesFromSocket + splice.bytesToSocket
    if (moved === this.#seen) splice.abort('idleTimeout')
    this.#seen = moved
    this.deadline = this.#edge.deadlines.now + this.#timeoutMs
  }
}
