import type { RequestHead } from '@proj/http1'
import type { Logger } from '@proj/tunnel'

/** Requests that are looked at after the start; later ones cost nothing. */
const MAX_LOOKS = 1_000

/**
 * Tells the operator once that requests carry `X-Forwarded-Proto`, which a proxy in front adds, and that
 * it is discarded because `trusted_hops` is 0: services then see `http`, and redirect without end.
 */
export class ForwardedNote {
  readonly #logger: Logger
  #looksLeft: number

  constructor(trustedHops: number, logger: Logger) {
    this.#logger = logger
    this.#looksLeft = trustedHops === 0 ? MAX_LOOKS : 0
  }

  /** Looks at a request. */
  look(head: Pick<RequestHead, 'header'>, remoteAddress: string): void {
    if (this.#looksLeft === 0) return
    this.#looksLeft -= 1
    if (head.header('x-forwarded-proto') === undefined) return
    this.#looksLeft = 0
    this.#logger.warn(
      {
        remoteAddress,
        hint: 'set proxy.trusted_hops to 1 if this address is a proxy of yours; otherwise ignore this line',
      },
      'requests come with X-Forwarded-Proto, which is discarded because proxy.trusted_hops is 0',
    )
  }
}
