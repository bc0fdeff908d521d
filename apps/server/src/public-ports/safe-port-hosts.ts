import { EXIT, UserError } from '@proj/program-kit'
import { isLoopback } from '@proj/config/address'

import { hintFor } from '../auth/safe-binds.ts'

/** What decides where public ports may be opened. */
export interface PortHosts {
  /** Hosts an operator chose; undefined: none. */
  readonly hosts: readonly string[] | undefined
  /** Whether an access list says who may connect. */
  readonly hasAllowList: boolean
  /** Whether agents are asked who they are: it is they who are offered to visitors. */
  readonly agentsAreKnown: boolean
  /** Whether the operator wants ports open to whoever comes. */
  readonly insecureOpen: boolean
}

/**
 * Decides on which hosts public ports are opened. Where anybody could offer anything on them, that is
 * loopback, as for the other ports.
 *
 * @returns undefined: where the visitors of the proxy port come, too.
 * @throws {UserError} exit code 2 for a chosen host that others reach and nothing protects.
 */
export function safePortHosts({
  hosts,
  hasAllowList,
  agentsAreKnown,
  insecureOpen,
}: PortHosts): readonly string[] | undefined {
  if (hasAllowList || agentsAreKnown || insecureOpen) return hosts
  const reachable = hosts?.find((host) => !isLoopback(host))
  if (reachable === undefined) return hosts ?? ['localhost']
  throw new UserError(
    `public_ports.bind_host: strangers reach ${reachable}, and no agent is asked for a token`,
    { exitCode: EXIT.usage, hint: hintFor('upstream') },
  )
}
