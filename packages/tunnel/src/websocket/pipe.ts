import { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { type ChunkAnswer, ChunkUse } from '@proj/mux'
import { isCleanEnd, watchEnd } from '../io/end-of-socket.ts'
import { readLent } from '../io/lent-reads.ts'
import { lingerSocket } from '../io/linger-socket.ts'
import { resetSocket } from '../io/reset-socket.ts'
import {
  CLOSE_CODES,
  type ClosePayload,
  formatClosePayload,
  type WebSocketCloseInfo,
} from './close.ts'
import {
  type Done,
  isWebSocketPipeError,
  socketFailed,
  WebSocketPipeError,
  wrapFailure,
} from './errors.ts'
import { OPCODES } from './frame.ts'
import { resolveWebSocketPipeOptions, type WebSocketPipeOptions } from './options.ts'
import { WebSocketReceiver } from './receiver.ts'
import { WebSocketSender } from './sender.ts'
import { WebSocketWatch } from './watch.ts'

/**
 * A WebSocket connection, after its opening handshake, as an unframed byte pipe: what is written
 * leaves in binary messages, and the payload of binary messages arrives as it comes. Borders of
 * messages mean nothing.
 *
 * Invariants: a message is handed to the socket whole and at once, so control frames only ever fall
 * between messages; at most one batch is with the socket, and the next collects meanwhile, which is
 * what makes batches large under load; at most one ping and one pong wait to be written.
 */

const NO_PAYLOAD = Buffer.alloc(0)

/**
 * Makes a socket that has done the WebSocket handshake a pipe of bytes. The pipe owns the socket
 * from then on.
 *
 * WebSocket knows no half-close. After `end()` the pipe goes on reading what the peer still sends,
 * but most peers, Piko among them, answer by closing. When the peer ends, readers see 'end' and
 * this side ends by itself (`allowHalfOpen` is false). `closeInfo` tells a Close frame from a bare
 * end; a connection that is cut within a message or reset is an 'error', always a WebSocketPipeError.
 */
export class WebSocketPipe extends Duplex {
  /** Address of this side of the connection, without a zone; undefined where there is none. */
  readonly localAddress: string | undefined
  readonly #socket: Duplex
  readonly #closeFrame: boolean
  readonly #receiver: WebSocketReceiver
  readonly #sender: WebSocketSender
  readonly #watch: WebSocketWatch
  #closeInfo: WebSocketCloseInfo | undefined
  #paused = false
  readonly #stopReading: () => void
  // The reader's answers about the memory of the current chunk, and deliveries without an answer yet.
  readonly #use = new ChunkUse()
  #unprocessed = 0
  // Bytes of the batch that is being written to the socket.
  #withSocket = 0
  #closeSent = false
  #socketClosed = false
  #pingQueued = false
  #pongQueued = false
  #nextPong: Buffer | undefined // only the latest ping needs an answer (RFC 6455 section 5.5.3)

  /**
   * @param socket - a connection whose handshake is done, without a listener for its data.
   * @throws {TypeError | RangeError} naming the option that is wrong.
   */
  constructor(socket: Duplex, options: WebSocketPipeOptions) {
    const resolved = resolveWebSocketPipeOptions(socket, options)
    super({
      allowHalfOpen: false,
      readableHighWaterMark: resolved.readBufferBytes,
      writableHighWaterMark: resolved.writeBufferBytes,
    })
    this.#socket = socket
    this.#closeFrame = resolved.closeFrame
    this.#sender = new WebSocketSender(resolved)
    this.#receiver = new WebSocketReceiver(resolved, {
      onPayload: (bytes) => {
        this.#unprocessed += 1
        if (!this.push(bytes)) this.#pause()
      },
      onPing: (payload) => this.#answerPing(payload),
      onClose: (close) => this.#takeClose(close),
    })
    this.#watch = new WebSocketWatch({
      ...resolved,
      onPing: () => this.#ping(),
      onSilent: (silentMs) => this.#giveUp(silentMs),
    })
    watchEnd(socket)
    this.#stopReading = readLent(socket, this.#onData)
    socket.on('end', this.#onEnd)
    socket.on('error', this.#onError)
    socket.on('close', this.#onClose)
    if (socket.destroyed) process.nextTick(this.#onClose)
    else if (socket.readableEnded) process.nextTick(this.#onEnd)
    if (socket instanceof Socket) {
      this.localAddress = socket.localAddress?.replace(/%.*/, '')
      socket.setTimeout(0) // What the HTTP server or client had set is not for a pipe.
      socket.setNoDelay() // Batches are made here; the kernel need not wait for more.
    }
    if (resolved.head.length > 0) this.#take(Buffer.from(resolved.head))
    if (!this.#paused) socket.resume()
  }

  /** How the peer's side ended, or undefined while it has not. */
  get closeInfo(): WebSocketCloseInfo | undefined {
    return this.#closeInfo
  }

  /** Bytes written here that the platform has not taken yet; Infinity where that is not known. */
  get unsentBytes(): number {
    const unsent = this.writableLength - this.#withSocket + this.#socket.writableLength
    // Another Duplex may have passed on the very memory it was given.
    return this.#socket instanceof Socket ? unsent : Infinity
  }

  /** The session on the pipe has processed a chunk, and answers whether something refers to it. */
  processed(answer: ChunkAnswer): void {
    this.#unprocessed -= 1
    this.#use.note(answer)
  }

  override _read(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#watch.resume()
    this.#socket.resume()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: Done): void {
    this.#send([chunk], chunk.length, done)
  }

  override _writev(items: readonly { readonly chunk: Buffer }[], done: Done): void {
    const chunks: Buffer[] = []
    let bytes = 0
    for (const { chunk } of items) {
      chunks.push(chunk)
      bytes += chunk.length
    }
    this.#send(chunks, bytes, done)
  }

  override _final(done: Done): void {
    if (this.#closeFrame && this.#closeInfo === undefined) {
      this.#sendClose(CLOSE_CODES.normal, '', done)
    } else {
      this.#endSocket(done)
    }
    this.#watch.expectEnd()
  }

  override _destroy(error: Error | null, done: Done): void {
    this.#closeInfo ??= { kind: 'error', code: CLOSE_CODES.abnormal, reason: '', clean: false }
    this.#watch.stop()
    const socket = this.#socket
    this.#stopReading()
    socket.off('end', this.#onEnd)
    socket.off('error', this.#onError)
    socket.off('close', this.#onClose)
    if (!this.#socketClosed) releaseSocket(socket, error)
    done(error)
  }

  readonly #onData = (chunk: Buffer): ChunkAnswer => {
    if (this.destroyed) return true
    this.#watch.heard()
    this.#unprocessed = 0
    // Only a socket of Node is known to deliver memory that nothing else reads.
    this.#take(this.#use.begin(this.#socket instanceof Socket ? chunk : Buffer.from(chunk)))
    if (this.#unprocessed > 0) this.#use.note(false)
    return this.#use.end()
  }

  readonly #onEnd = (): void => {
    if (this.#closeInfo !== undefined) return
    if (!isCleanEnd(this.#socket)) {
      this.destroy(socketFailed(new Error('the connection broke behind its last bytes')))
      return
    }
    if (this.#receiver.inMessage) {
      const error = new WebSocketPipeError(
        'WEBSOCKET_TRUNCATED',
        'the connection ended within a WebSocket message',
      )
      this.destroy(error)
      return
    }
    this.#finishReading({ kind: 'eof', code: CLOSE_CODES.abnormal, reason: '', clean: false })
  }

  readonly #onError = (cause: Error): void => {
    this.destroy(socketFailed(cause))
  }

  readonly #onClose = (): void => {
    this.#socketClosed = true
    this.#watch.stop()
    // Once the peer has ended, a reader may still take its time over what is buffered.
    if (this.#closeInfo === undefined) this.destroy(socketFailed())
  }

  #take(chunk: Buffer): void {
    try {
      this.#receiver.push(chunk)
    } catch (error) {
      if (!isWebSocketPipeError(error)) throw error
      if (error.closeCode !== undefined) {
        this.#sendClose(error.closeCode, error.message, () => {})
      }
      this.destroy(error)
    }
  }

  #takeClose({ code, reason }: ClosePayload): void {
    const info = { kind: 'close', code: code ?? CLOSE_CODES.absent, reason, clean: true } as const
    this.#finishReading(info)
    this.#sendClose(code, '', () => {})
    this.#endSocket(() => {})
  }

  #finishReading(info: WebSocketCloseInfo): void {
    this.#closeInfo = info
    this.#watch.expectEnd()
    this.push(null)
  }

  #pause(): void {
    this.#paused = true
    this.#watch.pause()
    this.#socket.pause()
  }

  #send(chunks: readonly Buffer[], bytes: number, done: Done): void {
    if (this.#closeSent) {
      done(new WebSocketPipeError('WEBSOCKET_CLOSED', 'write after the WebSocket was closed'))
      return
    }
    if (bytes === 0) {
      done()
      return
    }
    const buffers = this.#sender.messages(chunks, bytes)
    const last = buffers.length - 1
    this.#withSocket = bytes
    this.#socket.cork()
    for (let i = 0; i < last; i++) this.#socket.write(buffers[i])
    this.#socket.write(buffers[last], (error) => {
      this.#withSocket = 0
      wrapFailure(done)(error)
    })
    this.#socket.uncork()
  }

  #sendClose(code: number | undefined, reason: string, done: Done): void {
    if (this.#closeSent || !this.#socket.writable) {
      done()
      return
    }
    this.#closeSent = true
    const frame = this.#sender.control(OPCODES.close, formatClosePayload(code, reason))
    this.#socket.write(frame, wrapFailure(done))
  }

  #endSocket(done: Done): void {
    if (this.#socket.writableFinished) done()
    else this.#socket.end(wrapFailure(done))
  }

  #ping(): void {
    if (this.#pingQueued || this.#closeSent || !this.#socket.writable) return
    this.#pingQueued = true
    this.#socket.write(this.#sender.control(OPCODES.ping, NO_PAYLOAD), () => {
      this.#pingQueued = false
    })
  }

  #answerPing(payload: Buffer): void {
    this.#nextPong = payload
    if (!this.#pongQueued) this.#pong()
  }

  #pong(): void {
    const payload = this.#nextPong
    this.#nextPong = undefined
    if (payload === undefined || this.#closeSent || !this.#socket.writable) return
    this.#pongQueued = true
    this.#socket.write(this.#sender.control(OPCODES.pong, payload), (error) => {
      this.#pongQueued = false
      if (!error) this.#pong()
    })
  }

  #giveUp(silentMs: number): void {
    const peerEnded = this.#closeInfo !== undefined
    if (!peerEnded && !this.writableEnded) {
      const message = `the peer was silent for ${silentMs} ms`
      this.destroy(new WebSocketPipeError('WEBSOCKET_PEER_SILENT', message))
      return
    }
    const flushed = this.writableEnded ? this.writableFinished : this.writableLength === 0
    if (peerEnded && flushed) return // Our own reader is not at the end yet.
    const message = `the connection did not close within ${silentMs} ms`
    this.destroy(new WebSocketPipeError('WEBSOCKET_CLOSE_TIMEOUT', message))
  }
}

/** Closes a socket in the way that tells the peer most about `error`. */
function releaseSocket(socket: Duplex, error: Error | null): void {
  const ignore = (): void => {}
  socket.on('error', ignore) // One may be on its way already.
  socket.once('close', () => socket.off('error', ignore))
  if (socket.destroyed) return
  if (isWebSocketPipeError(error) && error.closeCode !== undefined) {
    lingerSocket(socket)
  } else if (isWebSocketPipeError(error, 'WEBSOCKET_PEER_SILENT')) {
    // A peer that wakes up must not take this for a clean end: Piko's agents would then exit.
    resetSocket(socket)
  } else {
    socket.destroy()
  }
}
