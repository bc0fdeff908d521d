// A slow line to a server: a TCP relay whose connections share so many bytes per second in each
// direction, as the machines of a home share its uplink. What does not fit waits in the socket buffers
// of the kernel on the way, so a small message waits behind a large one as it does on a real line.
import { connect, createServer, type Socket } from 'node:net'

import { listening, type Listening } from './listening.ts'

/** Time between two portions, ms. */
const TICK_MS = 20
/** Bytes the line passes at once after a pause, in ticks. */
const BURST_TICKS = 5

/** A slow line. */
export interface SlowLine {
  /** Where clients connect. */
  readonly listening: Listening
  /** Bytes that have passed towards the server, and towards the clients. */
  readonly passed: { readonly up: number; readonly down: number }
  /** Ends the line and every connection on it. */
  [Symbol.asyncDispose](): Promise<void>
}

/**
 * Makes a line to a port of 127.0.0.1.
 *
 * @param bitsPerSecond - rate of each direction, shared by all connections.
 */
export async function slowLine(port: number, bitsPerSecond: number): Promise<SlowLine> {
  const up = new Direction(bitsPerSecond)
  const down = new Direction(bitsPerSecond)
  const far = new Set<Socket>()
  const relay = await listening(
    createServer((near) => {
      const socket = connect(port, '127.0.0.1')
      far.add(socket)
      socket.once('close', () => far.delete(socket))
      up.join(near, socket)
      down.join(socket, near)
    }),
  )
  const timer = setInterval(() => {
    up.tick()
    down.tick()
  }, TICK_MS)
  return {
    listening: relay,
    passed: {
      get up() {
        return up.passed
      },
      get down() {
        return down.passed
      },
    },
    async [Symbol.asyncDispose]() {
      clearInterval(timer)
      for (const socket of far) socket.destroy()
      await relay.close()
    },
  }
}

/** One direction of a line: a token bucket, and the connections that take turns in it. */
class Direction {
  passed = 0
  readonly #bytesPerMs: number
  #tokens = 0
  #filledAtMs = performance.now()
  /** Sources with the sockets that they lead to; whose turn it is comes first. */
  #pairs: (readonly [Socket, Socket])[] = []

  constructor(bitsPerSecond: number) {
    this.#bytesPerMs = bitsPerSecond / 8000
  }

  join(from: Socket, to: Socket): void {
    this.#pairs.push([from, to])
    from.pause() // only `tick` reads
    const leave = (): void => {
      this.#pairs = this.#pairs.filter(([one]) => one !== from)
      from.destroy()
      to.destroy()
    }
    from.on('readable', () => {}) // paused mode, in which `read` takes as many bytes as may pass
    from.on('error', leave)
    from.once('close', leave)
    from.once('end', () => to.end())
  }

  tick(): void {
    const nowMs = performance.now()
    const room = this.#bytesPerMs * TICK_MS * BURST_TICKS
    this.#tokens = Math.min(room, this.#tokens + (nowMs - this.#filledAtMs) * this.#bytesPerMs)
    this.#filledAtMs = nowMs
    for (let turns = this.#pairs.length; turns > 0 && this.#tokens >= 1; turns--) {
      const pair = this.#pairs.shift()
      if (pair === undefined) return
      this.#pairs.push(pair)
      const [from, to] = pair
      const share = Math.max(1, Math.floor(this.#tokens / turns))
      const bytes = Math.min(share, from.readableLength)
      if (bytes === 0 || to.writableNeedDrain || !to.writable) continue
      const chunk = from.read(bytes) as Buffer | null
      if (chunk === null) continue
      this.#tokens -= chunk.length
      this.passed += chunk.length
      to.write(chunk)
    }
  }
}
