import { open } from 'node:fs/promises'

import type { Secret } from '@proj/config'

/** Largest file of a token that is read; the configuration takes no larger one either. */
const MAX_TOKEN_FILE_BYTES = 64 * 1024

/**
 * The token as the server's options take it. One from a file is read again for each handshake, because
 * it may be replaced while the agent runs; while the file cannot be read, the last token is used.
 */
export function currentToken(token: Secret): string | (() => Promise<string>) {
  const { file } = token
  if (file === undefined) return token.reveal()
  let last = token.reveal()
  return async () => {
    last = (await readToken(file).catch(() => undefined)) ?? last
    return last
  }
}

/** @returns undefined for an empty file: it is just being written. */
async function readToken(file: string): Promise<string | undefined> {
  await using handle = await open(file)
  const { bytesRead, buffer } = await handle.read(Buffer.alloc(MAX_TOKEN_FILE_BYTES))
  const text = buffer.toString('utf8', 0, bytesRead).replace(/\r?\n$/, '')
  return text === '' ? undefined : text
}
