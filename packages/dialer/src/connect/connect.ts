import { connect as netConnect, isIP, type Socket, type TcpNetConnectOpts } from 'node:net'

import { formatHostPort, isLinkLocal, isUnspecified } from '@proj/config/address'

import { AttemptLog } from './attempt-log.ts'
import { currentSources } from './current-sources.ts'
import { withDeadline } from '../deadline.ts'
import { connectThroughDevice } from './device.ts'
import { type DialContext, seconds } from '../dial-context.ts'
import { DialError, type DialLeg } from '../errors.ts'
import { DIAL_LIMITS } from '../options.ts'
import { lookupHost, type ResolvedAddress } from './lookup.ts'
import { race } from './race.ts'
import { type Endpoint, formatEndpoint } from '../endpoint.ts'
import { socketEvent } from '../socket-event.ts'
import type { SourceAddress } from './source-options.ts'

// RFC 8305 gives no number. With the default delay an attempt runs for 4 s before it has to make room.
const MAX_CONCURRENT_ATTEMPTS = 16
// Limits the addresses that are tried for a name with many records.
const MAX_ADDRESSES = 64

/**
 * Connects to the first hop: looks up its name, pairs addresses with sources, and races the pairs.
 * @returns a connected, paused socket with noDelay and keep-alive set
 * @throws {DialError} DIAL_BIND_*, DIAL_DNS_* or DIAL_CONNECT_*
 */
export async function connectFirstHop(
  context: DialContext,
  endpoint: Endpoint,
  leg: DialLeg,
): Promise<Socket> {
  if ('path' in endpoint) return connectPath(context, endpoint.path, leg)
  const addresses = await resolveStep(context, endpoint.host, leg)
  const rounds = planAttempts(context, addresses, endpoint)
  const about = formatEndpoint(endpoint)
  const log = new AttemptLog()
  const limitMs = context.options.timeouts.connectMs
  return context.step(
    { phase: 'connect', leg, about, limitMs, expired: () => log.toError(about, leg) },
    async (signal) => {
      for (const [index, round] of rounds.entries()) {
        // The next sources get their part of the time, also when nothing answers an earlier one.
        const last = index === rounds.length - 1
        const roundMs = last ? Infinity : shareOf(limitMs, rounds.length)
        const socket = await raceRound(context, round, roundMs, log, signal)
        if (socket !== undefined) return socket
      }
      throw log.toError(about, leg)
    },
    (socket) => `${socket.localAddress ?? '?'} -> ${formatRemote(socket)}`,
  )
}

/** Looks up a host as a step of the dial. An address needs no lookup, and there is then no step. */
export async function resolveStep(
  context: DialContext,
  host: string,
  leg: DialLeg,
): Promise<readonly ResolvedAddress[]> {
  const { lookup, timeouts } = context.options
  const family = isIP(host)
  if (family === 4 || family === 6) return [{ address: host, family }]
  return context.step(
    {
      phase: 'dns',
      leg,
      about: host,
      limitMs: timeouts.dnsMs,
      expired: () =>
        new DialError(
          'DIAL_DNS_TIMEOUT',
          `the lookup of ${host}, the name of the ${leg}, took longer than ${seconds(timeouts.dnsMs)}`,
          { phase: 'dns', leg, hint: 'the DNS resolver of this host does not respond' },
        ),
    },
    (signal) => lookupHost(host, leg, lookup, signal),
    (addresses) => `${host} -> ${addresses.map(({ address }) => address).join(', ')}`,
  )
}

interface Candidate {
  readonly host: string
  readonly port: number
  readonly family: 4 | 6
  readonly source: SourceAddress | undefined
}

