// A long path made of memory: what is written to one end can be read from the other a fixed time
// later, at any rate. Nothing is lost; what is under way is bounded, as by a very large socket
// buffer.
import { Duplex } from 'node:stream'

const MAX_UNDER_WAY_BYTES = 64 * 1024 * 1024

class DelayDuplex extends Duplex {
  #delayMs
  #underWay = []
  #bytes = 0
  #waiting
  peer

  constructor(delayMs) {
    super({ readableHighWaterMark: 1024 * 1024, writableHighWaterMark: 1024 * 1024 })
    this.#delayMs = delayMs
  }

  _read() {}

  _write(chunk, _encoding, done) {
    this.#send(chunk)
    if (this.#bytes < MAX_UNDER_WAY_BYTES) done()
    else this.#waiting = done
  }

  _writev(chunks, done) {
    for (const { chunk } of chunks) this.#send(chunk)
    if (this.#bytes < MAX_UNDER_WAY_BYTES) done()
    else this.#waiting = done
  }

  _final(done) {
    this.#send(null)
    done()
  }

  _destroy(error, done) {
    this.peer.destroy()
    done(error)
  }

  #send(chunk) {
    this.#bytes += chunk?.length ?? 0
    this.#underWay.push([performance.now() + this.#delayMs, chunk])
    if (this.#underWay.length === 1) setTimeout(this.#arrive, this.#delayMs)
  }

  #arrive = () => {
    if (this.destroyed) return
    const now = performance.now()
    let arrived = 0
    for (const [dueMs, chunk] of this.#underWay) {
      if (dueMs > now) break
      arrived += 1
      this.#bytes -= chunk?.length ?? 0
      this.peer.push(chunk)
    }
    this.#underWay.splice(0, arrived)
    const next = this.#underWay[0]
    if (next !== undefined) setTimeout(this.#arrive, Math.max(1, next[0] - performance.now()))
    const done = this.#waiting
    if (done === undefined || this.#bytes >= MAX_UNDER_WAY_BYTES) return
    this.#waiting = undefined
    done()
  }
}

/** Two ends of a path with this round trip. */
export function delayedPair(roundTripMs) {
  const pair = [new DelayDuplex(roundTripMs / 2), new DelayDuplex(roundTripMs / 2)]
  pair[0].peer = pair[1]
  pair[1].peer = pair[0]
  return pair
}
