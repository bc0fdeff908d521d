/**
 * The streams of a session and their ids. Each id is used once. Ids of the peer may come slightly
 * out of order, because Go peers take an id and send its SYN in two steps. Late frames of a closed
 * stream are dropped; frames for an id that was never opened end the session.
 */
import type { Channel } from '../stream/channel.ts'
import { MuxError } from '../errors.ts'
import { AckWindow } from './ack-window.ts'
import type { ResolvedSessionOptions } from './options.ts'
import { SeenIds } from './seen-ids.ts'

/** Largest id; hashicorp/yamux leaves the last two unused as well. */
const MAX_ID = 0xffff_fffd

/** Open streams by id, and the limits on their number. */
export class StreamTable {
  readonly #options: ResolvedSessionOptions
  readonly #onFree: () => void
  readonly #live = new Map<number, Channel>()
  readonly #ackWindow: AckWindow
  readonly #peerIds = new SeenIds()
  readonly #peerFirstId: number
  #nextId: number
  #outbound = 0
  #unacked = 0
  /** Times a stream of this session had data and no credit. */
  stalls = 0
  /** Streams opened since the session began, by either side. */
  opened = 0

  /**
   * @param onFree - called when a stream closed or was acknowledged.
   * @param minRttMs - shortest round trip of the session so far; undefined: not measured.
   * @param skip - ids of ours that count as used; tests start near the end.
   */
  constructor(
    options: ResolvedSessionOptions,
    onFree: () => void,
    minRttMs: () => number | undefined,
    skip = 0,
  ) {
    const { clock, maxUnackedStreams } = options
    this.#ackWindow = new AckWindow(maxUnackedStreams, () => clock.now(), minRttMs)
    const firstId = options.role === 'client' ? 1 : 2
    this.#options = options
    this.#onFree = onFree
    this.#nextId = firstId + 2 * skip
    this.#peerFirstId = 3 - firstId
  }

  get size(): number {
    return this.#live.size
  }

  /** Open streams that we opened. */
  get outbound(): number {
    return this.#outbound
  }

  /** Open streams that the peer opened. */
  get inbound(): number {
    return this.#live.size - this.#outbound
  }

  /** Streams we opened which the peer has not acknowledged. */
  get unacked(): number {
    return this.#unacked
  }

  /** Returns a copy of the list of open streams, so that they may close meanwhile. */
  channels(): Channel[] {
    return [...this.#live.values()]
  }

  /** Resets streams whose peer took too long. */
  checkTimeouts(nowMs: number): void {
    for (const channel of this.#live.values()) channel.checkTimeouts(nowMs)
  }

  /** Sends a frame on one stream; false if there is none on which the peer may still send. */
  showLife(): boolean {
    for (const channel of this.#live.values()) if (channel.showLife()) return true
    return false
  }

  /** Returns the open stream with this id. */
  get(id: number): Channel | undefined {
    return this.#live.get(id)
  }

  /** Streams that the limits let us open now. */
  get openable(): number {
    const { maxOutboundStreams } = this.#options
    const unacked = this.#ackWindow.limit - this.#unacked
    const free = Math.min(maxOutboundStreams - this.#outbound, unacked)
    return Math.max(0, free)
  }

  /** Returns why no stream can be opened now, or undefined if one can. */
  refusal(): MuxError | undefined {
    const { maxOutboundStreams } = this.#options
    const { limit } = this.#ackWindow
    if (this.#outbound >= maxOutboundStreams) {
      const message = `${this.#outbound} streams are open, maxOutboundStreams ${maxOutboundStreams}`
      return new MuxError('MUX_STREAM_LIMIT', message)
    }
    if (this.#unacked >= limit) {
      const message = `${this.#unacked} streams wait for their ACK, the limit is ${limit} now`
      return new MuxError('MUX_ACK_BACKLOG', message)
    }
    if (this.#nextId > MAX_ID) {
      return new MuxError('MUX_STREAM_IDS_EXHAUSTED', 'all stream ids of this session are used')
    }
    return undefined
  }

  /** Returns the next id of ours. */
  takeId(): number {
    const id = this.#nextId
    this.#nextId += 2
    return id
  }

  add(channel: Channel): void {
    this.#live.set(channel.id, channel)
    this.opened += 1
    if (channel.count !== undefined) channel.count.open += 1
    if (!this.#isOwn(channel.id)) return
    this.#outbound += 1
    this.#unacked += 1
    this.#ackWindow.opened(channel, this.#unacked)
  }

  /** Removes a stream that closed. */
  remove(channel: Channel): void {
    const { id, acknowledged, count } = channel
    if (!this.#live.delete(id)) return
    if (count !== undefined) count.open -= 1
    if (this.#isOwn(id)) {
      this.#outbound -= 1
      if (!acknowledged) {
        this.#unacked -= 1
        this.#ackWindow.closed(channel)
      }
    }
    this.#onFree()
  }

  /** The peer sent ACK; false if it had done so before. */
  acknowledge(channel: Channel): boolean {
    if (!channel.acknowledge()) return false
    this.#unacked -= 1
    this.#ackWindow.acknowledged(channel)
    this.#onFree()
    return true
  }

  /** Marks an id of the peer, from its SYN, as used. */
  usePeerId(id: number): void {
    if (this.#isOwn(id)) {
      throw new MuxError(
        'MUX_STREAM_ID_INVALID',
        `peer opens stream ${id}, which is not its parity`,
      )
    }
    if (!this.#peerIds.add((id - this.#peerFirstId) / 2)) {
      throw new MuxError('MUX_STREAM_ID_INVALID', `peer opens stream ${id} a second time`)
    }
  }

  /** Checks that `id`, which is not open, was used: frames may be late, but not early. */
  checkUsed(id: number): void {
    const next = this.#isOwn(id) ? this.#nextId : this.#peerFirstId + 2 * this.#peerIds.next
    if (id >= next) {
      throw new MuxError('MUX_STREAM_ID_INVALID', `frame for stream ${id}, which was never opened`)
    }
  }

  #isOwn(id: number): boolean {
    return (id - this.#peerFirstId) % 2 !== 0
  }
}
