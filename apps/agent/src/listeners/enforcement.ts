import type { ForwardOptions } from '@proj/tunnel'
import { Gate, type GateParts, type VisitorPolicy } from '@proj/auth'

import type { AgentSettings } from '../settings.ts'
import { GatedService } from './gated-service.ts'

type ListenerSettings = Pick<
  AgentSettings['listeners'][number],
  'endpoint' | 'protocol' | 'visitors'
>

/** Options of `forward` that enforce a policy where the listener says: on the server, or here in the agent. */
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
        // Only our server writes the header, and only on streams of its proxy port: elsewhere the visitor
        // could have written it.
        visitor: record?.kind === 'http' ? 'forwarded' : { address: record?.visitorAddress },
        dial,
      }),
  }
}
