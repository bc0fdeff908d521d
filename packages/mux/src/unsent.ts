import type { ChunkHolder } from './chunk-use.ts'
import type { SendQueue } from './send-queue.ts'
import type { SendingHalf } from './sending-half.ts'

/**
 * Refers to what a stream had been given when this was made, until the platform has taken it: first
 * it waits for credit and its turn, then in the transport, behind what was sent before.
 */
export class Unsent implements ChunkHolder {
  readonly #sending: SendingHalf
  readonly #output: SendQueue
  readonly #end: number
  /** Bytes the queue had sent when all of it was among them. */
  #sentBytes: number | undefined

  constructor(sending: SendingHalf, output: SendQueue) {
    this.#sending = sending
    this.#output = output
    this.#end = sending.writtenBytes
  }

  get drained(): boolean {
    if (this.#output.isFlushing) return false
    if (this.#sending.writtenBytes - this.#sending.queuedBytes < this.#end) return false
    this.#sentBytes ??= this.#output.bytesSent
    return this.#output.bytesSent - this.#output.unsentBytes >= this.#sentBytes
  }
}
