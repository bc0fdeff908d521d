import { type Channel, isMuxError } from '@proj/mux'

import { endpointKey } from '../protocol/endpoint-key.ts'
import type { StreamRecord } from '../protocol/stream-record.ts'
import type { Upstream, UpstreamRegistry } from './upstream-registry.ts'

/** Why no stream could be opened: nobody serves the endpoint, or all who do are at a limit. */
export type NoStream = 'none' | 'full'

/**
 * Opens a stream on the upstream whose turn it is, or on the next that takes it.
 *
 * @param tenant - whose endpoint the record names.
 */
export function openUpstream(
  registry: UpstreamRegistry,
  tenant: string,
  record: StreamRecord,
): Channel | NoStream {
  const key = endpointKey(tenant, record.endpoint)
  const tried = new Set<Upstream>()
  let found: NoStream = 'none'
  for (;;) {
    const upstream = registry.pick(key, tried)
    if (upstream === undefined) return found
    try {
      return upstream.openStream(record)
    } catch (error) {
      if (!isMuxError(error)) throw error
      tried.add(upstream) // it is leaving or full; the session reports itself
      if (error.code === 'MUX_ACK_BACKLOG' || error.code === 'MUX_STREAM_LIMIT') found = 'full'
    }
  }
}
