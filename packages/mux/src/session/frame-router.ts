/**
 * Passes each frame of the peer to its stream or to the session. Every rule about what a peer may send
 * is here or in the method called; a violation throws, which ends the session. Frames that carry
 * nothing are legal, but their rate is limited.
 */
import { Channel } from '../stream/channel.ts'
import { MuxError } from '../errors.ts'
import type { FrameHandler } from '../frame/frame-reader.ts'
import { Flag, FrameType } from '../frame/frame.ts'
import type { StreamHost } from '../stream/stream-host.ts'
import type { ResolvedSessionOptions } from './options.ts'
import type { BulkWatch } from './bulk-watch.ts'
import type { Pings } from './pings.ts'
import type { StreamTable } from './stream-table.ts'

/** What the router works on, and each stream that it opens. */
export interface RouterParts extends StreamHost {
  readonly options: ResolvedSessionOptions
  readonly pings: Pings
  readonly table: StreamTable
  readonly bulk: BulkWatch
}

/** What the session does with frames that are not for an open stream. */
export interface RouterOwner {
  /** Whether the session takes new streams of the peer; otherwise they are reset. */
  accepts(): boolean
  /** The peer opened a stream. */
  opened(channel: Channel): void
  /** The peer sent GoAway. */
  wentAway(code: number): void
}

/** Handles the frames of one session. */
export class FrameRouter implements FrameHandler {
  readonly #parts: RouterParts
  readonly #owner: RouterOwner
  readonly #idleFrames: RateLimit
  readonly #pings: RateLimit
  #receiving: Channel | undefined
  #endsStream = false
  framesReceived = 0

  constructor(parts: RouterParts, owner: RouterOwner) {
    this.#parts = parts
    this.#owner = owner
    this.#idleFrames = new RateLimit(parts.options.maxIdleFramesPerSecond)
    this.#pings = new RateLimit(parts.options.maxPingsPerSecond)
  }

  onHeader(type: number, flags: number, streamId: number, length: number): void {
    this.framesReceived += 1
    if ((flags & ~Flag.all) !== 0) {
      throw new MuxError('MUX_FRAME_INVALID', `unknown flags 0x${flags.toString(16)}`)
    }
    if (type !== FrameType.data && type !== FrameType.windowUpdate) {
      this.#sessionFrame(type, flags, streamId, length)
      return
    }
    if (streamId === 0) throw new MuxError('MUX_FRAME_INVALID', `type ${type} on stream 0`)
    const channel = (flags & Flag.syn) === 0 ? this.#find(streamId) : this.#open(streamId, flags)
    if (channel === undefined) {
      if (length === 0 || (flags & (Flag.syn | Flag.rst)) !== 0) this.#countIdle()
      return
    }
    if ((flags & Flag.rst) !== 0) {
      this.#reset(channel, type === FrameType.windowUpdate ? length : 0)
      return
    }
    let isIdle = !(length > 0 || (flags & (Flag.syn | Flag.fin)) !== 0)
    if ((flags & Flag.ack) !== 0 && this.#parts.table.acknowledge(channel)) isIdle = false
    if (isIdle) this.#countIdle()
    if (type === FrameType.windowUpdate) channel.receiveCredit(length)
    else if (length > 0) this.#expectPayload(channel, length, flags)
    if ((flags & Flag.fin) !== 0 && this.#receiving === undefined) channel.receiveEnd()
  }

  onPayload(piece: Buffer): void {
    this.#receiving?.receive(piece)
  }

  onPayloadEnd(): void {
    const channel = this.#receiving
    this.#receiving = undefined
    if (this.#endsStream) channel?.receiveEnd()
  }

  #sessionFrame(type: number, flags: number, streamId: number, length: number): void {
    if (streamId !== 0) throw new MuxError('MUX_FRAME_INVALID', `type ${type} on a stream`)
    if (type === FrameType.goAway) {
      this.#owner.wentAway(length)
    } else if (type !== FrameType.ping) {
      throw new MuxError('MUX_FRAME_INVALID', `unknown frame type ${type}`)
    } else if (flags === Flag.syn) {
      if (!this.#pings.allow(this.#parts.options.clock.now())) {
        throw new MuxError('MUX_PING_FLOOD', 'peer pings more often than maxPingsPerSecond')
      }
      this.#parts.pings.reply(length)
    } else if (flags === Flag.ack) {
      if (!this.#parts.pings.receiveReply(length)) this.#countIdle()
    } else {
      throw new MuxError('MUX_FRAME_INVALID', `ping with flags 0x${flags.toString(16)}`)
    }
  }

  #find(streamId: number): Channel | undefined {
    const channel = this.#parts.table.get(streamId)
    if (channel === undefined) this.#parts.table.checkUsed(streamId)
    return channel
  }

  #open(streamId: number, flags: number): Channel | undefined {
    const { options, output, table } = this.#parts
    if ((flags & Flag.ack) !== 0) {
      throw new MuxError('MUX_FRAME_INVALID', 'SYN and ACK in one frame')
    }
    table.usePeerId(streamId)
    if ((flags & Flag.rst) !== 0) return undefined
    const isAccepting = this.#owner.accepts()
    if (!isAccepting || table.inbound >= options.maxInboundStreams) {
      const reason = isAccepting ? 0 : options.refusalReason
      output.control(FrameType.windowUpdate, Flag.rst, streamId, reason)
      return undefined
    }
    const channel = new Channel(this.#parts, streamId, false)
    table.add(channel)
    this.#owner.opened(channel)
    return channel
  }

  #reset(channel: Channel, reason: number): void {
    this.#countIdle()
    const message = `stream ${channel.id} was reset by the peer with reason ${reason}`
    channel.close(new MuxError('MUX_STREAM_RESET', message, { reason }))
  }

  #expectPayload(channel: Channel, length: number, flags: number): void {
    if (channel.readableEnded) {
      const message = `stream ${channel.id}: ${length} bytes after its FIN`
      channel.abort(new MuxError('MUX_STREAM_VIOLATED', message))
      return
    }
    channel.receiveHeader(length)
    this.#receiving = channel
    this.#endsStream = (flags & Flag.fin) !== 0
  }

  #countIdle(): void {
    if (this.#idleFrames.allow(this.#parts.options.clock.now())) return
    throw new MuxError('MUX_CONTROL_FLOOD', 'peer sends too many frames that carry nothing')
  }
}

/** Counts events per second of a monotonic clock; cheap enough to call for each frame. */
class RateLimit {
  readonly #maxPerSecond: number
  #windowStartMs = -Infinity
  #count = 0

  constructor(maxPerSecond: number) {
    this.#maxPerSecond = maxPerSecond
  }

  /** Counts one event at `nowMs`; false if it exceeds the limit of the current second. */
  allow(nowMs: number): boolean {
    if (nowMs - this.#windowStartMs >= 1000) {
      this.#windowStartMs = nowMs
      this.#count = 0
    }
    this.#count += 1
    return this.#count <= this.#maxPerSecond
  }
}
