import type { Duplex } from 'node:stream'

import type { ChunkAnswer } from '@proj/mux'

import { copyOf, LentBuffer, noteFree } from './lent-buffers.ts'
import { readOn } from './read-on.ts'

/**
 * Reads a socket into memory that is read into again and again.
 *
 * Node allocates memory for every read, 64 KiB that is cold in the processor's cache and has to be
 * collected later: for a proxy, which only passes bytes on, a third of the work. Here every socket is
 * read into one buffer of the process, out of which the bytes are copied: cheap, because they are few.
 *
 * Where much arrives, the copy is saved too. A socket that has brought WORTH_BYTES is lent a buffer of
 * its own, and the receiver of each chunk answers whether something still refers to it (`ChunkAnswer` of
 * @proj/mux). If nothing does, the next read goes into the same memory.
 */

/** Bytes a socket must have brought, in chunks that are not small, before it gets a buffer of its own. */
const WORTH_BYTES = 1024 * 1024

/** Chunks up to this length are always copied: cheaper than to find out when they have been sent. */
const COPIED_BYTES = 4096

/** As much as Node reads at once. */
const SHARED_BYTES = 65_536

/**
 * Receives a chunk. If `isLent`, its memory is used again as the returned `ChunkAnswer` allows; otherwise
 * the receiver owns the chunk, and the answer does not matter.
 */
export type TakeChunk = (chunk: Buffer, isLent: boolean) => ChunkAnswer

/** Every socket without a buffer of its own is read into this one. */
let shared: Buffer | undefined

/** Views of its first bytes, by length, each made once: a new view would cost more than a small read. */
const beginnings: (Buffer | undefined)[] = Array.from({ length: COPIED_BYTES + 1 })

/** Sockets that are read here. */
const readings = new WeakMap<Duplex, Reading>()

/**
 * Delivers everything a socket reads to `take`, in order. The socket's `pause` and `resume` work as
 * ever; ends and errors are the caller's events.
 *
 * @param takeSmall - receives chunks of at most COPIED_BYTES in place of `take`, without a copy: they are
 *   valid during the call only.
 * @returns stops the delivery, for a socket that gets another reader.
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

/** One socket that is read into our memory, at the latest when its stream has no bytes waiting. */
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
      // Not inside the current read.
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
    // Without a receiver, bytes wait in the stream as usual.
    if (take === undefined) return this.#socket.push(copyOf(buffer, bytes))
    if (bytes <= COPIED_BYTES) {
      if (this.#takeSmall === undefined) take(copyOf(buffer, bytes), false)
      else {
        this.#takeSmall(beginningOf(buffer, bytes))
        noteFree(buffer, bytes)
      }
    } else if (this.#own === undefined) {
      take(copyOf(buffer, bytes), false)
      this.#count(bytes)
    } else {
      this.#own.taken(take(buffer.subarray(0, bytes), true), bytes)
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
