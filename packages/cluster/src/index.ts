// --- what nodes know of one another
export type { ClusterNode, ClusterRoute, NodeLoad, RouteFacts } from './model.ts'
export { ClusterTable, type ClusterTableEvents } from './table/cluster-table.ts'

// --- the node itself
export { Membership, type MembershipEvents, type MembershipState } from './membership.ts'
export type { ClaimAnswer, ClusterClaim } from './membership.ts'
export type { AnnouncedFacts } from './own-names.ts'
export { CLUSTER_LIMITS, type ClusterLimit, type MembershipOptions } from './options.ts'
export type { Clock } from './clock.ts'

// --- where the state is kept
export type { Engine } from './engine/engine.ts'
export { MemoryDatabase, MemoryEngine } from './engine/memory-engine.ts'
export { ChannelEngine, type ChannelEngineOptions } from './engine/channel-engine.ts'
export { EngineHost } from './engine/engine-host.ts'
export type { EngineChannel } from './engine/engine-channel.ts'
export { PostgresEngine, type PostgresEngineOptions } from './engine/postgres-engine.ts'
export { PostgresConnection, type SqlRow, type SqlRunner } from './engine/postgres-connection.ts'
export { migrateSchema, type SchemaStep } from './engine/postgres-schema.ts'

// --- errors
export { CLUSTER_ERRORS, ClusterError, isClusterError } from './errors.ts'
export type { ClusterErrorCode, ClusterErrorDetails, ClusterErrorInfo } from './errors.ts'

// --- links between nodes
export type { HeldName } from './own-names.ts'
export { ClusterLinks, type ClusterLinksOptions, type LinkStatus } from './link/cluster-links.ts'
export {
  makeLinkCertificate,
  readLinkCertificate,
  type LinkCertificate,
} from './link/certificate.ts'
export type { LinkTls } from './link/link-tls.ts'
export type { LinkState } from './link/node-link.ts'
export { APPLICATION_NAME, type SqlFailure, sqlFailureOf, sqlStateOf } from './engine/sql-state.ts'
