/**
 * Remembers which numbers were used, for a sequence that comes nearly in order: a sliding window of
 * bits, as for anti-replay (RFC 6479). Numbers below the window count as used. The memory is constant,
 * and a jump ahead clears at most the words of the window.
 */

const WORD_BITS = 32
const WORDS = 16
/** How far below the highest a number may come late; Go peers open at most 256 streams at once. */
const WINDOW = (WORDS - 1) * WORD_BITS

/** Which of 0, 1, 2, … were used. */
export class SeenIds {
  readonly #words = new Uint32Array(WORDS)
  #next = 0

  /** One more than the highest number used. */
  get next(): number {
    return this.#next
  }

  /** Marks `index` as used; false if it was used before or is too far below the highest. */
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

  // The words between the old highest number and the new one are of numbers not used yet.
  #clearAfter(oldWord: number, newWord: number): void {
    const count = Math.min(newWord - oldWord, WORDS)
    for (let i = 0; i < count; i++) this.#words[(newWord - i) % WORDS] = 0
  }
}
