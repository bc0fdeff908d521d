// Opens every address of a configuration, or reports the one that cannot be opened. No connection is served
// before all addresses are open: early clients wait in their claims.
import type { Server } from 'node:net'
import { inspect } from 'node:util'

import {
  AddressList,
  type AddressListOptions,
  listenAddressesOverlap,
  separateFamilies,
} from '@proj/config/address'

import { type Claim, claimInherited, type ClaimOptions, emitConnection } from '../claim/claim.ts'
import { claimWithPolicy, type ConflictOptions } from '../claim/claim-port.ts'
import { isPortcheckError, PortcheckError } from '../errors.ts'
import type { InheritedSockets, TakenSocket } from '../claim/inherited-sockets.ts'
import { type FailedAddress, type Handshake, Listeners, type OnConnection } from './listeners.ts'
import { ProxyFront, type ProxyProtocolOptions } from './proxy-front.ts'
import { type Plan, planWant } from '../claim/plan.ts'
import { type ReadWant, readWant, type Want } from '../claim/wanted-address.ts'

/** Options of a listener. `allow` and `deny` are the access lists for its peers. */
export interface ListenOptions extends ClaimOptions, AddressListOptions, ConflictOptions {
  /**
   * Receives every connection that the access lists allow. Set either this or `server`. The socket is
   * half-open: after the end of the peer it stays writable until it is ended here.
   */
  readonly onConnection?: OnConnection
  /** An http, https, http2 or net server that receives every connection. */
  readonly server?: Server
  /** Runs on every connection before `onConnection` or `server` gets it, for example TLS. Default: none. */
  readonly handshake?: Handshake
  /**
   * Connections come through load balancers that say whose they are. `allow` and `deny` are then about these
   * clients. Default: they come from the clients themselves.
   */
  readonly proxyProtocol?: ProxyProtocolOptions | undefined
  /**
   * `all`: every address must open, or none stays open. `any`: one is enough, the others are in
   * `failed`. `none`: all of them can fail, for callers that retry. A family that this machine does not
   * have is never a failure.
   * @default 'all'
   */
  readonly require?: 'all' | 'any' | 'none'
  /** Scheme of the URLs in `bound`. @default 'http' */
  readonly scheme?: string
  /** Sockets of another process: those at a wanted address are used, and not opened. Default: none. */
  readonly inherited?: InheritedSockets | undefined
  /** Name of the listener: an inherited socket with this name was opened for it. Default: none. */
  readonly name?: string
  /** Ends the wait for a busy port; no socket stays open. */
  readonly signal?: AbortSignal
}

/** One of several listeners of a program: its addresses and options. */
export interface ListenRequest extends ListenOptions {
  /** The address to listen on, or several. */
  readonly at: Want | readonly Want[]
}

/**
 * Listens on one or several addresses.
 * @throws {PortcheckError} PORTCHECK_ADDRESS_OVERLAP when two addresses need the same socket, before
 *   any bind; otherwise the code of the failed bind.
 */
export async function listen(
  wants: Want | readonly Want[],
  options: ListenOptions,
): Promise<Listeners> {
  const [listeners] = await listenTogether([{ ...options, at: wants }])
  return listeners
}

/**
 * Opens every listener of a program, or none. Two listeners cannot need the same socket, and none serves
 * before all hold their ports. With `next` a listener moves only when another program holds its port, and
 * never to a port that another listener of the same call needs.
 * @returns the listeners, in the order of the requests.
 * @throws {PortcheckError} like {@link listen}.
 */
export async function listenTogether<const Requests extends readonly ListenRequest[]>(
  requests: Requests,
): Promise<{ [Index in keyof Requests]: Listeners }> {
  const parts = requests.map((request) => ({
    request,
    how: {
      onConnection: resolveReceiver(request),
      handshake: request.handshake,
      proxyFront:
        request.proxyProtocol === undefined ? undefined : new ProxyFront(request.proxyProtocol),
      accessList: new AddressList(request),
      scheme: request.scheme ?? 'http',
    },
  }))
  for (const { signal } of requests) signal?.throwIfAborted()
  const slots = await planAll(requests)
  try {
    await claimAll(slots)
    // Last: they accept from then on, and connections that wait in their queues must not be lost.
    await claimAllInherited(slots)
    for (const request of requests) checkOpened(slots.filter((slot) => slot.request === request))
  } catch (error) {
    for (const { claim, taken, inherited } of slots) {
      claim?.destroy()
      for (const one of inherited) one.destroy()
      for (const { lent } of taken) lent.release()
    }
    throw error
  }
  const listeners = parts.map(({ request, how }) => {
    const own = slots.filter((slot) => slot.request === request)
    const claims = own.flatMap(({ plan: { text: want }, claim, inherited }) =>
      [...(claim === undefined ? [] : [claim]), ...inherited].map((one) => ({ want, claim: one })),
    )
    const failed = own.flatMap(({ plan: { text: want }, error }): FailedAddress[] =>
      error === undefined ? [] : [{ want, error }],
    )
    return new Listeners(claims, failed, how)
  })
  return listeners as { [Index in keyof Requests]: Listeners } // `map` keeps the length
}

