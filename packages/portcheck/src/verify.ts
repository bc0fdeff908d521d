// The only check that sees everything between a client and our socket (other listeners, redirects of
// the packet filter, relays): connect to each address a person would type, and see whether the
// connection comes in here. No byte is sent. Only addresses of this machine are dialled.
import { connect, isIPv6, Server, type Socket } from 'node:net'
import { inspect } from 'node:util'

import { errnoOf } from './bind-verdict.ts'
import type { Claim } from './claim.ts'
import { type Endpoint, formatEndpoint } from './endpoint.ts'
import { findHolders } from './find-holders.ts'
import { describeHolder, mayBlock } from './holder.ts'
import { type DialTarget, dialTargets } from './dial-targets.ts'
import { type Warning, warning } from './warnings.ts'

/** Bounds of a verification. */
export interface VerifyOptions {
  /**
   * How long one connection may take to arrive, in milliseconds, 1 to 60000; reached only when
   * something is wrong. @default 400
   */
  readonly timeoutMs?: number
}

/** Where one connection went. */
export interface Reach {
  /** The address dialled. */
  readonly host: string
  /** The port dialled. */
  readonly port: number
  /**
   * `mine`: it came in here. `other`: somebody else took it. `refused`, `timeout`: nobody did.
   * `no-address`: this machine lacks the address.
   */
  readonly outcome: 'mine' | 'other' | 'refused' | 'timeout' | 'no-address'
  /** From the dial to the outcome, in milliseconds. */
  readonly tookMs: number
}

/** What a verification found. */
export interface Verification {
  /** One entry per address dialled. */
  readonly reached: readonly Reach[]
  /** PC101, PC120 and PC121; empty when every connection came in here. */
  readonly warnings: readonly Warning[]
}

/** The default of {@link VerifyOptions.timeoutMs}: far above a loopback's worst, short for a person. */
const TIMEOUT_MS = 400

/**
 * Connects to a listening port and tells whether the connections arrive.
 *
 * The server of a claim never sees these connections, unless it has adopted it: a `net.Server` (http,
 * https, ...) sees connections that end without a byte.
 */
export async function verify(
  target: Claim | Server,
  options: VerifyOptions = {},
): Promise<Verification> {
  const timeoutMs = options.timeoutMs ?? TIMEOUT_MS
  if (!(timeoutMs >= 1 && timeoutMs <= 60_000)) {
    throw new RangeError(`timeoutMs must be from 1 to 60000, got ${inspect(timeoutMs)}`)
  }
  if (target instanceof Server) return await verifyServer(target, endpointsOf(target), timeoutMs)
  const { adopter, endpoints } = target
  if (adopter !== undefined) return await verifyServer(adopter, endpoints, timeoutMs)
  return await verifyClaim(target, timeoutMs)
}

async function verifyClaim(claim: Claim, timeoutMs: number): Promise<Verification> {
  const arrivals = new Arrivals()
  const held: { socket: Socket; pass: () => void }[] = []
  // Until the dials know their own ports nobody can say which connection is theirs.
  const stop = claim.inspect((socket, pass) => {
    socket.on('error', ignore) // it may leave while it is held
    held.push({ socket, pass })
    arrivals.add(socket)
  })
  try {
    return await dialAll(claim.endpoints, arrivals, timeoutMs)
  } finally {
    stop()
    for (const { socket, pass } of held) {
      if (arrivals.isOurs(socket)) {
        socket.destroy()
      } else {
        socket.off('error', ignore)
        pass()
      }
    }
  }
}

async function verifyServer(
  server: Server,
  endpoints: readonly Endpoint[],
  timeoutMs: number,
): Promise<Verification> {
  const arrivals = new Arrivals()
  // First in line: a listener that destroys the socket would take its remote port along.
  const onConnection = (socket: Socket): void => arrivals.add(socket)
  server.prependListener('connection', onConnection)
  try {
    return await dialAll(endpoints, arrivals, timeoutMs)
  } finally {
    server.off('connection', onConnection)
  }
}

