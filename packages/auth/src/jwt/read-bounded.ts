import { open } from 'node:fs/promises'

/** Largest key set that is read, bytes; real ones have a few thousand. */
export const MAX_KEY_SET_BYTES: number = 256 * 1024

/**
 * Reads a text from an `http:`, `https:` or `file:` URL, within a size.
 *
 * @throws {Error} when it cannot be read, is larger than {@link MAX_KEY_SET_BYTES}, or came by http
 *   although https was asked for.
 */
export async function readBounded(url: URL, signal: AbortSignal): Promise<string> {
  return url.protocol === 'file:' ? await readFile(url, signal) : await readHttp(url, signal)
}

async function readHttp(url: URL, signal: AbortSignal): Promise<string> {
  const response = await fetch(url, { signal, headers: { accept: 'application/json' } })
  try {
    // Who asks for keys over TLS must not get them from whoever is in between.
    if (url.protocol === 'https:' && !response.url.startsWith('https:')) {
      throw new Error('it was redirected from https to http')
    }
    if (response.status !== 200) throw new Error(`it was answered with status ${response.status}`)
    const chunks: Uint8Array[] = []
    let bytes = 0
    for await (const chunk of response.body ?? []) {
      bytes += chunk.length
      if (bytes > MAX_KEY_SET_BYTES) throw tooLarge()
      chunks.push(chunk)
    }
    return Buffer.concat(chunks).toString()
  } finally {
    await response.body?.cancel().catch(() => {}) // it was read to the end already
  }
}

async function readFile(url: URL, signal: AbortSignal): Promise<string> {
  const file = await open(url)
  try {
    const { size } = await file.stat()
    if (size > MAX_KEY_SET_BYTES) throw tooLarge()
    return await file.readFile({ encoding: 'utf8', signal })
  } finally {
    await file.close()
  }
}

function tooLarge(): Error {
  return new Error(`it is larger than ${MAX_KEY_SET_BYTES} bytes`)
}
