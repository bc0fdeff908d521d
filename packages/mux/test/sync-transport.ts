// A transport without a kernel: what is fed to it is read before `feed` returns, what is written to
// it is kept. It has the part of a Duplex that a session uses, and none of its cost: a fuzzer makes
// a million of them.
import { EventEmitter } from 'node:events'
import type { Duplex } from 'node:stream'

export class SyncTransport extends EventEmitter {
  written: Buffer[] = []
  writableNeedDrain = false
  readableEnded = false
  destroyed = false
  closed = false
  ended = false

  /** The same, as what a session takes. */
  get duplex(): Duplex {
    return this as unknown as Duplex // only the members above and below are ever touched
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
