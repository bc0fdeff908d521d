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

/** Longest greeting, bytes. */
const MAX_GREETING_BYTES = 4_096
const NEWLINE = 0x0a

/** The bytes of a greeting: one line of JSON. */
export function formatGreeting(greeting: Greeting): Buffer {
  return Buffer.from(`${JSON.stringify(greeting)}\n`)
}

/** Reads the greeting at the head of a control stream, which ends with the link; later lines are of a later version and are ignored. */
export class GreetingReader implements ChannelSink {
  readonly #channel: Channel
  readonly #greeted: (greeting: Greeting) => void
  readonly #failed: (why: string) => void
  #bytes: Buffer | undefined = Buffer.alloc(0)
  #isGreeted = false

  /** @param failed - called when there is no greeting of this version. */
  constructor(
    channel: Channel,
    greeted: (greeting: Greeting) => void,
    failed: (why: string) => void,
  ) {
    this.#channel = channel
    this.#greeted = greeted
    this.#failed = failed
  }

  /** @inheritdoc */
  onData(chunk: Buffer): undefined {
    this.#channel.consume(chunk.length)
    if (this.#bytes === undefined) return
    const bytes = Buffer.concat([this.#bytes, chunk])
    const end = bytes.indexOf(NEWLINE)
    if (end < 0 && bytes.length <= MAX_GREETING_BYTES) {
      this.#bytes = bytes
      return
    }
    this.#bytes = undefined
    const greeting = end < 0 ? undefined : parseGreeting(bytes.subarray(0, end).toString('utf8'))
    if (greeting === undefined) this.#failed('its greeting is out of form')
    else if (greeting.protocol !== LINK_PROTOCOL) {
      const { protocol } = greeting
      this.#failed(`it speaks version ${protocol} of links, and this node ${LINK_PROTOCOL}`)
    } else {
      this.#isGreeted = true
      this.#greeted(greeting)
    }
  }

  /** @inheritdoc */
  onEnd(): void {
    // Later it means that no more streams come: the session ends with the last of them.
    if (this.#isGreeted) this.#channel.end()
    else this.#failed('it did not greet')
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
