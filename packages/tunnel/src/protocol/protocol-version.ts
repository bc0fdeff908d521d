import type { IncomingHttpHeaders } from 'node:http'

/** Header that negotiates our protocol in both directions; never a subprotocol. */
export const PROTOCOL_HEADER = 'adit-protocol'

/** The version this package speaks. */
export const PROTOCOL_VERSION = '1'

/**
 * Whether the peer offered (or echoed) the protocol version this package speaks. An offer may list
 * several versions, separated by commas; those we do not know are passed over.
 */
export function speaksAdit(headers: IncomingHttpHeaders): boolean {
  const offered = headers[PROTOCOL_HEADER]
  return (
    typeof offered === 'string' && offered.split(',').some((one) => one.trim() === PROTOCOL_VERSION)
  )
}

/** The header that offers or echoes the protocol; none where it is not spoken. */
export function protocolHeader(adit: boolean): Readonly<Record<string, string>> {
  return adit ? { [PROTOCOL_HEADER]: PROTOCOL_VERSION } : {}
}
