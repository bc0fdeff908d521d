/**
 * What becomes of the memory of the chunk a session is taking. Sinks say of each piece whether they
 * still refer to it; those that gather the pieces of one chunk, to pass them on in one write, say so
 * when the chunk is done with. A transport may read into the same memory again if all say no, and
 * later if all who say yes know when that is over.
 */

/** Somebody who refers to what it was given only for as long as that waits to be sent. */
export interface ChunkHolder {
  /** Nothing waits: whatever it was given up to now is not referred to any more. */
  readonly drained: boolean
}

/** Whether nothing refers to a chunk any more, or who does; false where that is not known. */
export type ChunkAnswer = boolean | ChunkHolder

/** Several holders as one. */
class Holders implements ChunkHolder {
  readonly #all: readonly ChunkHolder[]

  constructor(all: readonly ChunkHolder[]) {
    this.#all = all
  }

  get drained(): boolean {
    return this.#all.every((one) => one.drained)
  }
}

/** Gathers the answers of all who were given pieces of one chunk. */
export class ChunkUse {
  #acts: (() => ChunkAnswer)[] = []
  #holders: ChunkHolder[] = []
  #depth = 0
  #isKept = false

  /** Takes the answer for one piece: anything but true and a {@link ChunkHolder} means it is kept. */
  note(answer: unknown): void {
    if (answer === true) return
    if (typeof answer === 'object' && answer !== null && 'drained' in answer) {
      this.#holders.push(answer as ChunkHolder) // a sink knows what it returns
    } else this.#isKept = true
  }

  /**
   * Calls `act` when the chunk is done with, and takes its answer. Without a chunk, at once.
   *
   * @returns the answer, or true while it is still to come.
   */
  after(act: () => ChunkAnswer): ChunkAnswer {
    if (this.#depth === 0) return act()
    this.#acts.push(act)
    return true
  }

  /** A chunk is being taken from now on. */
  begin(): void {
    if (this.#depth === 0) {
      this.#isKept = false
      if (this.#holders.length > 0) this.#holders = []
    }
    this.#depth += 1
  }

  /**
   * The chunk is done with.
   *
   * @returns what all answers come to; of a chunk within another one, which only a transport that
   *   works synchronously brings, that is not known.
   */
  end(): ChunkAnswer {
    if (this.#depth > 1) {
      this.#depth -= 1
      return false
    }
    // What is called may bring more.
    for (let i = 0; i < this.#acts.length; i++) this.note(this.#acts[i]?.())
    if (this.#acts.length > 0) this.#acts = []
    this.#depth = 0
    if (this.#isKept) return false
    const [first, second] = this.#holders
    return first === undefined ? true : second === undefined ? first : new Holders(this.#holders)
  }
}
