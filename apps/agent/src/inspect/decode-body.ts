/** Bodies as people read them: content codings are undone when a page asks, never while bytes cross. */
import type { Transform } from 'node:stream'
import zlib from 'node:zlib'

/** Longest decoded body, bytes. A coding may turn few bytes into very many. */
export const MAX_DECODED_BYTES = 1024 * 1024

/** Most bytes that the compressed messages of one direction become. */
const MAX_INFLATED_BYTES = 8 * 1024 * 1024

/** Most codings of one body. */
const MAX_CODINGS = 3

/** A body that was decoded, as far as it could be. */
export interface DecodedBody {
  readonly content: Buffer
  /** Not all of it is there. */
  readonly isCut: boolean
  /** Why it is as it was sent. */
  readonly problem?: string
}

const FLUSH = { finishFlush: zlib.constants.Z_SYNC_FLUSH }
const BROTLI_FLUSH = { finishFlush: zlib.constants.BROTLI_OPERATION_FLUSH }

/** Undoes the codings of `Content-Encoding`. */
export async function decodeBody(
  content: Buffer,
  encoding: string,
  signal?: AbortSignal,
): Promise<DecodedBody> {
  const codings = encoding
    .toLowerCase()
    .split(',')
    .map((one) => one.trim())
    .filter((one) => one !== '' && one !== 'identity')
  if (codings.length > MAX_CODINGS) {
    return { content, isCut: false, problem: `it has ${codings.length} content codings` }
  }
  let decoded: DecodedBody = { content, isCut: false }
  for (const coding of codings.toReversed()) {
    const decoder = decoderOf(coding)
    if (decoder === undefined) {
      const problem =
        coding === 'zstd' ? 'zstd needs a newer Node.js' : `the coding ${coding} is not known`
      return { content, isCut: false, problem }
    }
    try {
      const next = await runDecoder(decoder, decoded.content, signal)
      decoded = { ...next, isCut: next.isCut || decoded.isCut }
    } catch {
      return { content, isCut: false, problem: `it is not ${coding}` }
    }
  }
  return decoded
}

function decoderOf(coding: string): Transform | undefined {
  if (coding === 'gzip' || coding === 'x-gzip') return zlib.createGunzip(FLUSH)
  if (coding === 'deflate') return zlib.createInflate(FLUSH)
  if (coding === 'br') return zlib.createBrotliDecompress(BROTLI_FLUSH)
  if (coding !== 'zstd') return undefined
  const { createZstdDecompress } = zlib as { createZstdDecompress?: () => Transform }
  return createZstdDecompress?.()
}

async function runDecoder(
  decoder: Transform,
  content: Buffer,
  signal: AbortSignal | undefined,
): Promise<DecodedBody> {
  const pieces: Buffer[] = []
  let bytes = 0
  decoder.on('error', () => {}) // the loop reports it
  decoder.end(content)
  try {
    for await (const piece of decoder as AsyncIterable<Buffer>) {
      signal?.throwIfAborted()
      pieces.push(piece)
      bytes += piece.length
      if (bytes > MAX_DECODED_BYTES) {
        return { content: Buffer.concat(pieces).subarray(0, MAX_DECODED_BYTES), isCut: true }
      }
    }
  } catch (error) {
    // zstd has no flush for the cut end of a body; what came before it is shown.
    if (bytes === 0) throw error
    return { content: Buffer.concat(pieces), isCut: true }
  } finally {
    decoder.destroy()
  }
  return { content: Buffer.concat(pieces), isCut: false }
}

/**
 * Undoes permessage-deflate (RFC 7692) of messages of one direction, in order.
 *
 * @returns for each message its content; undefined from where it cannot be read, or would be too much.
 */
export function inflateMessages(
  messages: readonly {
    readonly data: Buffer
    readonly bytes: number
    readonly isCompressed: boolean
  }[],
  isFromStart: boolean,
): (Buffer | undefined)[] {
  let window: Buffer | undefined = isFromStart ? Buffer.alloc(0) : undefined
  let left = MAX_INFLATED_BYTES
  return messages.map(({ data, bytes, isCompressed }) => {
    if (!isCompressed) return data
    if (window === undefined || data.length < bytes || left === 0) {
      window = undefined
      return undefined
    }
    try {
      const content: Buffer = zlib.inflateRawSync(Buffer.concat([data, DEFLATE_END]), {
        ...FLUSH,
        maxOutputLength: Math.min(MAX_DECODED_BYTES, left),
        ...(window.length > 0 && { dictionary: window }),
      })
      left -= content.length
      window = Buffer.concat([window, content]).subarray(-WINDOW_BYTES)
      return content
    } catch {
      window = undefined
      return undefined
    }
  })
}

/** What a sender leaves out at the end of a message. */
const DEFLATE_END = Buffer.of(0, 0, 0xff, 0xff)

/** How far deflate looks back. */
const WINDOW_BYTES = 32_768
