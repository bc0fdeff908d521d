/**
 * Decides when a silent peer is dead. Any byte shows that it is alive, not only the response to a ping:
 * a peer that is sending a long queue responds late.
 */
import { MuxError } from '../errors.ts'
import type { StreamHost } from '../stream/stream-host.ts'

/** Pings a silent peer and ends the session if it stays silent; checked once per sweep. */
export class KeepAlive {
  readonly #intervalMs: number
  readonly #timeoutMs: number
  #heard = false
  #heardAtMs: number
  #pingedAtMs = Infinity

  /**
   * @param intervalMs - silence after which the peer is pinged; `Infinity` for never.
   * @param timeoutMs - silence after the ping that ends the session.
   */
  constructor(intervalMs: number, timeoutMs: number, nowMs: number) {
    this.#intervalMs = intervalMs
    this.#timeoutMs = timeoutMs
    this.#heardAtMs = nowMs
  }

  /** Bytes came. Called for every chunk, so it does not read the clock. */
  heard(): void {
    this.#heard = true
  }

  /** Sends a ping, or ends the session, if that is due at `nowMs`. */
  check(nowMs: number, { pings, fail }: Pick<StreamHost, 'pings' | 'fail'>): void {
    if (this.#heard) {
      this.#heard = false
      this.#heardAtMs = nowMs
      this.#pingedAtMs = Infinity
    }
    if (nowMs - this.#pingedAtMs >= this.#timeoutMs) {
      const message = `nothing was received within ${this.#timeoutMs} ms of a ping`
      fail(new MuxError('MUX_KEEPALIVE_TIMEOUT', message))
    } else if (this.#pingedAtMs === Infinity && nowMs - this.#heardAtMs >= this.#intervalMs) {
      this.#pingedAtMs = nowMs
      pings.probe(nowMs)
    }
  }
}
