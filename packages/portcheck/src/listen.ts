// Opens every address of a configuration, or says which one cannot be opened and why. Nothing is
// served before all of them are open: clients of the first ones wait in their claims.
import type { Server } from 'node:net'
import { inspect } from 'node:util'

import { listenAddressesOverlap, separateFamilies } from '@proj/config'

import { type AccessListOptions, createAccessList } from './access-list.ts'
import type { Claim, ClaimOptions } from './claim.ts'
import { claimWithPolicy, type ConflictOptions } from './claim-port.ts'
import { emitConnection } from './emit-connection.ts'
import { isPortcheckError, PortcheckError } from './errors.ts'
import { type FailedAddress, Listeners, type OnConnection } from './listeners.ts'
import { planWant } from './plan.ts'
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
  /**
   * `all`: every address must open, or none stays open. `any`: one is enough, the others are
   * reported in `failed`. A family that this machine lacks is no failure in either case.
   * @default 'all'
   */
  readonly require?: 'all' | 'any'
  /** Scheme of the URLs in the description. @default 'http' */
  readonly scheme?: string
  /** Gives up waiting; nothing stays open. */
  readonly signal?: AbortSignal
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
  const { require = 'all', scheme = 'http', signal } = options
  const onConnection = resolveReceiver(options)
  const isAllowed = createAccessList(options)
  signal?.throwIfAborted()
  const plans = await Promise.all(readList(wants).map(async (want) => await planWant(want)))
  const claims: { want: string; claim: Claim }[] = []
  const failed: FailedAddress[] = []
  try {
    for (const plan of plans) {
      try {
        claims.push({ want: plan.text, claim: await claimWithPolicy(plan, options) })
      } catch (error) {
        if (require === 'all' || !isPortcheckError(error)) throw error
        failed.push({ want: plan.text, error })
      }
    }
    if (claims.length === 0 && failed[0] !== undefined) throw failed[0].error
  } catch (error) {
    for (const { claim } of claims) claim.destroy()
    throw error
  }
  return new Listeners(claims, failed, { isAllowed, onConnection, scheme })
}

/** Reads the whole list before anything is opened, and refuses it when it cannot all be opened. */
function readList(wants: Want | readonly Want[]): ReadWant[] {
  const list = (isList(wants) ? wants : [wants]).map(readWant)
  if (list.length === 0) throw new TypeError('at least one address is needed')
  const separate = separateFamilies(list.map((want) => want.address))
  const read = list.map((want, index) => {
    const address = separate[index]
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
