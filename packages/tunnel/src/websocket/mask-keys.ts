import { randomFillSync } from 'node:crypto'

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
