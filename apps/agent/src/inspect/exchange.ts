/** One exchange of the inspector: a request with its answer, a WebSocket, an event stream, or a TCP connection. */
import type { ExchangeKind, MessageInfo } from '@proj/pages'
import type { ResetReason } from '@proj/tunnel/io'

import { KeptBytes } from './kept-bytes.ts'

/** Bytes per second of a direction are kept for this long, s. */
export const RATE_SECONDS = 300

/** Messages that are kept of one connection: the last ones. */
export const MAX_MESSAGES = 1_000

/** Bytes of messages that are kept of one connection. */
export const MAX_MESSAGE_BYTES = 1024 * 1024

/** Cost of a message beside its bytes. */
const MESSAGE_BYTES = 100

/** A head of a request. */
export interface RequestParts {
  readonly method: string
  readonly target: string
  /** Name, value, name, value. */
  readonly headers: readonly string[]
}

/** A head of an answer. */
export interface ResponseParts {
  readonly status: number
  readonly reason: string
  readonly headers: readonly string[]
}

/** A message of a WebSocket, or an event. */
export interface KeptMessage extends Pick<MessageInfo, 'from' | 'atMs' | 'type' | 'bytes'> {
  /** The first bytes, unmasked. */
  readonly data: Buffer
  /** Compressed with permessage-deflate. */
  readonly isCompressed: boolean
}

/** Times of an exchange on the clock of `performance`, ms. */
export interface ExchangeTimes {
  started: number
  requestEnd?: number
  connected?: number
  responseStart?: number
  ended?: number
}

/** One exchange, as it is captured. */
export class Exchange {
  readonly id: number
  readonly endpoint: string
  /** Ms since the epoch. */
  startedAt: number
  readonly times: ExchangeTimes
  readonly requestBody: KeptBytes
  readonly responseBody: KeptBytes
  kind: ExchangeKind
  /** Grows with each change of any exchange. */
  seq = 0
  state: 'open' | 'done' | 'failed' = 'open'
  request: RequestParts | undefined
  response: ResponseParts | undefined
  visitor: string | undefined
  requestId: string | undefined
  code: ResetReason | undefined
  tunnelMs: number | undefined
  bytesIn = 0
  bytesOut = 0
  givenUp: string | undefined
  /** Why the agent ended it. */
  stopped: string | undefined
  pinned = false
  replayOf: number | undefined
  imported = false
  afterDown = false
  readonly ends: { who: string; atMs: number }[] = []
  readonly messages: KeptMessage[] = []
  messageCount = 0
  /** Bytes that it is charged for. */
  charged = 0
  /** Whether it is no longer in the store. */
  isGone = false
  #messageBytes = 0
  #rates: { readonly in: Uint32Array; readonly out: Uint32Array } | undefined

  constructor(id: number, kind: ExchangeKind, endpoint: string, bodyBytes: number) {
    this.id = id
    this.kind = kind
    this.endpoint = endpoint
    this.startedAt = Date.now()
    this.times = { started: performance.now() }
    this.requestBody = new KeptBytes(bodyBytes)
    this.responseBody = new KeptBytes(bodyBytes)
  }

  /** Ms since it began. */
  get ageMs(): number {
    return performance.now() - this.times.started
  }

  /** Notes who ended a side. */
  noteEnd(who: string): void {
    if (this.ends.length < 8) this.ends.push({ who, atMs: this.ageMs })
  }

  /** Keeps a message, and drops the oldest ones beyond the limits. */
  addMessage(message: KeptMessage): void {
    this.messageCount += 1
    this.messages.push(message)
    this.#messageBytes += message.data.length + MESSAGE_BYTES
    while (this.messages.length > MAX_MESSAGES || this.#messageBytes > MAX_MESSAGE_BYTES) {
      const [oldest] = this.messages.splice(0, 1)
      if (oldest === undefined) return
      this.#messageBytes -= oldest.data.length + MESSAGE_BYTES
    }
  }

  /** Bytes of the kept messages. */
  get messageBytes(): number {
    return this.#messageBytes
  }

  /** Counts bytes of a TCP connection in the second they came. */
  countRate(side: 'in' | 'out', bytes: number): void {
    this.#rates ??= { in: new Uint32Array(RATE_SECONDS), out: new Uint32Array(RATE_SECONDS) }
    const second = Math.floor(this.ageMs / 1000)
    const rates = this.#rates[side]
    // A longer connection keeps its beginning; the rest is in the counts.
    if (second < RATE_SECONDS) rates[second] = (rates[second] ?? 0) + bytes
  }

  /** Bytes per second since it began, as far as they are kept. */
  rates(): { in: number[]; out: number[] } | undefined {
    if (this.#rates === undefined) return undefined
    const end = this.times.ended ?? performance.now()
    const seconds = Math.min(RATE_SECONDS, Math.floor((end - this.times.started) / 1000) + 1)
    return {
      in: [...this.#rates.in.subarray(0, seconds)],
      out: [...this.#rates.out.subarray(0, seconds)],
    }
  }

  /** Overwrites what it kept. */
  clear(): void {
    this.isGone = true
    this.requestBody.clear()
    this.responseBody.clear()
    for (const { data } of this.messages) data.fill(0)
    this.messages.length = 0
  }
}
