import { randomFillSync } from 'node:crypto'
import { createRequire } from 'node:module'

/**
 * Masking (RFC 6455 section 5.3): payload byte i is XORed with byte i mod 4 of the key, and the
 * same operation undoes it. A key is one number here, its first byte on the wire lowest.
 *
 * A byte loop in JavaScript masks about 0.8 GB/s, 32-bit words 6 GB/s, the native helper 16 to
 * 28 GB/s; below some 48 bytes any call or view costs more than the loop. The native helper ships
 * binaries for a few platforms only (no Linux on ARM) and falls back to a byte loop of its own, so
 * it is used only where it really is native; the words serve everywhere else.
 */

/** What the native helper and its replacement offer; keys are given as four bytes. */
export interface Masker {
  /** XORs the first `length` bytes of `source` into `target` at `offset`. */
  mask(source: Buffer, key: Buffer, target: Buffer, offset: number, length: number): void
  /** XORs `bytes` in place. */
  unmask(bytes: Buffer, key: Buffer): void
}

/** Up to this length the byte loop is the fastest of the three. */
const SMALL_BYTES = 48

const keyBytes = Buffer.alloc(4)
const wordBytes = new Uint8Array(4)
const wordOfBytes = new Int32Array(wordBytes.buffer)
let masker: Masker | undefined

/** Masks with 32-bit words, where no native helper fits. */
export const WORD_MASKER: Masker = {
  mask(source, key, target, offset, length) {
    source.copy(target, offset, 0, length)
    xorWords(target.subarray(offset, offset + length), key)
  },
  unmask: xorWords,
}

/**
 * Masks or unmasks `bytes` in place, `key` applying to the first byte.
 * @returns the key for the byte that follows, for a payload that comes in pieces.
 */
export function xorInPlace(bytes: Buffer, key: number): number {
  const length = bytes.length
  if (key === 0 || length === 0) return key
  keyBytes.writeInt32LE(key, 0)
  if (length <= SMALL_BYTES) {
    xorBytes(bytes, 0, length, keyBytes)
  } else {
    masker ??= loadNativeMasker() ?? WORD_MASKER
    masker.unmask(bytes, keyBytes)
  }
  return rotateKey(key, length)
}

/**
 * Copies `source` into `target` at `offset`, masked with `key`.
 * @returns the key for the byte that follows.
 */
export function xorInto(source: Buffer, target: Buffer, offset: number, key: number): number {
  const length = source.length
  if (length <= SMALL_BYTES) {
    source.copy(target, offset)
    return xorInPlace(target.subarray(offset, offset + length), key)
  }
  keyBytes.writeInt32LE(key, 0)
  masker ??= loadNativeMasker() ?? WORD_MASKER
  masker.mask(source, keyBytes, target, offset, length)
  return rotateKey(key, length)
}

/** XORs whole 32-bit words, four a turn; the few bytes before and after go one by one. */
function xorWords(bytes: Buffer, key: Buffer): void {
  const length = bytes.length
  const lead = Math.min(-bytes.byteOffset & 3, length)
  xorBytes(bytes, 0, lead, key)
  if (lead === length) return
  const words = new Int32Array(bytes.buffer, bytes.byteOffset + lead, (length - lead) >>> 2)
  // The key as the host reads a word: the order of bytes in a word then does not matter.
  for (let i = 0; i < 4; i++) wordBytes[i] = key[(lead + i) & 3] ?? 0
  const word = wordOfBytes[0] ?? 0
  const count = words.length
  let i = 0
  for (const last = count - 3; i < last; i += 4) {
    words[i] = (words[i] ?? 0) ^ word
    words[i + 1] = (words[i + 1] ?? 0) ^ word
    words[i + 2] = (words[i + 2] ?? 0) ^ word
    words[i + 3] = (words[i + 3] ?? 0) ^ word
  }
  for (; i < count; i++) words[i] = (words[i] ?? 0) ^ word
  xorBytes(bytes, lead + count * 4, length, key)
}

/**
 * Returns the native helper, or undefined where no binary of it fits this platform.
 * @param load - how modules are loaded; tests stand in for other platforms here.
 */
export function loadNativeMasker(load: (name: string) => Masker = loadModule): Masker | undefined {
  try {
    const helper = load('bufferutil')
    const byteLoop = load('bufferutil/fallback.js')
    return helper.unmask === byteLoop.unmask ? undefined : helper
  } catch {
    return undefined
  }
}

/** An executable of one file loads nothing from the folders around it: other users may write there. */
function loadModule(name: string): Masker {
  if (process.getBuiltinModule?.('node:sea')?.isSea()) throw new Error('this is one file')
  return createRequire(import.meta.url)(name) as Masker
}

function xorBytes(bytes: Buffer, from: number, to: number, key: Buffer): void {
  for (let i = from; i < to; i++) bytes[i] = (bytes[i] ?? 0) ^ (key[i & 3] ?? 0)
}

function rotateKey(key: number, bytes: number): number {
  const bits = (bytes & 3) * 8
  return bits === 0 ? key : (key >>> bits) | (key << (32 - bits))
}

/** Keys are drawn in blocks: a draw for each would cost more than masking 4 KiB. */
const KEYS_PER_DRAW = 1024

/** Draws masking keys from the system's generator, as RFC 6455 section 5.3 demands. */
export class MaskKeys {
  readonly #drawn = new Int32Array(KEYS_PER_DRAW)
  #used = KEYS_PER_DRAW

  /** Returns an unpredictable 32-bit key. */
  next(): number {
    if (this.#used === KEYS_PER_DRAW) {
      randomFillSync(this.#drawn)
      this.#used = 0
    }
    return this.#drawn[this.#used++] ?? 0
  }
}
