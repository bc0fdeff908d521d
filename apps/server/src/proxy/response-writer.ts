import {
  addsChunks,
  type BodyReader,
  isInterim,
  type RequestHead,
  type ResponseHead,
  rewriteResponseHead,
} from '@proj/http1'

export interface ResponseTarget {
  /** Sends bytes; false when the visitor has to catch up. */
  write(bytes: Buffer): boolean
  /** Knows whether anything still refers to what was written. */
  readonly writes: { readonly haveLeft: boolean }
}

/** Bodies up to this many bytes leave in one piece with their head; beyond, copying costs more. */
const MAX_JOINED_BYTES = 4096

/** Memory that head and body are joined in; most leave at once, and then it serves the next response. */
const SCRATCH_BYTES = 8192
let scratch: Buffer | undefined

const LINE_END = Buffer.from('\r\n')
/** RFC 9112 section 7.1. */
const LAST_CHUNK = Buffer.from('0\r\n\r\n')

/**
 * Writes a service's response to a visitor: heads rewritten, bodies as they come. A body that ends with the
 * connection is sent in chunks, so that a visitor can tell its end from a server that was killed.
 */
export class ResponseWriter {
  readonly #target: ResponseTarget
  readonly #versionMinor: 0 | 1
  #hasBegun = false
  /** Lines that the final head gets besides those of the service, each with its CRLF. */
  added: string | undefined

  constructor(target: ResponseTarget, request: Pick<RequestHead, 'versionMinor'>) {
    this.#target = target
    this.#versionMinor = request.versionMinor
  }

  /** Whether the head of the final response is written. */
  get hasBegun(): boolean {
    return this.#hasBegun
  }

  /** Writes a head that has no body with it: an interim response, or a switch of protocols. */
  writeHead(head: ResponseHead): boolean {
    if (!isInterim(head.status)) this.#hasBegun = true
    // RFC 9110 section 15.2: an HTTP/1.0 client knows no interim responses.
    else if (this.#versionMinor === 0) return true
    return this.#target.write(Buffer.from(this.#format(head, true), 'latin1'))
  }

  /**
   * Writes the part of `bytes` that belongs to the body, after the head if that is not written yet.
   *
   * @returns where the message ends in `bytes`, and whether the visitor has room for more.
   * @throws {HttpError} when the body is malformed.
   */
  writeBody(
    head: ResponseHead,
    body: BodyReader,
    bytes: Buffer,
    keepAlive: boolean,
  ): { end: number; hasRoom: boolean } {
    const text = this.#hasBegun ? '' : this.#format(head, keepAlive)
    let hasRoom = true
    if (this.#versionMinor === 0 && head.framing.kind === 'chunked') {
      // An HTTP/1.0 visitor knows no chunks: it gets the payload and the end of the connection.
      if (text !== '') hasRoom = this.#writeJoined(text, bytes.subarray(0, 0))
      this.#hasBegun = true
      const end = body.scan(bytes, 0, (piece) => {
        hasRoom = this.#target.write(piece)
      })
      return { end, hasRoom }
    }
    const end = body.scan(bytes, 0)
    this.#hasBegun = true
    const piece = body.rewritten(bytes) ?? (end === bytes.length ? bytes : bytes.subarray(0, end))
    if (piece.length > 0 && addsChunks(head.framing, this.#versionMinor)) {
      hasRoom = this.#writeJoined(`${text}${piece.length.toString(16)}\r\n`, piece, LINE_END)
    } else if (text !== '' || piece.length > 0) hasRoom = this.#writeJoined(text, piece)
    return { end, hasRoom }
  }

  /** Ends a body here: the connection of the service has ended, or the body goes on without an end. */
  endBody({ framing }: ResponseHead): void {
    const isChunked = framing.kind === 'chunked' && this.#versionMinor === 1
    if (isChunked || addsChunks(framing, this.#versionMinor)) this.#target.write(LAST_CHUNK)
  }

  #format(head: ResponseHead, keepAlive: boolean): string {
    const added = isInterim(head.status) ? undefined : this.added
    return rewriteResponseHead(head, { versionMinor: this.#versionMinor, keepAlive, added })
  }

  #writeJoined(text: string, piece: Buffer, tail?: Buffer): boolean {
    if (text === '') return this.#target.write(piece)
    if (piece.length > MAX_JOINED_BYTES) {
      this.#target.write(Buffer.from(text, 'latin1'))
      const hasRoom = this.#target.write(piece)
      return tail === undefined ? hasRoom : this.#target.write(tail)
    }
    const pieceEnd = text.length + piece.length
    const bytes = tail === undefined ? pieceEnd : pieceEnd + tail.length
    const fits = bytes <= SCRATCH_BYTES
    const memory = fits ? takeScratch() : Buffer.allocUnsafe(bytes)
    memory.write(text, 0, 'latin1')
    piece.copy(memory, text.length)
    tail?.copy(memory, pieceEnd)
    const hasRoom = this.#target.write(memory.subarray(0, bytes))
    if (fits && this.#target.writes.haveLeft) scratch = memory
    return hasRoom
  }
}

/** Taken memory is used by nothing else until it is given back. */
function takeScratch(): Buffer {
  const taken = scratch ?? Buffer.allocUnsafeSlow(SCRATCH_BYTES)
  scratch = undefined
  return taken
}
