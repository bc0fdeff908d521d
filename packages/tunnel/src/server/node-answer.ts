import type { Channel, MuxError } from '@proj/mux'

import { WaitingSink } from '../io/waiting-sink.ts'
import { RESET_REASONS, type ResetReason, resetReasonName } from '../protocol/reset-reason.ts'

/** What a node sends first on a stream of kind `tcp`, when an agent has taken the stream. */
export const TAKEN: Buffer = Buffer.of(1)

/**
 * The first sink of a stream to another node: waits for TAKEN. Until then nothing of the visitor is sent, so
 * that it can go to another node; what follows waits for `deliver`.
 */
export class NodeAnswer extends WaitingSink {
  #channel: Channel | undefined
  #isTaken = false
  #settle: (refused: ResetReason | undefined) => void = () => {}
  readonly #answered: Promise<ResetReason | undefined> = new Promise((resolve) => {
    this.#settle = resolve
  })

  constructor() {
    super(() => {})
  }

  /** Resolves when an agent has taken the stream, or with the reason why none did. */
  async untilTaken(channel: Channel, signal: AbortSignal): Promise<ResetReason | undefined> {
    this.#channel = channel
    const giveUp = (): void => channel.reset(RESET_REASONS.consumerGone)
    signal.addEventListener('abort', giveUp, { once: true })
    if (signal.aborted) giveUp()
    const refused = await this.#answered
    signal.removeEventListener('abort', giveUp)
    return refused
  }

  /** @inheritdoc */
  override onData(chunk: Buffer): false {
    if (this.#isTaken) return super.onData(chunk)
    this.#isTaken = true
    this.#channel?.consume(TAKEN.length)
    if (chunk.length > TAKEN.length) super.onData(chunk.subarray(TAKEN.length))
    this.#settle(undefined)
    return false
  }

  /** @inheritdoc */
  override onEnd(): void {
    super.onEnd()
    if (!this.#isTaken) this.#channel?.reset(RESET_REASONS.protocolError)
  }

  /** @inheritdoc */
  override onClose(error?: MuxError): void {
    super.onClose(error)
    const isReset = error?.code === 'MUX_STREAM_RESET'
    this.#settle(isReset ? resetReasonName(error.reason) : 'upstreamLost')
  }
}
