// What a request or connection carries. Its bytes follow from its id alone, so each side knows each byte
// that the other has to send: content of another request, a gap, a repeat and a short end are all seen, and
// seen at once. (A digest at the end would tell only that something is wrong.)
import { createHash } from 'node:crypto'
import type { Writable } from 'node:stream'

/** Most bytes of one payload. */
export const MAX_PAYLOAD_BYTES = 2 * 1024 * 1024

const TAG_BYTES = 32
const PIECE_BYTES = 16 * 1024
// payloads are windows of this block; where one begins follows from the id
const BLOCK = createHash('shake256', { outputLength: 2 * MAX_PAYLOAD_BYTES })
  .update('adit')
  .digest()

/** The bytes of an id; they begin with the id in plain text. */
export function payload(id: string, bytes: number): Buffer {
  if (bytes > MAX_PAYLOAD_BYTES) throw new RangeError(`payload of ${bytes} bytes`)
  const start = startOf(id)
  const made = Buffer.from(BLOCK.subarray(start, start + bytes))
  tagOf(id).copy(made)
  return made
}

/** Writes bytes as fast as they are taken. An error is that of the stream alone: this never rejects. */
export async function pour(to: Writable, bytes: Buffer): Promise<void> {
  for (let at = 0; at < bytes.length && !to.destroyed; at += PIECE_BYTES) {
    if (to.write(bytes.subarray(at, at + PIECE_BYTES))) continue
    await new Promise<void>((resolve) => {
      const done = (): void => {
        to.off('drain', done).off('close', done)
        resolve()
      }
      to.on('drain', done).on('close', done)
    })
  }
}

/** Compares what arrives with the payload of an id. */
export class PayloadCheck {
  /** Bytes so far. */
  bytes = 0
  /** Position of the first byte that is not of this payload, or beyond its end. */
  wrongAt: number | undefined
  readonly #tag: Buffer
  readonly #body: Buffer

  constructor(id: string, expectedBytes: number) {
    const start = startOf(id)
    this.#tag = payload(id, Math.min(TAG_BYTES, expectedBytes))
    this.#body = BLOCK.subarray(start, start + expectedBytes)
  }

  /** Looks at the next bytes. */
  add(chunk: Uint8Array): void {
    const start = this.bytes
    this.bytes += chunk.length
    if (this.wrongAt !== undefined) return
    const inTag = Math.max(0, Math.min(chunk.length, this.#tag.length - start))
    this.#compare(start, chunk.subarray(0, inTag), this.#tag)
    if (this.wrongAt === undefined) this.#compare(start + inTag, chunk.subarray(inTag), this.#body)
  }

  /** All bytes are there and right. */
  get isWhole(): boolean {
    return this.wrongAt === undefined && this.bytes === this.#body.length
  }

  /** What is wrong or missing, for a message. */
  get problem(): string {
    return this.wrongAt === undefined
      ? `${this.bytes} of ${this.#body.length} bytes`
      : `differs from byte ${this.wrongAt} of ${this.#body.length} on`
  }

  #compare(start: number, chunk: Uint8Array, whole: Buffer): void {
    const expected = whole.subarray(start, start + chunk.length)
    if (expected.equals(chunk)) return
    this.wrongAt = start + chunk.findIndex((byte, index) => byte !== expected[index])
  }
}

function startOf(id: string): number {
  return createHash('sha256').update(id).digest().readUInt32LE() % MAX_PAYLOAD_BYTES
}

function tagOf(id: string): Buffer {
  return Buffer.from(id.padEnd(TAG_BYTES).slice(0, TAG_BYTES), 'latin1')
}
