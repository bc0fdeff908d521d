export { Server } from './server.ts'
export type { ServerListener, ServerListeners, ServerOptions } from './server.ts'
export { EDGE_DEFAULTS } from './edge/edge-options.ts'
export type { EdgeOptions } from './edge/edge-options.ts'
