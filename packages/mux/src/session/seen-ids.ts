/**
 * Remembers which numbers were used, for a sequence that comes nearly in order: a sliding window of
 * bits, as in anti-replay (RFC 6479). What lies below the window counts as used. Constant memory,
 * and a jump ahead costs at most the words of the window.
 */

const WORD_BITS = 32
const WORDS = 16
/** Numbers below the highest that can still come late; Go peers open at most 256 streams at once. */
const WINDOW = (WORDS - 1) * WORD_BITS

/** Which of 0, 1, 2, … were used. */
export class SeenIds {
  readonly #words = new Uint32Array(WORDS)
  #next = 0

  /** One more than the highest number used. */
  get next(): number {
    return this.#next
  }

  /** Uses `index`; false when it was used before or is too far below the highest. */
  add(index: number): boolean {
    const word = Math.floor(index / WORD_BITS)
    const slot = word % WORDS
    const bit = 1 << (index % WORD_BITS)
    if (index >= this.#next) {
      this.#clearAfter(Math.floor((this.#next - 1) / WORD_BITS), word)
      this.#next = index + 1
    } else if (this.#next - index > WINDOW || ((this.#words[slot] ?? 0) & bit) !== 0) {
      return false
    }
    this.#words[slot] = (this.#words[slot] ?? 0) | bit
    return true
  }

  // Words between the old highest and the new one belong to numbers not seen yet.
  #clearAfter(oldWord: number, newWord: number): void {
    const count = Math.min(newWord - oldWord, WORDS)
    for (let i = 0; i < count; i++) this.#words[(newWord - i) % WORDS] = 0
  }
}
