import type { IncomingMessage } from 'node:http'

/** Largest body of a request to one of our APIs. They hold a few words. */
export const MAX_BODY_BYTES = 4096

/**
 * Reads the JSON body of a request.
 *
 * @returns undefined when there is none; null when it is not JSON or longer than MAX_BODY_BYTES, and
 *   what is left of it is not read.
 */
export async function readJsonBody(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > MAX_BODY_BYTES) return null
    chunks.push(chunk)
  }
  if (bytes === 0) return undefined
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8')) as unknown
  } catch {
    return null
  }
}
