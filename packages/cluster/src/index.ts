// --- what nodes know of one another
export type { ClusterNode, ClusterRoute, NodeLoad, RouteFacts } from './model.ts'
export { ClusterTable, type ClusterTableEvents } from './table/cluster-table.ts'

// --- errors
export { CLUSTER_ERRORS, ClusterError, isClusterError } from './errors.ts'
export type { ClusterErrorCode, ClusterErrorDetails, ClusterErrorInfo } from './errors.ts'
