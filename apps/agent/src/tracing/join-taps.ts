import type { ForwardOptions } from '@proj/tunnel'
import type { SpliceTap } from '@proj/tunnel/io'

type MakeTap = NonNullable<ForwardOptions['tap']>

/** Makes one option `tap` of two, each of which may be missing. */
export function joinTaps(
  one: MakeTap | undefined,
  other: MakeTap | undefined,
): MakeTap | undefined {
  if (one === undefined || other === undefined) return one ?? other
  return (...about) => {
    const first = one(...about)
    const second = other(...about)
    if (first === undefined || second === undefined) return first ?? second
    return new JoinedTap(first, second)
  }
}

/** Two taps of one stream. */
class JoinedTap implements SpliceTap {
  readonly #first: SpliceTap
  readonly #second: SpliceTap

  constructor(first: SpliceTap, second: SpliceTap) {
    this.#first = first
    this.#second = second
  }

  onConnected(): void {
    this.#first.onConnected()
    this.#second.onConnected()
  }

  toSocket(chunk: Buffer): void {
    this.#first.toSocket(chunk)
    this.#second.toSocket(chunk)
  }

  fromSocket(chunk: Buffer): void {
    this.#first.fromSocket(chunk)
    this.#second.fromSocket(chunk)
  }

  onVisitorEnd(): void {
    this.#first.onVisitorEnd()
    this.#second.onVisitorEnd()
  }

  onServiceEnd(): void {
    this.#first.onServiceEnd()
    this.#second.onServiceEnd()
  }

  onClose(reason: number | undefined, error: Error | undefined): void {
    this.#first.onClose(reason, error)
    this.#second.onClose(reason, error)
  }
}
