import type { PortRejection } from '@proj/tunnel/server'

/** When an agent asks again for a port of another program, or for any port, ms. */
const RETRY_MS = 10_000

/** When an agent asks again for a port that other agents serve, ms. */
const SERVED_RETRY_MS = 3_000

/** What agents get in place of a port. Programs and other identities are not named to them. */
export const PORT_REJECTIONS = Object.freeze({
  off: (): PortRejection => ({ code: 'port-off', message: 'this server gives no public ports' }),

  notAllowed: (port: number): PortRejection => ({
    code: 'port-not-allowed',
    message: `port ${port} is not one this server gives`,
  }),

  /** The log names the program. */
  ofProgram: (port: number): PortRejection => ({
    code: 'port-taken',
    message: `port ${port} is taken by another program`,
    holder: 'program',
    retryAfterMs: RETRY_MS,
  }),

  /** Agents of another endpoint serve it. */
  served: (port: number, since: number): PortRejection => ({
    code: 'port-taken',
    message: `another endpoint serves port ${port} since ${new Date(since).toISOString()}`,
    holder: 'session',
    since: new Date(since).toISOString(),
    retryAfterMs: SERVED_RETRY_MS,
  }),

  /** It is held for an endpoint whose agents are away, for this long at most. */
  held: (port: number, since: number, retryAfterMs: number): PortRejection => ({
    code: 'port-taken',
    message: `another endpoint has port ${port} since ${new Date(since).toISOString()}, its agents are away`,
    holder: 'hold',
    since: new Date(since).toISOString(),
    retryAfterMs,
  }),

  reserved: (port: number): PortRejection => ({
    code: 'port-taken',
    message: `port ${port} is reserved with another name`,
    holder: 'reservation',
  }),

  noneLeft: (): PortRejection => ({
    code: 'port-none-left',
    message: 'every port this server gives is taken',
    retryAfterMs: RETRY_MS,
  }),

  /** The identity serves as many as it may have. */
  limit: (limit: number): PortRejection => ({
    code: 'port-limit',
    message: `an identity may have ${limit} public ports`,
  }),

  /** Other agents serve the endpoint on this one. */
  differs: (port: number): PortRejection => ({
    code: 'port-differs',
    message: `other agents serve this endpoint on port ${port}`,
    retryAfterMs: SERVED_RETRY_MS,
  }),

  /** It could not be opened, for no fault of the port. */
  unavailable: (port: number): PortRejection => ({
    code: 'port-unavailable',
    message: `this server cannot open port ${port} now`,
    retryAfterMs: RETRY_MS,
  }),
})