/** One address and its result. */
interface Slot {
  readonly request: ListenRequest
  readonly plan: Plan
  /** What has to be bound besides the inherited sockets; undefined: nothing. */
  readonly rest: Plan | undefined
  readonly taken: readonly TakenSocket[]
  readonly inherited: Claim[]
  claim?: Claim | undefined
  error?: PortcheckError | undefined
}

async function planAll(requests: readonly ListenRequest[]): Promise<Slot[]> {
  const wanted = requests.flatMap((request) => {
    const list = isList(request.at) ? request.at : [request.at]
    if (list.length === 0) throw new TypeError('at least one address is needed')
    return list.map((want) => ({ request, want: readWant(want) }))
  })
  const read = separate(wanted.map(({ want }) => want))
  const plans = await Promise.all(
    wanted.map(async ({ want }, index) => await planWant(read[index] ?? want)),
  )
  return wanted.flatMap(({ request }, index): Slot[] => {
    const plan = plans[index]
    if (plan === undefined) return []
    const { taken, rest } = request.inherited?.take(plan, request.name) ?? { taken: [], rest: plan }
    return [{ request, plan, rest, taken, inherited: [] }]
  })
}

/** Rejects a list of addresses that cannot all be opened, before any bind. */
function separate(list: readonly ReadWant[]): ReadWant[] {
  const families = separateFamilies(list.map((want) => want.address))
  const read = list.map((want, index) => {
    const address = families[index]
    return address?.kind === 'tcp' ? { ...want, address } : want
  })
  for (const [index, second] of read.entries()) {
    const first = read
      .slice(0, index)
      .find((other) => listenAddressesOverlap(other.address, second.address))
    if (first !== undefined) {
      throw new PortcheckError(
        'PORTCHECK_ADDRESS_OVERLAP',
        `${first.text} and ${second.text} need the same socket`,
      )
    }
  }
  return read
}

async function claimAll(slots: readonly Slot[]): Promise<void> {
  const displaced: Slot[] = []
  for (const slot of slots) {
    const { conflict } = slot.request
    await claimSlot(slot, conflict === 'next' ? 'fail' : conflict)
    const { error } = slot
    if (error === undefined) continue
    if (conflict === 'next' && error.code === 'PORTCHECK_PORT_BUSY') displaced.push(slot)
    else if (!mayFail(slot)) throw error
  }
  // Last, so that no listener moves to a port that another one needs.
  for (const slot of displaced) {
    await claimSlot(slot, 'next')
    if (slot.error !== undefined && !mayFail(slot)) throw slot.error
  }
}

async function claimSlot(slot: Slot, conflict: ConflictOptions['conflict']): Promise<void> {
  const { request, rest, taken } = slot
  if (rest === undefined) return
  try {
    slot.claim = await claimWithPolicy(rest, { ...request, ...(conflict && { conflict }) })
    slot.error = undefined
  } catch (error) {
    if (!isPortcheckError(error)) throw error
    // The inherited socket is that of the only family this machine has.
    const isAbsent = taken.length > 0 && rest.absences.includes(error.errno ?? '')
    slot.error = isAbsent ? undefined : error
  }
}

async function claimAllInherited(slots: readonly Slot[]): Promise<void> {
  const all = slots.flatMap((slot) => slot.taken.map((taken) => ({ slot, taken })))
  const settled = await Promise.allSettled(
    all.map(async ({ slot, taken }) => {
      slot.inherited.push(await claimInherited(taken, slot.request))
    }),
  )
  const failed = settled.find((one) => one.status === 'rejected')
  if (failed !== undefined) throw failed.reason
}

function mayFail({ request: { require = 'all' } }: Slot): boolean {
  return require !== 'all'
}

/** Throws when no address of a listener is open, unless `require` is `none`. */
function checkOpened(slots: readonly Slot[]): void {
  if (slots[0]?.request.require === 'none') return
  if (slots.some(({ claim, inherited }) => claim !== undefined || inherited.length > 0)) return
  const [first] = slots
  if (first?.error !== undefined) throw first.error
}

function isList(wants: Want | readonly Want[]): wants is readonly Want[] {
  return Array.isArray(wants)
}

function resolveReceiver(options: ListenOptions): OnConnection {
  const { onConnection, server } = options
  if (onConnection !== undefined && server === undefined) return onConnection
  if (server === undefined || onConnection !== undefined) {
    throw new TypeError(
      `set exactly one of onConnection and server, got ${inspect({ onConnection, server }, { depth: 0 })}`,
    )
  }
  // An http server watches for slow clients only after `listening`, also when it does not accept itself.
  server.emit('listening')
  return (socket) => emitConnection(server, socket)
}
