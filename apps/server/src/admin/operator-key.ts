/**
 * The key of this start: who may read the data directory may use the admin port. The server writes it when it
 * starts; `adit-server status` on the same machine shows it where no token is configured.
 */
import { randomBytes } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { bearerToken, hashToken, isAuthError, isSameSecret } from '@proj/auth'
import type { Logger } from '@proj/tunnel'

/** Name of the file in the data directory. */
const KEY_FILE = 'adit.operator'

/** Bytes of a key, before it is written in base64url. */
const KEY_BYTES = 32

/** A key that is accepted on the admin port beside tokens. */
export class OperatorKey {
  readonly #hash: Buffer

  constructor(key: string) {
    this.#hash = hashToken(key)
  }

  /** Whether a request shows it. */
  isShown(headers: IncomingHttpHeaders): boolean {
    try {
      return isSameSecret(hashToken(bearerToken(headers)), this.#hash)
    } catch (error) {
      if (isAuthError(error)) return false
      throw error
    }
  }
}

/**
 * Makes a key and writes it, readable for the owner of the directory only.
 *
 * @param directory - that of this process; undefined: nothing is kept, and there is no key.
 */
export function makeOperatorKey(
  directory: string | undefined,
  logger: Logger,
): OperatorKey | undefined {
  if (directory === undefined) return undefined
  const key = randomBytes(KEY_BYTES).toString('base64url')
  const file = join(directory, KEY_FILE)
  const made = new OperatorKey(key)
  try {
    writeFileSync(`${file}.new`, key, { mode: 0o600 })
    renameSync(`${file}.new`, file)
  } catch (error) {
    // The key stays one that is not told: a full disk must not make changes by the API free.
    logger.warn(
      { err: error },
      'adit-server status and changes by the API need a token: no key can be written',
    )
  }
  return made
}

/** The key of the server that runs in a directory; undefined when there is none, or it cannot be read. */
export function readOperatorKey(directory: string): string | undefined {
  try {
    return readFileSync(join(directory, KEY_FILE), 'utf8')
  } catch {
    return undefined
  }
}
