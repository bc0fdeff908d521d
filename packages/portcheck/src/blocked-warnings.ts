// Why a bind failed, in words, where "in use" would send people looking for the wrong thing.
import { readFile } from 'node:fs/promises'

import { formatEndpoint, type Endpoint } from './endpoint.ts'
import { describeHolder, type Holder, mayBlock } from './holder.ts'
import type { BindVerdict } from './report.ts'
import { type Warning, warning } from './warnings.ts'
import { readExcludedRanges } from './windows-excluded-ranges.ts'

/** The sockets that keep `endpoint` from binding: listeners, or else whatever else has the port. */
export function blockersOf(endpoint: Endpoint, holders: readonly Holder[]): Holder[] {
  const blocking = holders.filter((holder) => mayBlock(holder, endpoint))
  const listening = blocking.filter((holder) => holder.state === 'listening')
  return listening.length > 0 ? listening : blocking
}

/**
 * Explains a failed bind.
 * @param holders - undefined when this system cannot tell
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
        `a previous instance of this program still runs: ${describeHolder(previous)}`,
        'wait for it to end; it may be shutting down',
        { ...about, holder: previous },
      ),
    ]
  }
  const [first] = blockers
  if (first === undefined) return [idleHolder(about.endpoint)]
  if (first.state === 'listening') return knownSquatter(first, about.endpoint)
  const connected = blockers.find((one) => one.state === 'connected')
  return [connected === undefined ? leftover(about) : outgoing({ ...about, holder: connected })]
}

function idleHolder(endpoint: string): Warning {
  return warning(
    'PC130',
    `nobody answers on ${endpoint}, yet it is taken: a socket that is bound but does not listen, which the system lists nowhere`,
    'find a program that is starting or stuck, or use another port',
    { endpoint },
  )
}

function outgoing(about: { endpoint: string; holder: Holder }): Warning {
  return warning(
    'PC131',
    `nobody listens on ${about.endpoint}, but it is the local end of a connection of ${describeHolder(about.holder)}`,
    'wait until that connection ends, or use a port outside the range of outgoing connections',
    about,
  )
}

function leftover(about: { endpoint: string; holder: Holder | undefined }): Warning {
  return warning(
    'PC132',
    `only old connections of a stopped program are left on ${about.endpoint}; the system frees the port within 60 seconds`,
    'wait; the stopped program can avoid this by setting SO_REUSEADDR',
    about,
  )
}

function knownSquatter(holder: Holder, endpoint: string): Warning[] {
  if (holder.note === undefined) return []
  return [
    warning(
      'PC143',
      `${holder.name ?? 'the holder'} holds it: ${holder.note}`,
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
        ? 'a reserved range or a program that allows nobody beside it'
        : `Windows keeps ${range.first} to ${range.last} for itself until the next boot`
    return warning('PC142', `port ${port} cannot be used: ${fact}`, 'use another port', about)
  }
  if (process.platform === 'darwin') {
    const hint = `listen on all addresses (:${port}), which needs no rights, or use a higher port`
    return warning('PC141', `only root may listen on port ${port} of one address`, hint, about)
  }
  const start = (await readSetting('ip_unprivileged_port_start')) ?? '1024'
  return warning(
    'PC141',
    `this user may not listen on port ${port}: ports below ${start} need root or CAP_NET_BIND_SERVICE`,
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
