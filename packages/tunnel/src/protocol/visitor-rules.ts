import { TunnelError } from '../errors.ts'

/**
 * Rules for the visitors of an endpoint, as the server of this process applies them. The tunnel carries
 * them, holds them as long as a session registers them, and asks them for bare connections; what is in
 * them is between the two programs.
 */
export interface VisitorRules {
  /** Equal rules have equal names. */
  readonly id: string
  /** Whether a bare connection from this address may pass. */
  admitsConnection(address: string | undefined): boolean
}

/**
 * Understands the rules an agent sent.
 *
 * @throws {Error} when they cannot be applied as they are; its message goes to the agent.
 */
export type ReadVisitorRules<Rules extends VisitorRules = VisitorRules> = (
  rules: object,
  kind: 'http' | 'tcp',
) => Rules

/** Longest rules, bytes of JSON: they fit a control message with its other fields. */
export const MAX_VISITOR_RULES_BYTES = 12_288

/**
 * Checks rules before they are sent.
 *
 * @throws {TunnelError} TUNNEL_VISITORS_INVALID when they are too long.
 */
export function checkVisitorRules(rules: object): void {
  const bytes = Buffer.byteLength(JSON.stringify(rules))
  if (bytes <= MAX_VISITOR_RULES_BYTES) return
  const problem = `rules for visitors of ${bytes} bytes exceed ${MAX_VISITOR_RULES_BYTES}`
  throw new TunnelError('TUNNEL_VISITORS_INVALID', problem)
}
