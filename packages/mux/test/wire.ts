// Frames written as words, and a session whose peer is the test.
import { setImmediate as nextTurn } from 'node:timers/promises'
import {
  type Channel,
  type ChannelSink,
  type ChunkAnswer,
  Session,
  type SessionOptions,
} from '../src/index.ts'
import { FakeClock } from './fake-clock.ts'
import { SyncTransport } from './sync-transport.ts'

const TYPES = ['DATA', 'WND', 'PING', 'GOAWAY']
const FLAGS = ['SYN', 'ACK', 'FIN', 'RST']

/**
 * Encodes frames written as `DATA SYN|FIN 1 hello`, `WND ACK 1 4096`, `PING SYN 0 7`: type, flags
 * (`-` for none), stream id, then payload for DATA, length for the others.
 */
export function frames(...lines: string[]): Buffer {
  return Buffer.concat(lines.map(encode))
}

function encode(line: string): Buffer {
  const [type = '', flags = '', id = '', ...rest] = line.split(' ')
  const payload = Buffer.from(type === 'DATA' ? rest.join(' ') : '')
  const header = Buffer.alloc(12)
  header.writeUInt8(TYPES.indexOf(type), 1)
  const bits = flags === '-' ? [] : flags.split('|').map((flag) => 1 << FLAGS.indexOf(flag))
  header.writeUInt16BE(
    bits.reduce((sum, bit) => sum + bit, 0),
    2,
  )
  header.writeUInt32BE(Number(id), 4)
  header.writeUInt32BE(type === 'DATA' ? payload.length : Number(rest[0]), 8)
  return Buffer.concat([header, payload])
}

/** A header of any shape, without payload. */
export function header(
  type: number,
  flags: number,
  id: number,
  length: number,
  version = 0,
): Buffer {
  const result = Buffer.alloc(12)
  result.writeUInt8(version, 0)
  result.writeUInt8(type, 1)
  result.writeUInt16BE(flags, 2)
  result.writeUInt32BE(id, 4)
  result.writeUInt32BE(length, 8)
  return result
}

/** Reads frames back into the words of `frames`; long payloads as `<n bytes>`. */
export function words(bytes: Buffer): string[] {
  const result: string[] = []
  for (let at = 0; at < bytes.length;) {
    const type = bytes.readUInt8(at + 1)
    const bits = bytes.readUInt16BE(at + 2)
    const length = bytes.readUInt32BE(at + 8)
    const flags = FLAGS.filter((_, index) => (bits & (1 << index)) !== 0).join('|') || '-'
    let rest = String(length)
    at += 12
    if (type === 0) {
      rest = length > 64 ? `<${length} bytes>` : bytes.toString('latin1', at, at + length)
      at += length
    }
    result.push(
      `${TYPES[type]} ${flags} ${bytes.readUInt32BE(at - (type === 0 ? length : 0) - 8)} ${rest}`,
    )
  }
  return result
}

/** A sink that records its calls and consumes at once. */
export class Recorder implements ChannelSink {
  readonly calls: string[] = []
  channel: Channel | undefined
  consumes = true
  bytes = 0

  onData(chunk: Buffer): ChunkAnswer | undefined {
    this.bytes += chunk.length
    const last = this.calls.at(-1)
    const text = chunk.length > 64 ? `<${chunk.length} bytes>` : chunk.toString()
    // Pieces are joined: where the bytes are cut does not matter.
    if (last?.startsWith('data ') === true) this.calls[this.calls.length - 1] = last + text
    else this.calls.push(`data ${text}`)
    if (this.consumes) this.channel?.consume(chunk.length)
    return true
  }

  onEnd(): void {
    this.calls.push('end')
  }

  onDrain(): void {
    this.calls.push('drain')
  }

  onClose(error?: Error): void {
    const code = error !== undefined && 'code' in error ? ` ${String(error.code)}` : ''
    this.calls.push(`close${code}`)
  }
}

/** The expected result of `leftovers`. */
export const NOTHING_LEFT = { streams: 0, bytes: 0, pings: 0, timers: 0, listeners: 0 }

/** A session, and its peer as bytes. */
export class Rig {
  readonly clock = new FakeClock()
  readonly transport = new SyncTransport()
  readonly session: Session
  readonly inbound: Recorder[] = []

  /** @param takes - whether streams of the peer get recorders or are emitted as events. */
  constructor(options: Partial<SessionOptions> = {}, takes: 'recorders' | 'events' = 'recorders') {
    const onChannel = (channel: Channel): void => {
      const recorder = new Recorder()
      recorder.channel = channel
      this.inbound.push(recorder)
      channel.attach(recorder)
    }
    this.session = new Session(this.transport.duplex, {
      role: 'server',
      clock: this.clock,
      ...(takes === 'recorders' && { onChannel }),
      ...options,
    })
  }

  /** Opens a channel with a recorder. */
  open(): { channel: Channel; recorder: Recorder } {
    const recorder = new Recorder()
    const channel = this.session.openChannel(recorder)
    recorder.channel = channel
    return { channel, recorder }
  }

  feed(...chunks: Buffer[]): void {
    for (const chunk of chunks) this.transport.feed(chunk)
  }

  /** Destroys the session and returns what is left of it. */
  async leftovers(): Promise<typeof NOTHING_LEFT> {
    this.session.destroy()
    await this.session.closed
    const stats = this.session.stats()
    return {
      streams: stats.inboundStreams + stats.outboundStreams + stats.unackedStreams,
      bytes: stats.queuedBytes + stats.heldBytes + stats.grownBytes,
      pings: stats.pendingPings,
      timers: this.clock.pending,
      listeners: this.transport.listenerTotal,
    }
  }

  /** Waits for queued frames to be sent; returns all frames sent since the last call. */
  async sent(): Promise<string[]> {
    await nextTurn()
    const bytes = Buffer.concat(this.transport.written)
    this.transport.written = []
    return words(bytes)
  }
}
