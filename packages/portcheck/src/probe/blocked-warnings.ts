// Why a bind failed, where "in use" would be misleading.
import { readFile } from 'node:fs/promises'

import { formatEndpoint, type Endpoint } from '../endpoint.ts'
import { describeHolder, type Holder, mayBlock } from '../holders/holder.ts'
import type { BindVerdict } from '../report.ts'
import { type Warning, warning } from '../warnings.ts'
import { readExcludedRanges } from '../holders/windows.ts'

/** Returns the sockets that prevent the bind of `endpoint`: listeners, otherwise all other sockets on the port. */
export function blockersOf(endpoint: Endpoint, holders: readonly Holder[]): Holder[] {
  const blocking = holders.filter((holder) => mayBlock(holder, endpoint))
  const listening = blocking.filter((holder) => holder.state === 'listening')
  return listening.length > 0 ? listening : blocking
}

/**
 * Explains a failed bind.
 * @param holders - undefined when this system cannot find them
 */
export async function blockedWarnings(
  verdict: BindVerdict,
  endpoint: Endpoint,
  holders: readonly Holder[] | undefined,
): Promise<Warning[]> {
  if (verdict === 'denied') return [await deniedWarning(endpoint)]
  if (verdict !== 'busy' || holders === undefined) return []
  const blockers = blockersOf(endpoint, holders)
  const about = { endpoint: formatEndpoint(endpoint), holder: blockers[0] }
  const previous = blockers.find((one) => one.relation === 'previous-instance')
  if (previous !== undefined) {
    return [
      warning(
        'PC133',
        `a previous instance of this program is still running: ${describeHolder(previous)}`,
        'wait until it ends; it may be shutting down',
        { ...about, holder: previous },
      ),
    ]
  }
  const [first] = blockers
  if (first === undefined) return [idleHolder(about.endpoint)]
  if (first.state === 'listening') return knownHolder(first, about.endpoint)
  const connected = blockers.find((one) => one.state === 'connected')
  return [connected === undefined ? leftover(about) : outgoing({ ...about, holder: connected })]
}

function idleHolder(endpoint: string): Warning {
  return warning(
    'PC130',
    `${endpoint} is busy, but no program listens on it: a socket is bound and does not listen, and the system does not list such a socket`,
    'look for a program that is starting or hangs, or use another port',
    { endpoint },
  )
}

function outgoing(about: { endpoint: string; holder: Holder }): Warning {
  return warning(
    'PC131',
    `no program listens on ${about.endpoint}, but it is the local end of a connection of ${describeHolder(about.holder)}`,
    'wait until that connection closes, or use a port outside the range of outgoing connections',
    about,
  )
}

function leftover(about: { endpoint: string; holder: Holder | undefined }): Warning {
  return warning(
    'PC132',
    `${about.endpoint} has only closed connections of a stopped program; the system frees the port within 60 seconds`,
    'wait; the stopped program can avoid this with SO_REUSEADDR',
    about,
  )
}

function knownHolder(holder: Holder, endpoint: string): Warning[] {
  if (holder.note === undefined) return []
  return [
    warning(
      'PC143',
      `${holder.name ?? 'a program'} holds the port: ${holder.note}`,
      'use another port',
      {
        endpoint,
        holder,
      },
    ),
  ]
}

async function deniedWarning(endpoint: Endpoint): Promise<Warning> {
  const about = { endpoint: formatEndpoint(endpoint) }
  const { port } = endpoint
  if (process.platform === 'win32') {
    const ranges = await readExcludedRanges()
    const range = ranges.find((one) => port >= one.first && port <= one.last)
    const fact =
      range === undefined
        ? 'it is in a reserved range, or another program uses it exclusively'
        : `Windows reserves ${range.first} to ${range.last} until the next boot`
    return warning('PC142', `port ${port} cannot be used: ${fact}`, 'use another port', about)
  }
  if (process.platform === 'darwin') {
    const hint = `listen on all addresses (:${port}), which needs no special rights, or use a higher port`
    return warning('PC141', `only root can listen on port ${port} of a single address`, hint, about)
  }
  const start = (await readSetting('ip_unprivileged_port_start')) ?? '1024'
  return warning(
    'PC141',
    `this user cannot listen on port ${port}: ports below ${start} need root or CAP_NET_BIND_SERVICE`,
    `use port ${start} or higher, or set net.ipv4.ip_unprivileged_port_start=${port}`,
    about,
  )
}

/** Reads a number or range of /proc/sys/net/ipv4. */
export async function readSetting(name: string): Promise<string | undefined> {
  try {
    return (await readFile(`/proc/sys/net/ipv4/${name}`, 'utf8')).trim()
  } catch {
    return undefined
  }
}
