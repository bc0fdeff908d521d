import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'

/**
 * Node's option `onread` of sockets that connect, switched on for a socket that exists: what is read
 * goes into our memory and straight to a callback, past the stream.
 *
 * It is switched on the way Node's own constructor does it, which needs three private symbols. They
 * are the same in every Node from 20 to 26; for anything else there is no such way
 * (docs/decisions/0004).
 */

/** Node majors whose private parts are known to be these; a test looks at the running one. */
const FIRST_MAJOR = 20
const LAST_MAJOR = 26

/**
 * Gets the number of bytes read, and the buffer they are at the beginning of. When it returns false,
 * nothing is read until the stream asks for more, or `resume` is called.
 */
export type OnRead = (bytes: number, buffer: Buffer) => boolean

interface UserBufferHandle {
  useUserBuffer(buffer: Buffer): void
}

interface PrivateParts {
  readonly buffer: symbol
  readonly generate: symbol
  readonly callback: symbol
}

let privateParts: PrivateParts | undefined | 'unknown' = 'unknown'

/** Whether this Node's sockets can be read this way. */
export function canReadOn(): boolean {
  return findPrivateParts() !== undefined
}

/**
 * Reads a socket into `buffer` from the next read on. Its `pause` and `resume` work as usual.
 *
 * @param onRead - called within each read; the bytes stay as they are until it returns.
 * @returns names the buffer for the reads after the one that is going on, to be called from within `onRead`;
 *   'never' for what is no plain socket, 'later' while bytes wait in the stream, which would be overtaken.
 */
export function readOn(
  socket: Duplex,
  buffer: Buffer,
  onRead: OnRead,
): ((next: Buffer) => void) | 'never' | 'later' {
  const parts = findPrivateParts()
  if (parts === undefined || !(socket instanceof Socket) || 'encrypted' in socket) return 'never'
  const handle = handleOf(socket)
  if (handle === undefined || socket.destroyed || socket.readableEnded) return 'never'
  if (socket.readableLength > 0) return 'later'
  Reflect.set(socket, parts.buffer, buffer)
  Reflect.set(socket, parts.generate, null)
  Reflect.set(socket, parts.callback, onRead)
  handle.useUserBuffer(buffer)
  // A paused stream is read on until it is full; one that is read this way must not be.
  if (socket.isPaused()) socket.pause()
  let next = buffer
  const generate = (): Buffer => next
  return (named) => {
    // Asked after each read only once there is something to say: a buffer that stays costs nothing.
    if (next === buffer) Reflect.set(socket, parts.generate, generate)
    next = named
  }
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
  // A socket that was made with the option has these symbols set.
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
