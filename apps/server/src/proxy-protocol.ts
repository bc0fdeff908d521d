/**
 * A port behind load balancers that send the PROXY protocol. There is no mode in which a header is used when one
 * comes: visitors could write it themselves.
 */
import { addressBlock, list, setting } from '@proj/config'
import type { AddressBlock } from '@proj/config/address'
import type { ProxyProtocolOptions } from '@proj/portcheck'
import type { Logger } from '@proj/tunnel'
import { RateBound } from '@proj/program-kit'

/** At most one warning per interval and port, ms; the others are counted. */
const WARN_INTERVAL_MS = 10_000

/** The load balancers of a port. */
export const PROXY_PROTOCOL_FROM = setting(list(addressBlock()), {
  default: [],
  description:
    'Load balancers that send the PROXY protocol (v1 or v2), as addresses and blocks: each connection must then come from one of them and begin with a header, and allow and deny are about the visitors that it names. Unset: the port does not know the protocol.',
})

/** Tells the operator of connections that begin with a header of the PROXY protocol at a port that does not take it. */
export class ProxyHeaderNote {
  readonly #warnings = new RateBound(WARN_INTERVAL_MS)
  readonly #listener: string
  readonly #logger: Logger

  constructor(listener: string, logger: Logger) {
    this.#listener = listener
    this.#logger = logger
  }

  /** Warns, at most once in ten seconds. */
  found(remoteAddress: string): void {
    const unsaid = this.#warnings.take(performance.now())
    if (unsaid === undefined) return
    const line = { listener: this.#listener, remoteAddress, ...(unsaid > 0 && { unsaid }) }
    const hint =
      'set proxy_protocol_from of this listener if the address is a load balancer of yours; otherwise ignore this line'
    this.#logger.warn(
      { ...line, hint },
      'connection rejected: it begins with a PROXY protocol header',
    )
  }
}

/**
 * Says how a port takes the connections of its load balancers.
 *
 * @param from - undefined or empty: there are none.
 */
export function proxyProtocol(
  from: readonly AddressBlock[] | undefined,
  { listener, logger }: { readonly listener: string; readonly logger: Logger },
): ProxyProtocolOptions | undefined {
  if (from === undefined || from.length === 0) return undefined
  const warnings = new RateBound(WARN_INTERVAL_MS)
  return {
    from,
    onRejected: (why, remoteAddress) => {
      const unsaid = warnings.take(performance.now())
      const line = { listener, remoteAddress, why }
      if (unsaid === undefined) logger.debug(line, 'connection rejected: no PROXY protocol')
      else {
        const hint = 'see proxy_protocol_from of this listener'
        logger.warn(
          { ...line, ...(unsaid > 0 && { unsaid }), hint },
          'connection rejected: no PROXY protocol',
        )
      }
    },
  }
}
