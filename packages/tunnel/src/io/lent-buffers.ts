import type { ChunkAnswer, ChunkHolder } from '@proj/mux'

/**
 * The memory sockets are read into: buffers that one socket has while a lot flows, and that wait for
 * whoever still refers to them before they serve again; and copies of what is too little to be worth
 * one.
 */

/**
 * Four times what Node reads at once: fewer system calls, and it still fits the cache. A little less than
 * a channel takes before it asks for patience, so that a read which leaves at once never pauses the socket.
 */
const BUFFER_BYTES = 258_048

/** Sockets that have a buffer at the same time: 16 MiB in all. */
const MAX_BUFFERS = 64

/**
 * Buffers that wait for their holders, and those without a socket: 24 MiB in all. A stream's window bounds
 * how much it keeps; 2 GiB both ways through a server on a busy machine needed up to 80.
 */
const MAX_WAITING = 96

/** How often half of the buffers that nobody refers to is let go, if meanwhile all found one, ms. */
const TRIM_INTERVAL_MS = 10_000

/** Copies up to this long share a slab. */
const MAX_SHARING_BYTES = 4096

/** A copy that is kept for long keeps this much. */
const SLAB_BYTES = 16_384

const NOBODY: ChunkHolder = { drained: true }

let lent = 0
/** Buffers that serve again once nobody refers to them, the oldest first. */
const waiting: { readonly buffer: Buffer; readonly holder: ChunkHolder }[] = []
/** Whether the waiting ones were too few since the last trim. */
let wereTooFew = false
let trimming: NodeJS.Timeout | undefined
let slab: Buffer = Buffer.alloc(0)
let slabUsed = 0

/** A buffer for one socket, changed for another when somebody keeps it. */
export class LentBuffer {
  /** What the next read goes into. */
  buffer: Buffer = freeBuffer()

  /** Lends a buffer, until `giveBack`; undefined when too many have one. */
  static lend(): LentBuffer | undefined {
    if (lent >= MAX_BUFFERS) return undefined
    lent += 1
    return new LentBuffer()
  }

  /** What it holds was taken; `answer` says who refers to it now. */
  taken(answer: ChunkAnswer): void {
    if (answer === true) return
    const kept = this.buffer
    this.buffer = freeBuffer()
    if (answer !== false) putAside(kept, answer)
  }

  /** Nobody reads into it any more. */
  giveBack(): void {
    lent -= 1
    putAside(this.buffer, NOBODY)
  }
}

/** Copies the first `bytes` of `from` into memory that is nobody else's. */
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

/** The buffer that nobody refers to since the shortest time: it may still be in the processor's cache. */
function freeBuffer(): Buffer {
  const at = waiting.findLastIndex(({ holder }) => holder.drained)
  const [free] = at < 0 ? [] : waiting.splice(at, 1)
  if (free !== undefined) return free.buffer
  wereTooFew = true
  return Buffer.allocUnsafeSlow(BUFFER_BYTES)
}

/** Remembers a buffer for when its holder is done; of too many the oldest is left to the collector. */
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
