import type { Duplex } from 'node:stream'

import type { ForwardOptions, StreamRecord } from '@proj/tunnel'
import { Gate, type GateParts, type VisitorPolicy } from '@proj/auth'

import type { AgentSettings } from '../settings.ts'
import { GatedService } from './gated-service.ts'

type ListenerSettings = Pick<
  AgentSettings['listeners'][number],
  'endpoint' | 'protocol' | 'visitors'
>

/** Makes what takes the place of the service for a stream. */
export type ServiceSubstitute = (record: StreamRecord | undefined) => Duplex

/**
 * Options of `forward` that enforce a policy where the listener says: on the server, or here in the agent.
 *
 * @param inside - what takes the place of the service; undefined: the service itself.
 */
export function enforcement(
  { endpoint, protocol, visitors }: ListenerSettings,
  policy: VisitorPolicy | undefined,
  parts: GateParts,
  inside: ServiceSubstitute | undefined,
): Pick<ForwardOptions, 'visitors' | 'gate'> {
  const ungated = inside === undefined ? {} : { gate: inside }
  if (policy === undefined) return ungated
  if (visitors.enforce === 'server') return { visitors: policy, ...ungated }
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
        dial: inside === undefined ? dial : async () => inside(record),
      }),
  }
}
