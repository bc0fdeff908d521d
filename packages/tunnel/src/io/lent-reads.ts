import type { Duplex } from 'node:stream'

import type { ChunkAnswer } from '@proj/mux'

import { copyOf, LentBuffer } from './lent-buffers.ts'
import { readOn } from './read-on.ts'

/**
 * Reads a socket into memory that is read into again and again.
 *
 * Node gives every read fresh memory, 64 KiB that is cold in the processor's cache and has to be
 * collected later: for a proxy, which only passes bytes on, a third of the work. Here every socket is
 * read into one buffer of the process, out of which the bytes are copied: cheap, for they are few.
 *
 * Where a lot flows at once the copy is saved too. A socket that has brought WORTH_BYTES is lent a buffer of its
 * own, and the receiver says of each chunk whether somebody still refers to it. If nobody does, the
 * same memory serves the next read.
 */

/** Bytes a socket must have brought, in chunks that are not small, before it gets a buffer of its own. */
const WORTH_BYTES = 1024 * 1024

/** Chunks up to this length are always copied: cheaper than to make sure that they have left. */
const COPIED_BYTES = 4096

/** As much as Node reads at once. */
const SHARED_BYTES = 65_536

/** Gets each chunk, and whether its memory is lent; see {@link readLent}. */
export type TakeChunk = (chunk: Buffer, isLent: boolean) => ChunkAnswer

/** What every socket without a buffer of its own is read into. */
let shared: Buffer | undefined

/** Its beginnings, by length, each made once: one for every read would cost more than small reads do. */
const beginnings: (Buffer | undefined)[] = Array.from({ length: COPIED_BYTES + 1 })

/** Sockets that are read here, and who takes what they read; nobody while they change hands. */
const readings = new WeakMap<Duplex, Reading>()

/**
 * Delivers everything a socket reads to `take`, in order. The socket's `pause` and `resume` work as
 * ever; ends and errors are the caller's events.
 *
 * @param take - gets each chunk, and whether its memory is lent: then it returns true if nothing
 *   refers to the chunk any more, or who does. What it returns for other chunks does not matter.
 * @param takeSmall - gets small chunks in place of `take` if they need not be copied: they are only valid
 *   during the call.
 * @returns stops delivering, for a socket that is passed on to another reader.
 */
export function readLent(
  socket: Duplex,
  take: TakeChunk,
  takeSmall?: (chunk: Buffer) => void,
): () => void {
  let reading = readings.get(socket)
  if (reading === undefined) {
    reading = new Reading(socket)
    readings.set(socket, reading)
  }
  return reading.deliver(take, takeSmall)
}

/** One socket that is read into memory of ours, or will be as soon as nothing waits in its stream. */
class Reading {
  readonly #socket: Duplex
  #take: TakeChunk | undefined
  #takeSmall: ((chunk: Buffer) => void) | undefined
  #copiedBytes = 0
  #own: LentBuffer | undefined
  #useBuffer: ReturnType<typeof readOn> = 'later'

  constructor(socket: Duplex) {
    this.#socket = socket
    this.#begin()
  }

  deliver(take: TakeChunk, takeSmall: ((chunk: Buffer) => void) | undefined): () => void {
    const onData = (chunk: Buffer): void => {
      take(chunk, false)
      // Not from inside the read that is going on.
      if (this.#useBuffer === 'later') setImmediate(this.#begin)
    }
    this.#take = take
    this.#takeSmall = takeSmall
    this.#socket.on('data', onData)
    return () => {
      this.#socket.off('data', onData)
      if (this.#take === take) this.#take = undefined
    }
  }

  readonly #begin = (): void => {
    if (this.#useBuffer !== 'later') return
    shared ??= Buffer.allocUnsafeSlow(SHARED_BYTES)
    this.#useBuffer = readOn(this.#socket, shared, this.#onRead)
  }

  readonly #onRead = (bytes: number, buffer: Buffer): boolean => {
    const take = this.#take
    // While nobody takes them, bytes wait in the stream as ever.
    if (take === undefined) return this.#socket.push(copyOf(buffer, bytes))
    if (bytes <= COPIED_BYTES) {
      if (this.#takeSmall === undefined) take(copyOf(buffer, bytes), false)
      else this.#takeSmall(beginningOf(buffer, bytes))
    } else if (this.#own === undefined) {
      take(copyOf(buffer, bytes), false)
      this.#count(bytes)
    } else {
      this.#own.taken(take(buffer.subarray(0, bytes), true))
      if (this.#own.buffer !== buffer) this.#readInto(this.#own.buffer)
    }
    return true
  }

  #count(bytes: number): void {
    this.#copiedBytes += bytes
    if (this.#copiedBytes < WORTH_BYTES) return
    const own = LentBuffer.lend()
    if (own === undefined) return
    this.#own = own
    this.#socket.once('close', () => own.giveBack())
    this.#readInto(own.buffer)
  }

  #readInto(buffer: Buffer): void {
    if (typeof this.#useBuffer === 'function') this.#useBuffer(buffer)
  }
}

function beginningOf(buffer: Buffer, bytes: number): Buffer {
  if (buffer !== shared) return buffer.subarray(0, bytes)
  return (beginnings[bytes] ??= buffer.subarray(0, bytes))
}