function endpointsOf(server: Server): Endpoint[] {
  const address = server.address()
  if (address === null || typeof address === 'string') {
    throw new TypeError('server must be listening on a port')
  }
  // Whether `::` takes IPv4 cannot be read back. Taken for IPv6 alone, the IPv4 loopback is dialled
  // all the same, and only another program's answer there counts.
  return [{ host: address.address, port: address.port, dual: false }]
}

/** Connections that came in, by the port they came from. */
class Arrivals {
  readonly #ports = new Set<number>()
  readonly #expected = new Map<number, () => void>()

  add(socket: Socket): void {
    const port = socket.remotePort ?? 0
    this.#ports.add(port)
    this.#expected.get(port)?.()
  }

  /** Calls back when the connection that we dialled from `port` comes in, or has come in. */
  expect(port: number, arrived: () => void): void {
    this.#expected.set(port, arrived)
    if (this.#ports.has(port)) arrived()
  }

  isOurs(socket: Socket): boolean {
    return this.#expected.has(socket.remotePort ?? 0)
  }
}

async function dialAll(
  endpoints: readonly Endpoint[],
  arrivals: Arrivals,
  timeoutMs: number,
): Promise<Verification> {
  const targets = dialTargets(endpoints)
  const results = await Promise.all(
    targets.map(async (target) => ({ target, reach: await dialOne(target, arrivals, timeoutMs) })),
  )
  const warnings: Warning[] = []
  for (const { target, reach } of results) {
    const found = await reachWarning(target, reach)
    if (found !== undefined) warnings.push(found)
  }
  return { reached: results.map(({ reach }) => reach), warnings }
}

async function dialOne(
  { host, port }: DialTarget,
  arrivals: Arrivals,
  timeoutMs: number,
): Promise<Reach> {
  const start = performance.now()
  const socket = connect({ host, port })
  let timer: NodeJS.Timeout | undefined
  try {
    const outcome = await new Promise<Reach['outcome']>((resolve) => {
      timer = setTimeout(() => resolve(socket.connecting ? 'timeout' : 'other'), timeoutMs)
      socket.once('error', (error) => resolve(outcomeOf(errnoOf(error))))
      socket.once('connect', () => {
        const { localPort = 0 } = socket
        // A closed port in the range of outgoing ports can connect to itself.
        if (localPort === port) resolve('refused')
        else arrivals.expect(localPort, () => resolve('mine'))
      })
    })
    return { host, port, outcome, tookMs: performance.now() - start }
  } finally {
    clearTimeout(timer)
    socket.on('error', ignore) // what happens to it after the answer is of no interest
    socket.destroy()
  }
}

function ignore(): void {}

function outcomeOf(errno: string): Reach['outcome'] {
  if (['EADDRNOTAVAIL', 'ENETUNREACH', 'EHOSTUNREACH', 'EAFNOSUPPORT', 'EINVAL'].includes(errno)) {
    return 'no-address'
  }
  return errno === 'ETIMEDOUT' ? 'timeout' : 'refused'
}

async function reachWarning(target: DialTarget, reach: Reach): Promise<Warning | undefined> {
  const { host, port, outcome } = reach
  const endpoint = formatEndpoint(reach)
  if (outcome === 'other') {
    const holders = (await findHolders(port)) ?? []
    const at = { host, port, dual: false }
    const holder = holders.find(
      (one) => one.state === 'listening' && one.relation !== 'self' && mayBlock(one, at),
    )
    const fact =
      holder === undefined
        ? 'no other listener is to be seen, so a redirect of the packet filter or a relay takes it'
        : describeHolder(holder)
    if (!target.ours) {
      const text = `http://localhost:${port} may open another program instead of yours: ${fact}`
      return warning('PC101', text, 'listen on both families, or use another port', {
        endpoint,
        holder,
      })
    }
    const text = `http://${endpoint} opens another program instead of yours: ${fact}`
    return warning('PC120', text, 'use another port, or remove what takes it', { endpoint, holder })
  }
  if (!target.ours || outcome === 'mine' || outcome === 'no-address') return undefined
  const what = outcome === 'timeout' ? 'the connection was not answered in time' : 'it was refused'
  return warning(
    'PC121',
    `http://${endpoint} does not open: ${what}`,
    `look for a packet filter on the ${isIPv6(host) ? 'IPv6' : 'IPv4'} loopback`,
    { endpoint },
  )
}
