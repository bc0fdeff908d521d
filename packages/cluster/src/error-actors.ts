/**
 * Who should act on each code. For docs/reference/errors: no program reads it, so it is in no bundle.
 */
import type { ClusterErrorCode } from './errors.ts'

/** Who runs the servers and their database, or who writes the program. */
type Actor = 'operator' | 'developer'

export const CLUSTER_ACTORS: Readonly<Record<ClusterErrorCode, Actor>> = {
  CLUSTER_CLOSED: 'developer',
  CLUSTER_DATABASE_BUSY: 'operator',
  CLUSTER_DATABASE_FAILED: 'operator',
  CLUSTER_DATABASE_READ_ONLY: 'operator',
  CLUSTER_DATABASE_REFUSED: 'operator',
  CLUSTER_DATABASE_TOO_OLD: 'operator',
  CLUSTER_DATABASE_UNREACHABLE: 'operator',
  CLUSTER_NODE_ID_TAKEN: 'operator',
  CLUSTER_NODE_REPLACED: 'operator',
  CLUSTER_OPTION_INVALID: 'developer',
  CLUSTER_ROUTE_INVALID: 'developer',
  CLUSTER_ROW_INVALID: 'operator',
  CLUSTER_SCHEMA_NEWER: 'operator',
}
