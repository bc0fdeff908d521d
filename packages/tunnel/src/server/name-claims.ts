import type { NameClaim, NameConflict } from './claim-name.ts'
import type { Rejection } from '../protocol/control-message.ts'
import type { Logger } from '../logger.ts'

/** The right of one session to serve a name. */
export interface NameLease {
  /** Rises whenever the name goes to another identity; see `UpstreamRegistry.epoch`. */
  readonly epoch: number
  /** Called once, when the session does not serve the name any more. */
  release(): void
}

/** Why a name cannot be had now: what decides about names cannot be asked. */
export type NameRejection = Rejection<'unavailable'>

/**
 * Decides about names beyond this process, as a cluster does. It is asked for each registration that this
 * process would accept, and before the agent gets its answer.
 */
export interface NameClaims {
  /**
   * Takes a name for a session. A session may take a name that it has; its earlier lease is released afterwards.
   *
   * @param signal - aborted: the agent does not want it any more. A lease that is given all the same is released.
   */
  take(claim: NameClaim, signal: AbortSignal): Promise<NameLease | NameConflict | NameRejection>
}

/** Delay to advise after a failure of the server itself, ms. */
const RETRY_MS = 10_000

/** The answer of `take`; a failure is logged and rejects the name for now. */
export async function takeName(
  claims: NameClaims,
  claim: NameClaim,
  signal: AbortSignal,
  logger: Logger,
): Promise<NameLease | NameConflict | NameRejection> {
  try {
    return await claims.take(claim, signal)
  } catch (error) {
    const { tenant, name: endpoint } = claim.endpoint
    logger.error({ err: error, tenant, endpoint }, 'a name cannot be claimed')
    const message = 'this server cannot claim names now'
    return { code: 'unavailable', message, retryAfterMs: RETRY_MS }
  }
}
