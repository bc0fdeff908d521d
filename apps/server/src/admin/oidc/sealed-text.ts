import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'

const ALGORITHM = 'aes-256-gcm'
const NONCE_BYTES = 12
const TAG_BYTES = 16

/**
 * Gives others a text to keep, which they can neither read nor change: nothing has to be remembered for those who
 * never come back. What was sealed can be opened by the same object alone.
 */
export class SealedText {
  readonly #key = randomBytes(32)

  /** Seals a text. @returns base64url. */
  seal(text: string): string {
    const nonce = randomBytes(NONCE_BYTES)
    const cipher = createCipheriv(ALGORITHM, this.#key, nonce)
    const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()])
    return Buffer.concat([nonce, cipher.getAuthTag(), sealed]).toString('base64url')
  }

  /** The text; undefined when this object has not sealed it like this. */
  open(sealed: string): string | undefined {
    const bytes = Buffer.from(sealed, 'base64url')
    if (bytes.length < NONCE_BYTES + TAG_BYTES) return undefined
    const tagEnd = NONCE_BYTES + TAG_BYTES
    const decipher = createDecipheriv(ALGORITHM, this.#key, bytes.subarray(0, NONCE_BYTES), {
      authTagLength: TAG_BYTES,
    }).setAuthTag(bytes.subarray(NONCE_BYTES, tagEnd))
    try {
      const text = Buffer.concat([decipher.update(bytes.subarray(tagEnd)), decipher.final()])
      return text.toString('utf8')
    } catch {
      return undefined // another key, or changed bytes
    }
  }
}
