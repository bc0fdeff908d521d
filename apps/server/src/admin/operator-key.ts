/**
 * The key of this start: who may read the data directory may use the admin port. The server writes it when it
 * starts; `adit-server status` on the same machine shows it where no token is configured.
 */
import { randomBytes } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { bearerToken, hashToken, isAuthError, isSameSecret } from '@proj/auth'
import type { Logger } from '@proj/tunnel'

/** Name of the file in the data directory. */
const KEY_FILE = 'adit.operator'

/** Bytes of a key, before it is written in base64url. */
const KEY_BYTES = 32

/** Judges whether a request shows the key of this start. */
export interface ShownKey {
  /** Whether a request shows it. */
  isShown(headers: IncomingHttpHeaders): boolean
}

/** The key that another process of this server has made, by its hash. */
export function keyOfHash(hash: Buffer): ShownKey {
  return { isShown: (headers) => isShown(headers, hash) }
}

/** A key that is accepted on the admin port beside tokens. */
export class OperatorKey implements ShownKey {
  readonly #directory: string
  readonly #logger: Logger
  #hash: Buffer

  /** @param directory - that of this process. */
  constructor(directory: string, logger: Logger) {
    this.#directory = directory
    this.#logger = logger
    this.#hash = this.#write()
  }

  /** Its hash, for other processes of this server. */
  get hash(): Buffer {
    return this.#hash
  }

  /** @inheritdoc */
  isShown(headers: IncomingHttpHeaders): boolean {
    return isShown(headers, this.#hash)
  }

  /** Replaces it by a new one: a successor that had the directory for a while has written its own. */
  renew(): void {
    this.#hash = this.#write()
  }

  /** Writes a new key, readable for the owner of the directory only, and returns its hash. */
  #write(): Buffer {
    const key = randomBytes(KEY_BYTES).toString('base64url')
    const file = join(this.#directory, KEY_FILE)
    try {
      rmSync(`${file}.new`, { force: true }) // of a process that was killed: its mode would stay
      writeFileSync(`${file}.new`, key, { mode: 0o600, flag: 'wx' })
      renameSync(`${file}.new`, file)
    } catch (error) {
      // The key stays one that is not told: a full disk must not make changes by the API free.
      this.#logger.warn(
        { err: error },
        'adit-server status and changes by the API need a token: no key can be written',
      )
    }
    return hashToken(key)
  }
}

function isShown(headers: IncomingHttpHeaders, hash: Buffer): boolean {
  try {
    return isSameSecret(hashToken(bearerToken(headers)), hash)
  } catch (error) {
    if (isAuthError(error)) return false
    throw error
  }
}

/**
 * Makes the key of this start.
 *
 * @param directory - that of this process; undefined: nothing is kept, and there is no key.
 */
export function makeOperatorKey(
  directory: string | undefined,
  logger: Logger,
): OperatorKey | undefined {
  return directory === undefined ? undefined : new OperatorKey(directory, logger)
}

/** The key of the server that runs in a directory; undefined when there is none, or it cannot be read. */
export function readOperatorKey(directory: string): string | undefined {
  try {
    return readFileSync(join(directory, KEY_FILE), 'utf8')
  } catch {
    return undefined
  }
}
