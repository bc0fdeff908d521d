// A synchronous transport: the session reads what is fed to it before `feed` returns, and what it writes
// is kept in `written`. It has only the members of a Duplex that a session uses: a fuzzer creates a
// million of them.
import { EventEmitter } from 'node:events'
import type { Duplex } from 'node:stream'

export class SyncTransport extends EventEmitter {
  written: Buffer[] = []
  writableNeedDrain = false
  readableEnded = false
  destroyed = false
  closed = false
  ended = false

  /** This transport as the Duplex that a session expects. */
  get duplex(): Duplex {
    return this as unknown as Duplex // a session uses no other members
  }

  /** Listeners a session has on it. */
  get listenerTotal(): number {
    return this.eventNames().reduce((sum, name) => sum + this.listenerCount(name), 0)
  }

  feed(chunk: Buffer): void {
    if (!this.destroyed) this.emit('data', chunk)
  }

  write(chunk: Buffer): boolean {
    this.written.push(chunk)
    return !this.writableNeedDrain
  }

  cork(): void {}

  uncork(): void {}

  end(): void {
    this.ended = true
  }

  destroy(): void {
    if (this.destroyed) return
    this.destroyed = true
    this.closed = true
    this.emit('close')
  }
}
