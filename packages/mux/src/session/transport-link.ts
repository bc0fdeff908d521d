/**
 * Listens to the transport of a session and ends it. Ending takes three steps, so that the last frames
 * arrive: end our side; discard what the peer still sends (if a socket is closed with unread bytes, the
 * kernel sends RST and the peer may lose our last frame); destroy it when it closes or time is up.
 */
import type { Duplex } from 'node:stream'
import type { Clock } from '../clock.ts'

/** Callbacks of the transport's owner. */
export interface LinkOwner {
  received(chunk: Buffer): void
  /** The peer ended the transport, or it is closed. */
  ended(): void
  /** The transport emitted an error. */
  failed(error: Error): void
  /** The transport was destroyed. Called once. */
  gone(): void
}

/** One transport and its listeners. */
export class TransportLink {
  readonly #transport: Duplex
  readonly #owner: LinkOwner
  #cancelLinger: (() => void) | undefined
  #state: 'open' | 'ending' | 'gone' = 'open'

  constructor(transport: Duplex, owner: LinkOwner) {
    this.#transport = transport
    this.#owner = owner
    transport.on('data', this.#onData)
    transport.on('end', this.#onEnd)
    transport.on('error', this.#onError)
    transport.on('close', this.#onClose)
    // It emits no event for an end that happened before. Deferred, because the owner is not built yet.
    if (transport.destroyed || transport.readableEnded) queueMicrotask(this.#onEnd)
  }

  /** Ends the transport, and destroys it when it is not closed after `lingerMs`. */
  end(clock: Clock, lingerMs: number): void {
    if (this.#state !== 'open') return
    this.#state = 'ending'
    if (this.#transport.destroyed) {
      this.destroy()
      return
    }
    this.#cancelLinger = clock.after(lingerMs, () => this.destroy())
    this.#transport.end()
  }

  destroy(): void {
    if (this.#state === 'gone') return
    this.#state = 'gone'
    this.#cancelLinger?.()
    const transport = this.#transport
    transport.off('data', this.#onData)
    transport.off('end', this.#onEnd)
    // The error listener stays until the transport is closed: a late error must not be unhandled.
    if (transport.closed) this.#unlisten()
    transport.destroy()
    this.#owner.gone()
  }

  readonly #onData = (chunk: Buffer): void => this.#owner.received(chunk)

  readonly #onEnd = (): void => {
    if (this.#state === 'open') this.#owner.ended()
  }

  readonly #onError = (error: Error): void => {
    if (this.#state === 'open') this.#owner.failed(error)
    this.destroy()
  }

  readonly #onClose = (): void => {
    if (this.#state === 'open') this.#owner.ended()
    this.destroy()
    this.#unlisten()
  }

  #unlisten(): void {
    this.#transport.off('error', this.#onError)
    this.#transport.off('close', this.#onClose)
  }
}
