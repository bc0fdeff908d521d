import type { ForwardOptions } from '@proj/tunnel'
import { Gate, GatedService, type GateParts, type VisitorPolicy } from '@proj/auth'

import type { AgentSettings } from '../settings.ts'

type ListenerSettings = Pick<
  AgentSettings['listeners'][number],
  'endpoint' | 'protocol' | 'visitors'
>

/** Has a policy enforced where its owner says: the server is told, or the streams are judged here. */
export function enforcement(
  { endpoint, protocol, visitors }: ListenerSettings,
  policy: VisitorPolicy | undefined,
  parts: GateParts,
): Pick<ForwardOptions, 'visitors' | 'gate'> {
  if (policy === undefined) return {}
  if (visitors.enforce === 'server') return { visitors: policy }
  const gate = new Gate(policy, parts)
  if (protocol === 'tcp') return { gate: (record) => gate.admitsConnection(record?.visitorAddress) }
  return {
    gate: (record, dial) =>
      new GatedService({
        gates: [gate],
        endpoint,
        // Only a server of ours says who asks, and only on streams of its edge: elsewhere whoever is at
        // the other end writes the header.
        visitor: record?.kind === 'http' ? 'forwarded' : { address: record?.visitorAddress },
        dial,
      }),
  }
}
