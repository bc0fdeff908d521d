/** Keeps the first bytes of a TCP connection, its bytes over time, and how it ended. */
import { resetReasonName, type SpliceTap } from '@proj/tunnel/io'

import type { TapParts } from './tap-parts.ts'
import type { Exchange } from './exchange.ts'

/** The tap of a TCP connection. */
export class TcpTap implements SpliceTap {
  readonly #parts: TapParts
  readonly #exchange: Exchange | undefined

  constructor(parts: TapParts) {
    this.#parts = parts
    const exchange = parts.begin('tcp')
    this.#exchange = exchange
    if (exchange === undefined) return
    exchange.visitor = parts.visitor
    exchange.requestId = parts.requestId
    exchange.tunnelMs = parts.rttMs()
  }

  onConnected(): void {
    if (this.#exchange !== undefined) this.#exchange.times.connected = performance.now()
  }

  toSocket(chunk: Buffer): void {
    const exchange = this.#exchange
    if (exchange === undefined || exchange.isGone) return
    exchange.bytesIn += chunk.length
    exchange.countRate('in', chunk.length)
    exchange.requestBody.add(chunk, (more) => this.#parts.store.charge(exchange, more))
    exchange.times.requestEnd ??= performance.now()
    this.#parts.store.touch(exchange)
  }

  fromSocket(chunk: Buffer): void {
    const exchange = this.#exchange
    if (exchange === undefined || exchange.isGone) return
    if (exchange.times.responseStart === undefined) this.#parts.onAnswer(exchange)
    exchange.times.responseStart ??= performance.now()
    exchange.bytesOut += chunk.length
    exchange.countRate('out', chunk.length)
    exchange.responseBody.add(chunk, (more) => this.#parts.store.charge(exchange, more))
    this.#parts.store.touch(exchange)
  }

  onVisitorEnd(): void {
    this.#exchange?.noteEnd('visitor')
  }

  onServiceEnd(): void {
    this.#exchange?.noteEnd('service')
  }

  onClose(reason: number | undefined, error: Error | undefined): void {
    const code = reason === undefined ? undefined : resetReasonName(reason)
    const exchange = this.#exchange
    if (code !== undefined && exchange?.times.connected === undefined) {
      this.#parts.onFailed(code)
    }
    if (exchange === undefined) return
    if (code !== undefined) exchange.code = code
    this.#parts.finish(exchange, error === undefined ? 'done' : 'failed')
  }
}
