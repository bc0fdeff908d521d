// Opens every address of a configuration, or says which one cannot be opened and why. Nothing is
// served before all of them are open: clients of the first ones wait in their claims.
import type { Server } from 'node:net'
import { inspect } from 'node:util'

import { listenAddressesOverlap, separateFamilies } from '@proj/config/address'

import { type AccessListOptions, createAccessList } from './access-list.ts'
import type { Claim, ClaimOptions } from './claim.ts'
import { claimWithPolicy, type ConflictOptions } from './claim-port.ts'
import { emitConnection } from './emit-connection.ts'
import { isPortcheckError, PortcheckError } from './errors.ts'
import { type FailedAddress, type Handshake, Listeners, type OnConnection } from './listeners.ts'
import { type Plan, planWant } from './plan.ts'
import { type ReadWant, readWant, type Want } from './want.ts'

/** How to listen. */
export interface ListenOptions extends ClaimOptions, AccessListOptions, ConflictOptions {
  /**
   * Receives every connection that the access lists let in. Either this or `server`. The socket is
   * half-open: when the peer has ended, it stays writable until it is ended here.
   */
  readonly onConnection?: OnConnection
  /** An http, https, http2 or net server that receives every connection instead. */
  readonly server?: Server
  /** What every connection passes before it is handed over, such as TLS. Default: nothing. */
  readonly handshake?: Handshake
  /**
   * `all`: every address must open, or none stays open. `any`: one is enough, the others are
   * reported in `failed`. `none`: all of them may fail, for callers that try them again. A family
   * that this machine lacks is no failure in any case.
   * @default 'all'
   */
  readonly require?: 'all' | 'any' | 'none'
  /** Scheme of the URLs in the description. @default 'http' */
  readonly scheme?: string
  /** Gives up waiting; nothing stays open. */
  readonly signal?: AbortSignal
}

/** One of several listeners of a program: where it listens, and how. */
export interface ListenRequest extends ListenOptions {
  /** Its addresses. */
  readonly at: Want | readonly Want[]
}

/**
 * Listens on one or several addresses.
 * @throws {PortcheckError} PORTCHECK_ADDRESS_OVERLAP when two addresses need the same socket, found
 *   before anything is bound; else the code of the bind that failed.
 */
export async function listen(
  wants: Want | readonly Want[],
  options: ListenOptions,
): Promise<Listeners> {
  const [listeners] = await listenTogether([{ ...options, at: wants }])
  return listeners
}

/**
 * Opens every listener of a program, or none: no two may need the same socket, and none serves before
 * all hold their ports. With `next` a listener moves only when its port is taken by another program,
 * and never onto a port that another listener of the same call asked for and can have.
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
      isAllowed: createAccessList(request),
      scheme: request.scheme ?? 'http',
    },
  }))
  for (const { signal } of requests) signal?.throwIfAborted()
  const slots = await planAll(requests)
  try {
    await claimAll(slots)
    for (const request of requests) checkOpened(slots.filter((slot) => slot.request === request))
  } catch (error) {
    for (const { claim } of slots) claim?.destroy()
    throw error
  }
  const listeners = parts.map(({ request, how }) => {
    const own = slots.filter((slot) => slot.request === request)
    const claims = own.flatMap(({ plan: { text: want }, claim }) =>
      claim === undefined ? [] : [{ want, claim }],
    )
    const failed = own.flatMap(({ plan: { text: want }, error }): FailedAddress[] =>
      error === undefined ? [] : [{ want, error }],
    )
    return new Listeners(claims, failed, how)
  })
  return listeners as { [Index in keyof Requests]: Listeners } // `map` keeps the length
}

/** One address and what came of it. */
interface Slot {
  readonly request: ListenRequest
  readonly plan: Plan
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
  return await Promise.all(
    wanted.map(async ({ request, want }, index) => ({
      request,
      plan: await planWant(read[index] ?? want),
    })),
  )
}

/** Refuses a list that cannot all be opened, before anything is. */
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
  // Last, so that nobody moves onto a port that is wanted here.
  for (const slot of displaced) {
    await claimSlot(slot, 'next')
    if (slot.error !== undefined && !mayFail(slot)) throw slot.error
  }
}

async function claimSlot(slot: Slot, conflict: ConflictOptions['conflict']): Promise<void> {
  const { request, plan } = slot
  try {
    slot.claim = await claimWithPolicy(plan, { ...request, ...(conflict && { conflict }) })
    slot.error = undefined
  } catch (error) {
    if (!isPortcheckError(error)) throw error
    slot.error = error
  }
}

function mayFail({ request: { require = 'all' } }: Slot): boolean {
  return require !== 'all'
}

/** With `require: 'any'` one address is enough, but none is not. */
function checkOpened(slots: readonly Slot[]): void {
  if (slots[0]?.request.require === 'none') return
  if (slots.some(({ claim }) => claim !== undefined)) return
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
      `exactly one of onConnection and server is needed, got ${inspect({ onConnection, server }, { depth: 0 })}`,
    )
  }
  // An http server watches for slow clients only from `listening` on, whoever accepts for it.
  server.emit('listening')
  return (socket) => emitConnection(server, socket)
}
