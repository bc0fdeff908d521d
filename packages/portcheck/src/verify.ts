// The only check of everything between a client and our socket (other listeners, redirects of a packet
// filter, relays): connect to each address that a person would use, and see whether the connection arrives
// here. No byte is sent, and only addresses of this machine are used.
import { connect, isIPv6, Server, type Socket } from 'node:net'

import { errnoOf } from './claim/bind-verdict.ts'
import type { Claim } from './claim/claim.ts'
import { type Endpoint, formatEndpoint } from './endpoint.ts'
import { limitOf } from './limits.ts'
import { findHolders } from './holders/find-holders.ts'
import { describeHolder, mayBlock } from './holders/holder.ts'
import { type DialTarget, dialTargets } from './reachable.ts'
import { type Warning, warning } from './warnings.ts'

/** Options of {@link verify}. */
export interface VerifyOptions {
  /** How long one connection can take to arrive, ms; see PORTCHECK_LIMITS. */
  readonly timeoutMs?: number
  /**
   * Other sockets of the same program on this port, such as that of the other family. An address that they
   * serve is not checked for other programs. Default: none.
   */
  readonly siblings?: readonly Endpoint[]
}

/** The result of one connection. */
export interface Reach {
  /** The address of the connection. */
  readonly host: string
  /** The port of the connection. */
  readonly port: number
  /**
   * `mine`: it arrived here. `other`: another program accepted it. `refused`, `timeout`: no program did.
   * `no-address`: this machine does not have the address.
   */
  readonly outcome: 'mine' | 'other' | 'refused' | 'timeout' | 'no-address'
  /** Duration, ms. */
  readonly tookMs: number
}

/** The result of {@link verify}. */
export interface Verification {
  /** One entry per address. */
  readonly reached: readonly Reach[]
  /** PC101, PC120 and PC121; empty when every connection arrived here. */
  readonly warnings: readonly Warning[]
}

/**
 * Connects to a listening port and reports whether the connections arrive.
 *
 * A claim does not pass these connections on. A `net.Server` (http, https, ...), also one that adopted a
 * claim, gets connections that end without a byte.
 */
export async function verify(
  target: Claim | Server,
  options: VerifyOptions = {},
): Promise<Verification> {
  const timeoutMs = limitOf('timeoutMs', options.timeoutMs)
  const { siblings = [] } = options
  if (target instanceof Server) {
    return await verifyServer(target, targetsOf(endpointsOf(target), siblings), timeoutMs)
  }
  const { adopter, endpoints } = target
  const targets = targetsOf(endpoints, siblings)
  if (adopter !== undefined) return await verifyServer(adopter, targets, timeoutMs)
  return await verifyClaim(target, targets, timeoutMs)
}

function targetsOf(endpoints: readonly Endpoint[], siblings: readonly Endpoint[]): DialTarget[] {
  const theirs = dialTargets(siblings).filter(({ ours }) => ours)
  return dialTargets(endpoints).filter(
    ({ host, port, ours }) =>
      ours || !theirs.some((other) => other.host === host && other.port === port),
  )
}

async function verifyClaim(
  claim: Claim,
  targets: readonly DialTarget[],
  timeoutMs: number,
): Promise<Verification> {
  const arrivals = new Arrivals()
  const held: { socket: Socket; pass: () => void }[] = []
  // Connections are held until the local ports of our own connections are known.
  const stop = claim.inspect((socket, pass) => {
    socket.on('error', ignore) // the peer can close while the socket is held
    held.push({ socket, pass })
    arrivals.add(socket)
  })
  try {
    return await dialAll(targets, arrivals, timeoutMs)
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
  targets: readonly DialTarget[],
  timeoutMs: number,
): Promise<Verification> {
  const arrivals = new Arrivals()
  // The first listener: another one could destroy the socket, which then has no remote port.
  const onConnection = (socket: Socket): void => arrivals.add(socket)
  server.prependListener('connection', onConnection)
  try {
    return await dialAll(targets, arrivals, timeoutMs)
  } finally {
    server.off('connection', onConnection)
  }
}

function endpointsOf(server: Server): Endpoint[] {
  const address = server.address()
  if (address === null || typeof address === 'string') {
    throw new TypeError('server must be listening on a port')
  }
  // The system does not report whether `::` accepts IPv4. With `dual: false` the IPv4 loopback is tried
  // too, and only another program there is reported.
  return [{ host: address.address, port: address.port, dual: false }]
}

/** Connections that arrived, by their remote port. */
class Arrivals {
  readonly #ports = new Set<number>()
  readonly #expected = new Map<number, () => void>()

  add(socket: Socket): void {
    const port = socket.remotePort ?? 0
    this.#ports.add(port)
    this.#expected.get(port)?.()
  }

  /** Calls back when our connection from `port` arrives, or has arrived. */
  expect(port: number, arrived: () => void): void {
    this.#expected.set(port, arrived)
    if (this.#ports.has(port)) arrived()
  }

  isOurs(socket: Socket): boolean {
    return this.#expected.has(socket.remotePort ?? 0)
  }
}

async function dialAll(
  targets: readonly DialTarget[],
  arrivals: Arrivals,
  timeoutMs: number,
): Promise<Verification> {
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
      // This process may have been held up for as long: what arrived meanwhile is looked at first.
      const end = (): void => resolve(socket.connecting ? 'timeout' : 'other')
      timer = setTimeout(() => setImmediate(end), timeoutMs)
      socket.once('error', (error) => resolve(outcomeOf(errnoOf(error))))
      socket.once('connect', () => {
        const { localPort = 0 } = socket
        // A connection to a closed port can get this port as its own and connect to itself.
        if (localPort === port) resolve('refused')
        else arrivals.expect(localPort, () => resolve('mine'))
      })
    })
    return { host, port, outcome, tookMs: performance.now() - start }
  } finally {
    clearTimeout(timer)
    socket.on('error', ignore) // errors after the result are ignored
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
        ? 'there is no other listener, so a packet filter redirects it or a relay accepts it'
        : describeHolder(holder)
    if (!target.ours) {
      const text = `http://localhost:${port} may open another program instead of yours: ${fact}`
      return warning('PC101', text, 'listen on both families, or use another port', {
        endpoint,
        holder,
      })
    }
    const text = `http://${endpoint} opens another program instead of yours: ${fact}`
    return warning('PC120', text, 'use another port, or remove the redirect or the program', {
      endpoint,
      holder,
    })
  }
  if (!target.ours || outcome === 'mine' || outcome === 'no-address') return undefined
  const what = outcome === 'timeout' ? 'there was no answer in time' : 'the connection was refused'
  return warning(
    'PC121',
    `http://${endpoint} does not open: ${what}`,
    `check the packet filter on the ${isIPv6(host) ? 'IPv6' : 'IPv4'} loopback`,
    { endpoint },
  )
}
