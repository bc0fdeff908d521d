const LF = 0x0a
const CR = 0x0d

/** Last bytes of a body of server-sent events that are kept: an empty line, and the end of a chunk. */
const TAIL_BYTES = 5

/** Whether a response is a stream of server-sent events, which a client resumes when it ends. */
export function isEventStream(contentType: string | undefined): boolean {
  return contentType !== undefined && /^text\/event-stream\s*(;|$)/i.test(contentType)
}

/** Follows the end of a body of server-sent events, to end it between two events. */
export class EventStream {
  readonly #isChunked: boolean
  /** The last bytes as they were on the wire. */
  readonly #tail = Buffer.alloc(TAIL_BYTES)

  constructor(isChunked: boolean) {
    this.#isChunked = isChunked
  }

  /** Takes bytes of the body, with the lines of its chunks. */
  take(bytes: Buffer): void {
    const kept = Math.max(0, TAIL_BYTES - bytes.length)
    this.#tail.copyWithin(0, TAIL_BYTES - kept)
    bytes.copy(this.#tail, kept, Math.max(0, bytes.length - TAIL_BYTES))
  }

  /**
   * Whether the last byte was the end of an event: an empty line, and where the body has chunks, at the end of
   * one. HTML standard, "Event stream interpretation".
   */
  get isBetweenEvents(): boolean {
    const end = this.#isChunked ? TAIL_BYTES - 2 : TAIL_BYTES
    const [last, before, first] = [1, 2, 3].map((back) => this.#tail[end - back])
    if (last === CR) return before === CR
    return last === LF && (before === LF || (before === CR && first === LF))
  }
}
