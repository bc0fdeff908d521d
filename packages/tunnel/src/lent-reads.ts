import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'

import type { ChunkAnswer, ChunkHolder } from '@proj/mux'

/**
 * Reads a socket through one buffer that is read into again and again.
 *
 * Node gives every read fresh memory, 64 KiB that is cold in the processor's cache and has to be
 * collected later: for a proxy, which only passes bytes on, a third of the work. When the receiver
 * says of each chunk whether somebody still refers to it, the same memory can serve the next read.
 *
 * Node has this as the option `onread` of sockets it connects itself, not for accepted ones. It is
 * switched on here the way Node's own constructor does it, which needs three private symbols. They
 * are the same in every Node from 20 to 26; anything else keeps the ordinary way (docs/decisions/0004).
 *
 * A buffer is worth its memory only where a lot flows: it is lent once WORTH_BYTES have come, and to
 * no more than MAX_BUFFERS sockets of the process at once.
 */

/** Bytes a socket must have brought before it gets a buffer of its own. */
const WORTH_BYTES = 1024 * 1024

/**
 * Four times what Node reads at once: fewer system calls, and it still fits the cache. A little less than
 * a channel takes before it asks for patience, so that a read which leaves at once never pauses the socket.
 */
const BUFFER_BYTES = 258_048

/** Chunks up to this length are copied after all: cheaper than to make sure that they have left. */
const COPIED_BYTES = 4096

/** Sockets that have a buffer at the same time: 16 MiB in all. */
const MAX_BUFFERS = 64

/** Node majors whose private parts are known to be these; a test looks at the running one. */
const FIRST_MAJOR = 20
const LAST_MAJOR = 26

interface UserBufferHandle {
  useUserBuffer(buffer: Buffer): void
}

interface PrivateParts {
  readonly buffer: symbol
  readonly generate: symbol
  readonly callback: symbol
}

/** Buffers that wait for their holders, and those without a socket: 8 MiB in all. */
const MAX_WAITING = 32

/** Gets each chunk, and whether its memory is lent; see {@link readLent}. */
export type TakeChunk = (chunk: Buffer, isLent: boolean) => ChunkAnswer

let lentBuffers = 0
/** Buffers that serve again once nobody refers to them, the oldest first. */
const waiting: { readonly buffer: Buffer; readonly holder: ChunkHolder }[] = []
const NOBODY: ChunkHolder = { drained: true }
let privateParts: PrivateParts | undefined | 'unknown' = 'unknown'

/** Sockets that have a buffer, and who takes what they read; nobody while they change hands. */
const leases = new WeakMap<Duplex, { take: TakeChunk | undefined }>()

/**
 * Delivers everything a socket reads to `take`, in order. The socket's `pause` and `resume` work as
 * ever; ends and errors are the caller's events.
 *
 * @param take - gets each chunk, and whether its memory is lent: then it returns true if nothing
 *   refers to the chunk any more, or who does. What it returns for other chunks does not matter.
 * @returns stops delivering, for a socket that is passed on to another reader.
 */
export function readLent(socket: Duplex, take: TakeChunk): () => void {
  let received = 0
  let isSettled = false
  const onData = (chunk: Buffer): void => {
    received += chunk.length
    if (!isSettled && received >= WORTH_BYTES) {
      isSettled = true
      // Not from inside the read that is going on.
      setImmediate(() => {
        if (socket.listeners('data').includes(onData)) isSettled = lend(socket, take) !== 'later'
      })
    }
    take(chunk, false)
  }
  socket.on('data', onData)
  const lease = leases.get(socket)
  if (lease !== undefined) lease.take = take
  return () => {
    socket.off('data', onData)
    const left = leases.get(socket)
    if (left?.take === take) left.take = undefined
  }
}

/** Whether this Node's sockets can be lent buffers. */
export function canLendReads(): boolean {
  return findPrivateParts() !== undefined
}

function lend(socket: Duplex, take: TakeChunk): 'done' | 'never' | 'later' {
  if (leases.has(socket)) return 'done'
  const parts = findPrivateParts()
  if (parts === undefined || !(socket instanceof Socket) || 'encrypted' in socket) return 'never'
  const handle = handleOf(socket)
  if (handle === undefined || socket.destroyed || lentBuffers >= MAX_BUFFERS) return 'never'
  // Bytes that wait in the stream would be overtaken.
  if (socket.isPaused() || socket.readableLength > 0 || socket.readableEnded) return 'later'
  let buffer = freeBuffer()
  lentBuffers += 1
  socket.once('close', () => {
    lentBuffers -= 1
    putAside(buffer, NOBODY)
  })
  const lease: { take: TakeChunk | undefined } = { take }
  leases.set(socket, lease)
  Object.assign(socket, {
    [parts.buffer]: buffer,
    [parts.generate]: () => buffer,
    [parts.callback]: (bytes: number, read: Buffer) => {
      const chunk = read.subarray(0, bytes)
      // While nobody reads, bytes wait in the stream as ever.
      if (lease.take === undefined) socket.push(Buffer.from(chunk))
      else if (bytes <= COPIED_BYTES) lease.take(Buffer.from(chunk), false)
      else {
        const answer = lease.take(chunk, true)
        if (answer !== true) {
          const kept = buffer
          buffer = freeBuffer()
          if (answer !== false) putAside(kept, answer)
        }
      }
      return true
    },
  })
  handle.useUserBuffer(buffer)
  return 'done'
}

/** A buffer that nobody refers to. */
function freeBuffer(): Buffer {
  const at = waiting.findIndex(({ holder }) => holder.drained)
  const [free] = at < 0 ? [] : waiting.splice(at, 1)
  return free?.buffer ?? Buffer.allocUnsafeSlow(BUFFER_BYTES)
}

/** Remembers a buffer for when its holder is done; of too many the oldest is left to the collector. */
function putAside(buffer: Buffer, holder: ChunkHolder): void {
  if (waiting.length === MAX_WAITING) waiting.shift()
  waiting.push({ buffer, holder })
}

function handleOf(socket: Socket): UserBufferHandle | undefined {
  const handle: unknown = Reflect.get(socket, '_handle')
  const isUsable =
    typeof handle === 'object' &&
    handle !== null &&
    'useUserBuffer' in handle &&
    typeof handle.useUserBuffer === 'function'
  return isUsable ? (handle as UserBufferHandle) : undefined // checked just above
}

function findPrivateParts(): PrivateParts | undefined {
  if (privateParts !== 'unknown') return privateParts
  const major = Number(process.versions.node.split('.')[0])
  // A socket that was made with the option has them set, and tells them from all other symbols.
  const onread = { buffer: Buffer.alloc(1), callback: () => true }
  const example: Socket = Reflect.construct(Socket, [{ onread }])
  const find = (description: string): symbol | undefined =>
    Object.getOwnPropertySymbols(example).find((symbol) => symbol.description === description)
  const buffer = find('kBuffer')
  const generate = find('kBufferGen')
  const callback = find('kBufferCb')
  const isKnown = major >= FIRST_MAJOR && major <= LAST_MAJOR
  privateParts =
    isKnown && buffer !== undefined && generate !== undefined && callback !== undefined
      ? { buffer, generate, callback }
      : undefined
  return privateParts
}
