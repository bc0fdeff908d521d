/**
 * Decides when a silent peer is dead. Any byte is a sign of life, not only the answer to a ping:
 * a peer that is busy sending a long queue answers late, and is not dead.
 */
import { MuxError } from '../errors.ts'
import type { StreamHost } from '../stream/stream-host.ts'

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

  /** Sends a ping, or gives the peer up, if that is due at `nowMs`. */
  check(nowMs: number, { pings, fail }: Pick<StreamHost, 'pings' | 'fail'>): void {
    if (this.#heard) {
      this.#heard = false
      this.#heardAtMs = nowMs
      this.#askedAtMs = Infinity
    }
    if (nowMs - this.#askedAtMs >= this.#timeoutMs) {
      const message = `nothing came within ${this.#timeoutMs} ms of a ping`
      fail(new MuxError('MUX_KEEPALIVE_TIMEOUT', message))
    } else if (this.#askedAtMs === Infinity && nowMs - this.#heardAtMs >= this.#intervalMs) {
      this.#askedAtMs = nowMs
      pings.probe(nowMs)
    }
  }
}
