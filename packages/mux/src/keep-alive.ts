/**
 * Decides when a silent peer is dead. Any byte is a sign of life, not only the answer to a ping:
 * a peer that is busy sending a long queue answers late, and is not dead.
 */

/** Watches one direction; looked at by the session's sweep. */
export class KeepAlive {
  readonly #intervalMs: number
  readonly #timeoutMs: number
  #heard = false
  #heardAtMs: number
  #askedAtMs = Infinity

  /**
   * @param intervalMs - silence after which to ask; `Infinity` never asks.
   * @param timeoutMs - silence after asking that means death.
   */
  constructor(intervalMs: number, timeoutMs: number, nowMs: number) {
    this.#intervalMs = intervalMs
    this.#timeoutMs = timeoutMs
    this.#heardAtMs = nowMs
  }

  /** Notes that bytes came. Called for every chunk, so it reads no clock. */
  heard(): void {
    this.#heard = true
  }

  /** Tells what to do at `nowMs`: nothing, send a ping, or give the peer up. */
  check(nowMs: number): 'wait' | 'ask' | 'dead' {
    if (this.#heard) {
      this.#heard = false
      this.#heardAtMs = nowMs
      this.#askedAtMs = Infinity
    }
    if (nowMs - this.#askedAtMs >= this.#timeoutMs) return 'dead'
    if (this.#askedAtMs === Infinity && nowMs - this.#heardAtMs >= this.#intervalMs) {
      this.#askedAtMs = nowMs
      return 'ask'
    }
    return 'wait'
  }
}
