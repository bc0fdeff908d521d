import { type Channel, type ChannelSink, Session } from '@proj/mux'

import { ControlChannel } from './control-channel.ts'
import type { ControlMessage } from './control-message.ts'
import type { ServerPipe } from './handshake-request.ts'
import type { KeptConnection } from './keep-connected.ts'
import { encodeStreamRecord } from './stream-record.ts'

/** The consumer's side of one session with a server of ours. */
export class ConsumerSession implements KeptConnection {
  readonly left: Promise<void>
  readonly #session: Session
  readonly #control: ControlChannel
  readonly #queries = new Map<number, (upstreams: number | undefined) => void>()
  #nextId = 1

  constructor({ pipe }: ServerPipe, software: string) {
    let leave = (): void => {}
    this.left = new Promise((resolve) => (leave = resolve))
    // A server opens no streams towards a consumer.
    this.#session = new Session(pipe, { role: 'client', onChannel: (channel) => channel.reset() })
    this.#session.on('goaway', () => leave())
    void this.#session.closed.then(() => {
      leave()
      for (const answer of this.#queries.values()) answer(undefined)
      this.#queries.clear()
    })
    const channel = this.#session.openChannel()
    channel.write(encodeStreamRecord({ kind: 'control', endpoint: '' }))
    this.#control = new ControlChannel(channel, {
      onMessage: (message) => {
        this.#onMessage(message)
        if (message.type === 'drain') {
          leave()
          this.#control.end()
        }
      },
      onViolation: () => this.#session.abort(1),
      onClose: () => leave(),
    })
    this.#control.send({ type: 'hello', software, peer: '' })
  }

  get closed(): Promise<unknown> {
    return this.#session.closed
  }

  open(endpoint: string, sink: ChannelSink | undefined): Channel {
    const channel = this.#session.openChannel(sink)
    channel.write(encodeStreamRecord({ kind: 'tcp', endpoint }))
    return channel
  }

  async query(endpoint: string, signal: AbortSignal): Promise<number | undefined> {
    signal.throwIfAborted()
    const id = this.#nextId++
    return await new Promise((resolve, reject) => {
      const abort = (): void => {
        this.#queries.delete(id)
        reject(signal.reason)
      }
      signal.addEventListener('abort', abort, { once: true })
      this.#queries.set(id, (upstreams) => {
        signal.removeEventListener('abort', abort)
        resolve(upstreams)
      })
      this.#control.send({ type: 'query', id, endpoint })
    })
  }

  async close({ signal }: { readonly signal?: AbortSignal }): Promise<void> {
    this.#control.end()
    try {
      await this.#session.close(signal === undefined ? {} : { signal })
    } catch {
      this.#session.destroy()
    }
    await this.#session.closed
  }

  destroy(): void {
    this.#session.destroy()
  }

  #onMessage(message: ControlMessage): void {
    if (message.type !== 'endpoint') return
    const answer = this.#queries.get(message.id)
    this.#queries.delete(message.id)
    answer?.(message.upstreams)
  }
}
