import type { Channel } from '@proj/mux'

import type { StreamRecord } from './stream-record.ts'
import type { Upstream, UpstreamRegistry } from './upstream-registry.ts'

/**
 * Opens a stream on the upstream whose turn it is, or on the next that takes it.
 *
 * @returns undefined when no upstream takes one.
 */
export function openUpstream(
  registry: UpstreamRegistry,
  record: StreamRecord,
): Channel | undefined {
  const tried = new Set<Upstream>()
  for (;;) {
    const upstream = registry.pick(record.endpoint, tried)
    if (upstream === undefined) return undefined
    try {
      return upstream.openStream(record)
    } catch {
      tried.add(upstream) // it is leaving or full; the session reports itself
    }
  }
}
