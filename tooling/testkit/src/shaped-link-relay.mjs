// The middle of a shaped link (shaped-link.ts), a process of its own. Each side sends its packets here as
// UDP datagrams; they leave on the other side later, at most so fast, and some never do.
// Prints {"event":"ready"}. Argument: a JSON object, see `RelayOptions` there.
import { createSocket } from 'node:dgram'
import { constants, setPriority } from 'node:os'

/** Headers of VXLAN (8) and Ethernet (14): the rate is that of IP packets. */
const OVERHEAD_BYTES = 22
const SOCKET_BUFFER_BYTES = 4 * 1024 * 1024

/** Packets on their way to one side. */
class Direction {
  #delayMs
  #loss
  #bytesPerMs
  #queueBytes
  #send
  /** Packets in order of their arrival, each with the time it is due. */
  #packets = []
  #next = 0
  #freeAtMs = 0
  #isArmed = false

  constructor({ delayMs, lossPercent, mbitPerSecond, queueBytes }, send) {
    this.#delayMs = delayMs
    this.#loss = lossPercent / 100
    this.#bytesPerMs = mbitPerSecond * 125
    this.#queueBytes = queueBytes
    this.#send = send
  }

  take(packet) {
    const now = performance.now()
    if (Math.random() < this.#loss) return
    const startMs = Math.max(now, this.#freeAtMs)
    // As a router does: what finds the queue full is lost.
    if ((startMs - now) * this.#bytesPerMs > this.#queueBytes) return
    this.#freeAtMs = startMs + (packet.length - OVERHEAD_BYTES) / this.#bytesPerMs
    this.#packets.push({ dueMs: this.#freeAtMs + this.#delayMs, packet })
    this.#arm(now)
  }

  #arm(now) {
    if (this.#isArmed) return
    const first = this.#packets[this.#next]
    if (first === undefined) return
    this.#isArmed = true
    setTimeout(this.#run, Math.max(1, first.dueMs - now))
  }

  #run = () => {
    this.#isArmed = false
    const now = performance.now()
    // Half a millisecond early rather than half late: timers have whole milliseconds.
    for (; this.#packets[this.#next]?.dueMs <= now + 0.5; this.#next++) {
      this.#send(this.#packets[this.#next].packet)
      this.#packets[this.#next] = undefined
    }
    if (this.#next > 1024 || this.#next === this.#packets.length) {
      this.#packets.splice(0, this.#next)
      this.#next = 0
    }
    this.#arm(now)
  }
}

// A line does not get slower because its ends are busy.
setPriority(constants.priority.PRIORITY_HIGHEST)

const { port, sides, ...shape } = JSON.parse(process.argv[2])
const sockets = await Promise.all(
  sides.map(async ({ here, there }) => {
    const socket = createSocket({
      type: 'udp4',
      recvBufferSize: SOCKET_BUFFER_BYTES,
      sendBufferSize: SOCKET_BUFFER_BYTES,
    })
    await new Promise((resolve) => socket.bind(port, here, resolve))
    await new Promise((resolve) => socket.connect(port, there, resolve))
    // A side that does not listen yet, or no longer.
    socket.on('error', () => {})
    return socket
  }),
)
for (const [index, socket] of sockets.entries()) {
  const other = sockets[1 - index]
  const direction = new Direction(shape, (packet) => other.send(packet))
  socket.on('message', (packet) => direction.take(packet))
}
process.stdout.write('{"event":"ready"}\n')
