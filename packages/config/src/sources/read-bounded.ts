import { createReadStream } from 'node:fs'

/** The text of a file, or why there is none. */
export type BoundedRead =
  | { readonly text: string }
  | { readonly failure: string; readonly cause: 'missing' | 'unreadable' | 'too-large' }

/**
 * Reads a file of UTF-8 text.
 *
 * Reads pipes too, so that a shell can hand over `<(command)`; hence no look at the size first.
 */
export async function readBounded(
  path: string,
  maxBytes: number,
  signal: AbortSignal | undefined,
): Promise<BoundedRead> {
  signal?.throwIfAborted()
  const chunks: Buffer[] = []
  let bytes = 0
  try {
    const stream = createReadStream(path, { end: maxBytes, ...(signal ? { signal } : {}) })
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      chunks.push(chunk)
      bytes += chunk.length
    }
  } catch (error) {
    signal?.throwIfAborted()
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error)
    const failure = REASONS[code] ?? `cannot be read (${code})`
    return { failure, cause: code === 'ENOENT' ? 'missing' : 'unreadable' }
  }
  if (bytes > maxBytes) return { failure: `has more than ${maxBytes} bytes`, cause: 'too-large' }
  const text = Buffer.concat(chunks)
  try {
    return { text: new TextDecoder('utf-8', { fatal: true }).decode(text) }
  } catch {
    return { failure: 'is not UTF-8 text', cause: 'unreadable' }
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'does not exist',
  EACCES: 'cannot be read: permission denied',
  EISDIR: 'is a directory',
}
