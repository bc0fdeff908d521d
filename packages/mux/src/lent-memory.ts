/**
 * Memory that is lent: a transport may read into the same memory again, so each receiver of a chunk
 * answers whether it still refers to it. {@link ChunkAnswer} is the contract.
 */

/**
 * What a receiver answers about the memory of a chunk it was given.
 *
 * - `true`: nothing refers to the chunk any more. Its memory may be overwritten when the call returns.
 * - a {@link ChunkHolder}: something refers to it until `drained` is true, and not afterwards.
 * - `false`, or no answer: the receiver keeps the chunk. Its memory is never overwritten.
 *
 * A chunk of a transport is free when the receivers of all its pieces say so. A receiver that passes a
 * chunk on answers with what the next one answered. A chunk that must last longer is copied.
 */
export type ChunkAnswer = boolean | ChunkHolder

/** Refers to a chunk until it has been sent; see {@link ChunkAnswer}. */
export interface ChunkHolder {
  /** Whether everything it was given up to now has been sent, so that it refers to none of it. */
  readonly drained: boolean
}

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

/**
 * Collects the answers of all receivers of one chunk: `begin`, then `note` for each piece, then `end`.
 * One object serves one chunk after another.
 */
export class ChunkUse {
  #acts: (() => ChunkAnswer)[] = []
  #holders: ChunkHolder[] = []
  #depth = 0
  #isKept = false
  /** What the probe delivers in place of the chunk; only in tests. */
  #probed: Buffer | undefined

  /** Takes the answer of one receiver. */
  note(answer: ChunkAnswer | undefined): void {
    if (answer === true) return
    // JavaScript may return anything: what is no answer keeps the chunk.
    if (typeof answer === 'object' && answer !== null && 'drained' in answer) {
      this.#holders.push(answer)
    } else this.#isKept = true
  }

  /**
   * Calls `act` at the end of the chunk, and takes its answer; outside of a chunk, at once.
   *
   * @returns the answer, or true while it is still to come.
   */
  after(act: () => ChunkAnswer): ChunkAnswer {
    if (this.#depth === 0) return act()
    this.#acts.push(act)
    return true
  }

  /** Begins with `chunk`. Returns what to deliver: `chunk`, except in tests that probe the answers. */
  begin(chunk: Buffer): Buffer {
    this.#depth += 1
    if (this.#depth > 1) return chunk
    this.#isKept = false
    if (this.#holders.length > 0) this.#holders = []
    if (probe === undefined) return chunk
    this.#probed = probe.lend(chunk)
    return this.#probed
  }

  /**
   * Ends the chunk.
   *
   * @returns all answers together. For a chunk that came while another one was delivered, which only
   *   a synchronous transport does, that is false: its answers count for the outer one.
   */
  end(): ChunkAnswer {
    if (this.#depth > 1) {
      this.#depth -= 1
      return false
    }
    // An act may add further ones.
    for (let i = 0; i < this.#acts.length; i++) this.note(this.#acts[i]?.())
    if (this.#acts.length > 0) this.#acts = []
    this.#depth = 0
    let answer: ChunkAnswer = !this.#isKept
    if (answer && this.#holders.length > 0) {
      const [first, second] = this.#holders
      answer = first === undefined || second !== undefined ? new Holders(this.#holders) : first
    }
    if (this.#probed !== undefined) this.#tellProbe(this.#probed, answer)
    return answer
  }

  #tellProbe(memory: Buffer, answer: ChunkAnswer): void {
    this.#probed = undefined
    probe?.answered(memory, answer)
  }
}

/**
 * @internal Checks the answers; only tests set one. `test/poison.ts` delivers copies and overwrites
 * them as soon as they are free, so a wrong answer shows as wrong bytes.
 */
export interface MemoryProbe {
  /** Returns the memory to deliver in place of `chunk`. */
  lend(chunk: Buffer): Buffer
  /** All receivers of `memory` have answered. */
  answered(memory: Buffer, answer: ChunkAnswer): void
}

let probe: MemoryProbe | undefined

/** @internal Sets the probe of this process, or removes it. */
export function setMemoryProbe(next: MemoryProbe | undefined): void {
  probe = next
}

/** Tells the probe, if there is one, that nothing refers to these bytes of `memory` any more. */
export function noteFree(memory: Buffer, start: number, end: number): void {
  probe?.answered(memory.subarray(start, end), true)
}
