/** How a response begins that switches protocols. */
const SWITCHING = 'HTTP/1.? 101'
const ANY = 0x3f
const H = SWITCHING.charCodeAt(0)

/** Whether a status line is none of an interim response; 101 ends the requests of a connection. */
function isFinal(line: Buffer): boolean {
  return line[9] !== 0x31 || (line[10] === 0x30 && line[11] === 0x31)
}

/**
 * What came from an HTTP service, as far as it tells whether the service owes an answer. Bytes to the service are
 * counted by the owner.
 */
export class RequestTraffic {
  /** Bytes to the service when its last byte came: more means that something is not answered. */
  #answeredBytes = 0
  /** Answers that began. */
  answers = 0
  /** Bytes to the service when the last answer began. */
  #countedBytes = 0
  #hasSwitched = false
  /** Bytes of the head of a response that have come, as far as they decide whether it is a 101; -1: none begins. */
  #statusBytes = -1

  /** Whether a response switched protocols: afterwards there are no requests, and either side may half-close. */
  get hasSwitched(): boolean {
    return this.#hasSwitched
  }

  /**
   * Notes a chunk from the service.
   *
   * @param sentBytes - bytes that went to the service until now.
   */
  received(chunk: Buffer, sentBytes: number): void {
    this.#answeredBytes = sentBytes
    if (this.#hasSwitched) return
    if (chunk[0] === H && sentBytes > this.#countedBytes && isFinal(chunk)) {
      this.#countedBytes = sentBytes
      this.answers += 1
    }
    this.#lookForSwitch(chunk)
  }

  /** Whether the service was sent nothing since its last byte, so that no part of a further request. */
  isIdle(sentBytes: number): boolean {
    return !this.#hasSwitched && this.#answeredBytes === sentBytes
  }

  /** Looks whether a response 101 begins. A chunk may end within the status line. */
  #lookForSwitch(chunk: Buffer): void {
    if (this.#statusBytes < 0 && chunk[0] !== H) return
    let at = Math.max(0, this.#statusBytes)
    for (let index = 0; index < chunk.length && at < SWITCHING.length; index++) {
      const wanted = SWITCHING.charCodeAt(at)
      if (chunk[index] !== wanted && wanted !== ANY) {
        this.#statusBytes = -1
        return
      }
      at += 1
    }
    this.#hasSwitched = at === SWITCHING.length
    this.#statusBytes = this.#hasSwitched ? -1 : at
  }
}
