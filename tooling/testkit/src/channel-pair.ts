// A channel of two processes in one, which does to messages what the one of a child process does.
import { EventEmitter } from 'node:events'

/** One end of a pair. */
export class ChannelEnd extends EventEmitter<{ message: [unknown]; disconnect: [] }> {
  connected = true
  other: ChannelEnd | undefined
  /** Messages that came here are kept back while it is set. */
  isFrozen = false

  /** Its messages come in their order, in later turns of the event loop, as JSON makes them. */
  send(message: unknown): boolean {
    const text = JSON.stringify(message)
    setImmediate(() => {
      const { other } = this
      if (other?.connected === true && !other.isFrozen) other.emit('message', JSON.parse(text))
    })
    return true
  }

  /** The process of this end is gone. */
  disconnect(): void {
    for (const end of [this, this.other]) {
      if (end?.connected !== true) continue
      end.connected = false
      setImmediate(() => end.emit('disconnect'))
    }
  }
}

/** Both ends of a channel. */
export function channelPair(): readonly [ChannelEnd, ChannelEnd] {
  const [one, other] = [new ChannelEnd(), new ChannelEnd()]
  one.other = other
  other.other = one
  return [one, other]
}
