import type { Channel, ChannelSink } from '@proj/mux'

import { parsePeerObject } from './peer-json.ts'

/** Who is at the end of a link, as it says itself; the certificate has proved the node already. */
export interface Greeting {
  /** LINK_PROTOCOL of the sender. */
  readonly protocol: number
  readonly node: string
  readonly boot: string
  readonly version: string
}

/**
 * Version of what is said on links. A node of the previous one gets along: fields are added, and one that
 * cannot is refused by its number.
 */
export const LINK_PROTOCOL = 1

/** Longest line, bytes. */
const MAX_LINE_BYTES = 4_096
const NEWLINE = 0x0a

/** The bytes of a greeting: one line of JSON. */
export function formatGreeting(greeting: Greeting): Buffer {
  return Buffer.from(`${JSON.stringify(greeting)}\n`)
}

/**
 * A line after the greeting, from the node that the link leads to: it stops, and what its agents serve on this link
 * without an end of its own is to end now, as its protocol wants. A node of the previous version ignores it.
 */
export const END_LONG_LIVED: Buffer = Buffer.from('{"endLongLived":true}\n')

/**
 * Reads a control stream, which ends with the link: the greeting, and lines of JSON after it. What is not known there is
 * of a later version and is ignored.
 */
export class ControlReader implements ChannelSink {
  readonly #channel: Channel
  readonly #greeted: (greeting: Greeting) => void
  readonly #failed: (why: string) => void
  readonly #endLongLived: () => void
  /** Of a line that has not ended; undefined: nothing more is read. */
  #bytes: Buffer | undefined = Buffer.alloc(0)
  #isGreeted = false

  /**
   * @param failed - called when there is no greeting of this version.
   * @param endLongLived - called for END_LONG_LIVED. Default: nothing.
   */
  constructor(
    channel: Channel,
    greeted: (greeting: Greeting) => void,
    failed: (why: string) => void,
    endLongLived: () => void = () => {},
  ) {
    this.#channel = channel
    this.#greeted = greeted
    this.#failed = failed
    this.#endLongLived = endLongLived
  }

  /** @inheritdoc */
  onData(chunk: Buffer): undefined {
    this.#channel.consume(chunk.length)
    if (this.#bytes === undefined) return
    let bytes = Buffer.concat([this.#bytes, chunk])
    for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE)) {
      const line = bytes.subarray(0, end).toString('utf8')
      bytes = bytes.subarray(end + 1)
      if (this.#isGreeted) this.#readLine(line)
      else if (!this.#readGreeting(line)) return
    }
    if (bytes.length <= MAX_LINE_BYTES) this.#bytes = bytes
    else if (this.#isGreeted) this.#bytes = undefined
    else this.#fail('its greeting is out of form')
  }

  #readGreeting(line: string): boolean {
    const greeting = parseGreeting(line)
    if (greeting === undefined) this.#fail('its greeting is out of form')
    else if (greeting.protocol !== LINK_PROTOCOL) {
      const { protocol } = greeting
      this.#fail(`it speaks version ${protocol} of links, and this node ${LINK_PROTOCOL}`)
    } else {
      this.#isGreeted = true
      this.#greeted(greeting)
    }
    return this.#isGreeted
  }

  #readLine(line: string): void {
    if (parsePeerObject(line)?.['endLongLived'] === true) this.#endLongLived()
  }

  #fail(why: string): void {
    this.#bytes = undefined
    this.#failed(why)
  }

  /** @inheritdoc */
  onEnd(): void {
    // Later it means that no more streams come: the session ends with the last of them.
    if (this.#isGreeted) this.#channel.end()
    else this.#fail('it did not greet')
  }

  /** @inheritdoc */
  onDrain(): void {}

  /** @inheritdoc */
  onClose(): void {}
}

function parseGreeting(text: string): Greeting | undefined {
  const { protocol, node, boot, version } = parsePeerObject(text) ?? {}
  if (typeof protocol !== 'number' || typeof node !== 'string') return undefined
  if (typeof boot !== 'string' || typeof version !== 'string') return undefined
  return { protocol, node, boot, version }
}
