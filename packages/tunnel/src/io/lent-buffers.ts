import type { ChunkAnswer, ChunkHolder } from '@proj/mux'

/**
 * The memory that sockets are read into. A socket keeps one buffer while its reads are large. A buffer is
 * used again only after every reference to it is gone (`ChunkAnswer` of @proj/mux is the contract). Chunks
 * that are too small for that are copied.
 */

/**
 * Four times what Node reads at once: fewer system calls, and it still fits the cache. A little less than
 * the high-water mark of a channel, so that a read which is sent at once never pauses the socket.
 */
const BUFFER_BYTES = 258_048

/** Sockets that have a buffer at the same time: 16 MiB in all. */
const MAX_BUFFERS = 64

/**
 * Buffers without a socket, those that are still referred to included: 24 MiB in all. A stream's window
 * bounds how much it holds; 2 GiB both ways through a server on a busy machine needed up to 80.
 */
const MAX_WAITING = 96

/** How often half of the unused buffers is freed, if there were enough of them meanwhile, ms. */
const TRIM_INTERVAL_MS = 10_000

/** Copies up to this long share a slab. */
const MAX_SHARING_BYTES = 4096

/** Memory that one small copy keeps from being collected. */
const SLAB_BYTES = 16_384

const NO_HOLDER: ChunkHolder = { drained: true }

let lent = 0
/** Buffers that can be used again once their holder is drained, the oldest first. */
const waiting: { readonly buffer: Buffer; readonly holder: ChunkHolder }[] = []
/** Whether the waiting ones were too few since the last trim. */
let wereTooFew = false
let trimming: NodeJS.Timeout | undefined
let slab: Buffer = Buffer.alloc(0)
let slabUsed = 0

/** A buffer for one socket; replaced by another one while something refers to it. */
export class LentBuffer {
  /** What the next read goes into. */
  buffer: Buffer = freeBuffer()

  /** Lends a buffer, until `giveBack`; undefined when too many have one. */
  static lend(): LentBuffer | undefined {
    if (lent >= MAX_BUFFERS) return undefined
    lent += 1
    return new LentBuffer()
  }

  /** The bytes at its beginning were delivered; `answer` says whether something refers to them. */
  taken(answer: ChunkAnswer, bytes: number): void {
    if (answer === true) {
      noteFree(this.buffer, bytes)
      return
    }
    const kept = this.buffer
    this.buffer = freeBuffer()
    if (answer !== false) putAside(kept, answer)
  }

  /** The socket is closed: nothing is read into the buffer any more. */
  giveBack(): void {
    lent -= 1
    putAside(this.buffer, NO_HOLDER)
  }
}

/** Copies the first `bytes` of `from` into memory of their own. */
export function copyOf(from: Buffer, bytes: number): Buffer {
  if (bytes > MAX_SHARING_BYTES) {
    const copy = Buffer.allocUnsafeSlow(bytes)
    from.copy(copy, 0, 0, bytes)
    return copy
  }
  if (slab.length - slabUsed < bytes) {
    slab = Buffer.allocUnsafeSlow(SLAB_BYTES)
    slabUsed = 0
  }
  const copy = slab.subarray(slabUsed, slabUsed + bytes)
  from.copy(copy, 0, 0, bytes)
  slabUsed += bytes
  return copy
}

/** The buffer that became free last: it may still be in the processor's cache. */
function freeBuffer(): Buffer {
  const at = waiting.findLastIndex(({ holder }) => holder.drained)
  const [free] = at < 0 ? [] : waiting.splice(at, 1)
  if (free !== undefined) {
    noteFree(free.buffer, free.buffer.length)
    return free.buffer
  }
  wereTooFew = true
  return Buffer.allocUnsafeSlow(BUFFER_BYTES)
}

/** Keeps a buffer until its holder is drained; of too many the oldest is left to the collector. */
function putAside(buffer: Buffer, holder: ChunkHolder): void {
  if (waiting.length === MAX_WAITING) waiting.shift()
  waiting.push({ buffer, holder })
  trimming ??= setInterval(trim, TRIM_INTERVAL_MS).unref()
}

function trim(): void {
  const idle = waiting.filter(({ holder }) => holder.drained)
  const surplus = new Set(wereTooFew ? [] : idle.slice(0, Math.ceil(idle.length / 2)))
  const kept = waiting.filter((one) => !surplus.has(one))
  waiting.splice(0, waiting.length, ...kept)
  wereTooFew = false
  if (kept.length > 0) return
  clearInterval(trimming)
  trimming = undefined
}

let probe: ((memory: Buffer) => void) | undefined

/**
 * @internal Sets what is called with memory that nothing refers to any more. Only tests set it, to
 * overwrite the memory at once: a receiver that answered wrongly then reads wrong bytes.
 */
export function setFreeMemoryProbe(next: ((memory: Buffer) => void) | undefined): void {
  probe = next
}

/** Tells the probe, if there is one, that nothing refers to the first `bytes` of a buffer any more. */
export function noteFree(buffer: Buffer, bytes: number): void {
  if (probe !== undefined) probe(buffer.subarray(0, bytes))
}