/** Pairs addresses with sources: the first source of each family is in the first round, and so on. */
function planAttempts(
  context: DialContext,
  addresses: readonly ResolvedAddress[],
  endpoint: { readonly host: string; readonly port: number },
): readonly (readonly Candidate[])[] {
  const { sources, family: only } = context.options
  const wanted = addresses
    .filter(({ family }) => only === undefined || family === only)
    .slice(0, MAX_ADDRESSES)
  const linkLocal = wanted.some(({ address }) => isLinkLocal(address))
  const current = currentSources(sources, linkLocal)
  const rounds: Candidate[][] = []
  const { port } = endpoint
  for (const { address: host, family } of wanted) {
    if (current === undefined) {
      ;(rounds[0] ??= []).push({ host, port, family, source: undefined })
      continue
    }
    for (const [rank, source] of current.filter((one) => one.family === family).entries()) {
      ;(rounds[rank] ??= []).push({ host, port, family, source })
    }
  }
  if (rounds.length > 0) return rounds
  const sourceText = current?.map(({ address }) => address).join(', ') ?? `IPv${only ?? '?'}`
  throw new DialError(
    'DIAL_BIND_FAMILY',
    `source ${sourceText} cannot reach ${endpoint.host}, which has only ${addresses
      .map(({ address }) => address)
      .join(', ')}`,
    { phase: 'bind', leg: 'local', hint: 'set a source address of the same family as the target' },
  )
}

async function raceRound(
  context: DialContext,
  round: readonly Candidate[],
  limitMs: number,
  log: AttemptLog,
  signal: AbortSignal,
): Promise<Socket | undefined> {
  // Two sockets cannot share one source port, so attempts with a fixed port run one after another.
  const fixedPort = round.some(({ source }) => source?.port !== undefined)
  const { attemptDelayMs, timeouts } = context.options
  const pace = fixedPort
    ? { delayMs: shareOf(timeouts.connectMs, round.length), maxConcurrent: 1 }
    : { delayMs: attemptDelayMs, maxConcurrent: MAX_CONCURRENT_ATTEMPTS }
  return race(
    round,
    { ...pace, signal },
    (candidate, attemptSignal) => attempt(context, candidate, limitMs, log, attemptSignal),
    (late) => late.destroy(),
  )
}

/** Returns one of equal parts of a time. Without a limit, a part of the default limit. */
function shareOf(limitMs: number, parts: number): number {
  return (limitMs === Infinity ? DIAL_LIMITS.connectMs.default : limitMs) / parts
}

/** Connects one socket, and logs the error when it fails. */
async function attempt(
  context: DialContext,
  candidate: Candidate,
  limitMs: number,
  log: AttemptLog,
  signal: AbortSignal,
): Promise<Socket> {
  const failed = log.begin(formatEndpoint(candidate), candidate.source?.address)
  try {
    // The step has its own limit; an attempt needs one only when other attempts wait for it.
    if (limitMs === Infinity) return await open(context, candidate, signal)
    return await withDeadline(limitMs, signal, attemptExpired, (inner) =>
      open(context, candidate, inner),
    )
  } catch (error) {
    failed(error)
    throw error
  }
}

function attemptExpired(): Error {
  return new Error('the attempt took too long')
}

async function open(
  context: DialContext,
  candidate: Candidate,
  signal: AbortSignal,
): Promise<Socket> {
  const { keepAliveMs, sources } = context.options
  const { source } = candidate
  const options: TcpNetConnectOpts = {
    host: candidate.host,
    port: candidate.port,
    family: candidate.family,
    // We race addresses ourselves; see race.ts.
    autoSelectFamily: false,
    noDelay: true,
    keepAlive: keepAliveMs !== Infinity,
    keepAliveInitialDelay: keepAliveMs === Infinity ? 0 : keepAliveMs,
  }
  if (source !== undefined && !isUnspecified(source.address)) options.localAddress = source.address
  if (source?.port !== undefined) options.localPort = source.port
  const socket =
    sources.device === undefined
      ? netConnect(options)
      : await connectThroughDevice(sources.device, options)
  await socketEvent(socket, 'connect', signal)
  return socket
}

async function connectPath(context: DialContext, path: string, leg: DialLeg): Promise<Socket> {
  const limitMs = context.options.timeouts.connectMs
  const log = new AttemptLog()
  return context.step(
    { phase: 'connect', leg, about: path, limitMs, expired: () => log.toError(path, leg) },
    async (signal) => {
      const failed = log.begin(path, undefined)
      try {
        const socket = netConnect({ path })
        await socketEvent(socket, 'connect', signal)
        return socket
      } catch (error) {
        if (signal.aborted) throw signal.reason
        failed(error)
        throw log.toError(path, leg)
      }
    },
    () => path,
  )
}

function formatRemote({ remoteAddress = '?', remotePort = 0 }: Socket): string {
  return formatHostPort(remoteAddress, remotePort)
}
