// A stream multiplexer as the suite sees it.
import type { EventEmitter } from 'node:events'
import type { Duplex } from 'node:stream'

/** A stream without a Duplex. */
export interface MuxChannel {
  write(chunk: Buffer): boolean
  end(): void
  reset(reason?: number): void
  consume(bytes: number): void
}

/** What a channel calls. */
export interface MuxSink {
  onData(chunk: Buffer): void
  onEnd(): void
  onDrain(): void
  onClose(error?: Error): void
}

/** A session, as far as the suite uses it. */
export interface MuxSession extends EventEmitter, AsyncIterable<Duplex> {
  readonly closed: Promise<{ readonly code: string }>
  openChannel(sink?: MuxSink): MuxChannel
  open(options?: { signal?: AbortSignal }): Promise<Duplex>
  ping(options?: { signal?: AbortSignal }): Promise<number>
  goAway(code?: number): void
  close(options?: { signal?: AbortSignal; code?: number }): Promise<void>
  abort(code: number): void
  destroy(error?: Error): void
  stats(): object
}
