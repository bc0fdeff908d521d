/**
 * The streams of a session and their ids. Each id is used once. Ids of the peer may come slightly
 * out of order, because Go peers take an id and send its SYN in two steps. Late frames of a stream
 * that is gone are dropped; frames for an id never opened end the session.
 */
import type { Channel } from '../stream/channel.ts'
import { MuxError } from '../errors.ts'
import type { ResolvedSessionOptions } from './options.ts'
import { SeenIds } from './seen-ids.ts'

/** Two numbers are left over, as in hashicorp/yamux. */
const MAX_ID = 0xffff_fffd

/** Live streams by id, and the limits on their number. */
export class StreamTable {
  readonly #options: ResolvedSessionOptions
  readonly #onFree: () => void
  readonly #live = new Map<number, Channel>()
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
   * @param onFree - called when a stream left the table or was acknowledged.
   * @param skip - ids of ours that are spent already; tests begin near the end.
   */
  constructor(options: ResolvedSessionOptions, onFree: () => void, skip = 0) {
    const firstId = options.role === 'client' ? 1 : 2
    this.#options = options
    this.#onFree = onFree
    this.#nextId = firstId + 2 * skip
    this.#peerFirstId = 3 - firstId
  }

  /** Live streams. */
  get size(): number {
    return this.#live.size
  }

  /** Live streams that we opened. */
  get outbound(): number {
    return this.#outbound
  }

  /** Live streams that the peer opened. */
  get inbound(): number {
    return this.#live.size - this.#outbound
  }

  /** Streams we opened which the peer has not acknowledged. */
  get unacked(): number {
    return this.#unacked
  }

  /** Returns a copy of the list of live streams, safe while they close. */
  channels(): Channel[] {
    return [...this.#live.values()]
  }

  /** Resets streams whose peer took too long. */
  checkTimeouts(nowMs: number): void {
    for (const channel of this.#live.values()) channel.checkTimeouts(nowMs)
  }

  /** Returns the live stream with this id. */
  get(id: number): Channel | undefined {
    return this.#live.get(id)
  }

  /** Returns why no stream can be opened now, or undefined if one can. */
  refusal(): MuxError | undefined {
    const { maxOutboundStreams, maxUnackedStreams } = this.#options
    if (this.#outbound >= maxOutboundStreams) {
      const message = `${this.#outbound} streams are open, maxOutboundStreams ${maxOutboundStreams}`
      return new MuxError('MUX_STREAM_LIMIT', message)
    }
    if (this.#unacked >= maxUnackedStreams) {
      const message = `${this.#unacked} streams wait for their ACK, maxUnackedStreams ${maxUnackedStreams}`
      return new MuxError('MUX_ACK_BACKLOG', message)
    }
    if (this.#nextId > MAX_ID) {
      return new MuxError('MUX_STREAM_IDS_EXHAUSTED', 'all stream ids of this session are spent')
    }
    return undefined
  }

  /** Spends the next id of ours. */
  takeId(): number {
    const id = this.#nextId
    this.#nextId += 2
    return id
  }

  /** Adds a stream that `takeId` gave its id, or the peer. */
  add(channel: Channel): void {
    this.#live.set(channel.id, channel)
    this.opened += 1
    if (!this.#isOwn(channel.id)) return
    this.#outbound += 1
    this.#unacked += 1
  }

  /** Drops a stream that closed. */
  remove({ id, acknowledged }: Pick<Channel, 'id' | 'acknowledged'>): void {
    if (!this.#live.delete(id)) return
    if (this.#isOwn(id)) {
      this.#outbound -= 1
      if (!acknowledged) this.#unacked -= 1
    }
    this.#onFree()
  }

  /** Notes the peer's ACK; false when it had come before. */
  acknowledge(channel: Channel): boolean {
    if (!channel.acknowledge()) return false
    this.#unacked -= 1
    this.#onFree()
    return true
  }

  /** Spends an id of the peer, as its SYN asks. */
  admit(id: number): void {
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

  /** Checks that `id`, which is not live, was: frames may be late, but not early. */
  checkSpent(id: number): void {
    const next = this.#isOwn(id) ? this.#nextId : this.#peerFirstId + 2 * this.#peerIds.next
    if (id >= next) {
      throw new MuxError('MUX_STREAM_ID_INVALID', `frame for stream ${id}, which was never opened`)
    }
  }

  #isOwn(id: number): boolean {
    return (id - this.#peerFirstId) % 2 !== 0
  }
}
