import type { RequestHead } from '@proj/http1'
import type { Logger } from '@proj/tunnel'

/** Requests that are looked at after the start; later ones cost nothing. */
const MAX_LOOKS = 1_000

/**
 * Tells the operator once that requests carry `X-Forwarded-Proto`, which a proxy in front adds, and that
 * it is discarded because no proxy is trusted: services then see `http`, and redirect without end.
 */
export class ForwardedNote {
  readonly #logger: Logger
  #looksLeft: number

  /** @param isNoneTrusted - whether no proxy in front is trusted; otherwise it says nothing. */
  constructor(isNoneTrusted: boolean, logger: Logger) {
    this.#logger = logger
    this.#looksLeft = isNoneTrusted ? MAX_LOOKS : 0
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
        hint: 'add this address to proxy.trusted_proxies if it is a proxy of yours; otherwise ignore this line',
      },
      'requests come with X-Forwarded-Proto, which is discarded because proxy.trusted_proxies is empty',
    )
  }
}
