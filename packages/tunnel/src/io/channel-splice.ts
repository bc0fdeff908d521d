import type { Channel, ChannelSink, ChunkAnswer, MuxError } from '@proj/mux'

import { RESET_REASONS, resetReasonOf } from '../protocol/reset-reason.ts'
import type { OutcomeWatch } from '../protocol/stream-outcome.ts'
import { type Bandwidths, paced } from './bandwidth.ts'
import { whenProcessed } from './ordering-pings.ts'
import { RequestTraffic } from './request-traffic.ts'
import { resetBehindAnswer } from './reset-behind-answer.ts'
import { sentOn } from './socket-splice.ts'

/** Pieces up to this length are copied rather than flushed: a copy is cheaper than a write. */
const COPIED_BYTES = 4096

/**
 * Joins two channels: what arrives on one leaves on the other, FIN as FIN, and a reset with its
 * reason. Bytes are given back to a channel's window only when the other had room for them, so the
 * slower side's window bounds what waits here.
 */
export class ChannelSplice {
  readonly #forward: Relay
  readonly #back: Relay
  /** The first channel's sink, for bytes of it that were read already. */
  readonly first: ChannelSink
  /** The second channel's sink, for the same. */
  readonly second: ChannelSink

  /**
   * Takes both channels over.
   *
   * @param first - the consumer's.
   * @param second - the agent's.
   * @param watch - reports the outcome of the agent's stream.
   * @param onClose - called once, when both are done.
   * @param carriesRequests - the agent's stream is one to an HTTP service. When it has ended, the consumer learns what
   *   became of a request that crossed the end: `serviceClosed` where no byte of it was sent to the agent,
   *   `serviceReset` where the agent has taken it and does not say otherwise. Default: false, streams may be half-open.
   * @param bandwidths - of what comes from each of them. Default: no limits.
   */
  constructor(
    first: Channel,
    second: Channel,
    watch: OutcomeWatch,
    onClose?: () => void,
    carriesRequests = false,
    bandwidths: Bandwidths = {},
  ) {
    let open = 2
    const closed = (): void => {
      open -= 1
      if (open === 0) onClose?.()
    }
    this.#forward = new Relay(first, second, RESET_REASONS.consumerGone, closed)
    this.#back = new Relay(second, first, RESET_REASONS.upstreamLost, closed, watch)
    this.#forward.opposite = this.#back
    this.#back.opposite = this.#forward
    if (carriesRequests) this.#back.answers = new RequestTraffic()
    this.first = paced(this.#forward, bandwidths.upload)
    this.second = paced(this.#back, bandwidths.download)
    first.attach(this.first)
    second.attach(this.second)
  }

  /** Whether an HTTP service has switched protocols: there are no more requests. */
  get hasSwitched(): boolean {
    return this.#back.answers?.hasSwitched === true
  }

  /** Bytes from the first channel to the second. */
  get bytesForward(): number {
    return this.#forward.bytes
  }

  /** Bytes from the second channel to the first. */
  get bytesBack(): number {
    return this.#back.bytes
  }
}

class Relay implements ChannelSink {
  bytes = 0
  opposite: Relay | undefined
  /** Of the relay from an HTTP service. */
  answers: RequestTraffic | undefined
  /** The target has ended, and was sent no part of what comes now. */
  isRefused = false
  readonly #source: Channel
  readonly #target: Channel
  /** Sent to the target when the source's session ends, which has no reset reason. */
  readonly #lostReason: number
  readonly #closed: () => void
  readonly #watch: OutcomeWatch | undefined
  #owed = 0
  #isGathering = false

  constructor(
    source: Channel,
    target: Channel,
    lostReason: number,
    closed: () => void,
    watch?: OutcomeWatch,
  ) {
    this.#source = source
    this.#target = target
    this.#lostReason = lostReason
    this.#closed = closed
    this.#watch = watch
  }

  /** Whether the target takes nothing any more. */
  get isGone(): boolean {
    return this.#target.closed
  }

  onData(chunk: Buffer): ChunkAnswer {
    if (this.isRefused) {
      // Behind the rest of an answer to what the agent took.
      resetBehindAnswer(this.#source, RESET_REASONS.serviceClosed)
      return true
    }
    if (this.bytes === 0) this.#watch?.answered()
    this.bytes += chunk.length
    this.answers?.received(chunk, this.opposite?.bytes ?? 0)
    const isSmall = chunk.length <= COPIED_BYTES
    const hasRoom = isSmall ? this.#target.writeCopy(chunk) : this.#target.write(chunk)
    if (hasRoom) this.#source.consume(chunk.length)
    else this.#owed += chunk.length
    if (isSmall || this.#isGathering) return true
    this.#isGathering = true
    return this.#source.session.afterChunk(this.#send)
  }

  /** Sends the pieces of a chunk on: one frame for all of this stream in it. */
  readonly #send = (): ChunkAnswer => {
    this.#isGathering = false
    return sentOn(this.#target)
  }

  onEnd(): void {
    this.#watch?.answered()
    this.#target.end()
    const { answers, opposite } = this
    if (answers === undefined || answers.hasSwitched || opposite === undefined) return
    if (answers.isIdle(opposite.bytes)) opposite.isRefused = true
    else void whenProcessed(this.#source.session).then(this.#unanswered)
  }

  /** The agent had time to say that it did not take a request: it took it, and no answer follows. */
  readonly #unanswered = (): void => {
    if (!this.#target.closed) resetBehindAnswer(this.#target, RESET_REASONS.serviceReset)
  }

  onDrain(): void {
    this.opposite?.settle()
  }

  settle(): void {
    const owed = this.#owed
    this.#owed = 0
    if (owed > 0) this.#source.consume(owed)
  }

  onClose(error?: MuxError): void {
    this.#watch?.closed(error)
    if (error !== undefined && !this.#target.closed) {
      resetBehindAnswer(this.#target, resetReasonOf(error, this.#lostReason))
    }
    this.#closed()
  }
}
