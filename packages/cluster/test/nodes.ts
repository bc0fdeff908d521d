// Nodes and facts of tests.
import type { ClusterNode, RouteFacts } from '../src/model.ts'

/** A node; its boot is its first unless one is given. */
export function nodeOf(id: string, boot = `${id}-1`): ClusterNode {
  return {
    id,
    boot,
    address: `${id}.example:8003`,
    fingerprint: 'ab'.repeat(32),
    version: '1.0.0',
    isLeaving: false,
    load: { sessions: 0, streams: 0 },
  }
}

/** What an agent that asked for nothing makes of an endpoint. */
export const PLAIN = {
  kind: 'http',
  sessions: 1,
  reuse: undefined,
  strictness: undefined,
  limits: undefined,
  agents: undefined,
  rules: undefined,
  isDown: false,
} as const

/** The same of an identity. */
export function factsOf(identity: string, facts: Partial<RouteFacts> = {}): RouteFacts {
  return { ...PLAIN, identity, exclusive: false, peer: undefined, ...facts }
}

/** An endpoint without tenant. */
export function named(name: string): { tenant: string; name: string } {
  return { tenant: '', name }
}
