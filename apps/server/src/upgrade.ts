/**
 * The upgrade in place: this process starts its successor from the installed files and hands it the
 * listening sockets, the data directory and the keys of TLS tickets. Visitors and agents of the old process
 * end their exchanges there.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

import type { HeldName } from '@proj/cluster'
import { HandOverError, type Restart, Successor } from '@proj/program-kit'
import type { Logger } from '@proj/tunnel'

import type { OperatorKey } from './admin/operator-key.ts'
import type { Cluster } from './cluster/cluster.ts'
import type { ExpectedEndpoints, Server } from './server.ts'
import { isStoreError } from './store/store-error.ts'
import type { OwnStore } from './store/server-store.ts'
import type { TicketKeys, TlsPorts } from './tls/tls-ports.ts'

/** What the server sends its successor besides the sockets. */
interface HandedState {
  /** What visitors wait for until the agents have moved. */
  readonly expected: ExpectedEndpoints
  /** Keys of TLS tickets by port, base64. */
  readonly ticketKeys: Readonly<Record<string, string>>
  /** Names of the agents, of a node of a cluster; a process of an earlier version sends none. */
  readonly heldNames?: readonly HeldName[]
}

/** What an upgrade works with. */
export interface UpgradeParts {
  readonly server: Server
  /** The cluster that this server is a node of. Default: none. */
  readonly cluster?: Pick<Cluster, 'descriptors' | 'heldNames'> | undefined
  readonly store: OwnStore
  /** Written again when the successor has not taken over. Default: there is none. */
  readonly operatorKey?: Pick<OperatorKey, 'renew'> | undefined
  readonly tls: TlsPorts
  readonly restart: Restart
  readonly logger: Logger
  /** How long kept-alive visitors are told to connect again before the sockets change hands, ms. */
  readonly delayMs: number
  /** How long the successor may take for each of its two steps, ms. */
  readonly timeoutMs: number
  /** Ends the upgrade: this process is told to stop. */
  readonly signal: AbortSignal
}

/** Name of the file in the data directory that has the outcome of the last upgrade. */
export const OUTCOME_FILE = 'adit.upgrade'

/** Outcome of an upgrade, as the file has it. */
export interface UpgradeOutcome {
  /** Process that was to be replaced. */
  readonly pid: number
  /** Process that has replaced it; undefined: it was not replaced. */
  readonly successor?: number
  /** Why it was not replaced. */
  readonly why?: string
}

/**
 * Replaces this process.
 *
 * @returns the successor, which listens and has the data directory; undefined when this process continues to run,
 *   with the reason in the log.
 */
export async function upgrade(parts: UpgradeParts): Promise<Successor | undefined> {
  const { logger, store, restart } = parts
  const { directory } = store
  logger.info({}, 'upgrade: starting the successor')
  try {
    if (restart.obstacle !== undefined) throw new HandOverError(restart.obstacle)
    const successor = await replace(parts)
    logger.info({ successor: successor.pid }, 'upgrade: the successor has taken over')
    noteOutcome(directory, { pid: process.pid, successor: successor.pid })
    return successor
  } catch (error) {
    const isStopping = parts.signal.aborted
    const why = isStopping ? 'the server is stopping' : errorText(error)
    if (isStopping) logger.info({}, 'upgrade ended: the server is stopping')
    else logger.error({ why }, 'upgrade failed: this process continues to run')
    noteOutcome(directory, { pid: process.pid, why })
    return undefined
  }
}

function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

async function replace(parts: UpgradeParts): Promise<Successor> {
  const { server, cluster, store, tls, restart, timeoutMs, delayMs, signal } = parts
  const state: HandedState = {
    expected: server.expected,
    ticketKeys: Object.fromEntries(
      Object.entries(tls.ticketKeys).map(([name, keys]) => [name, keys.toString('base64')]),
    ),
    ...(cluster !== undefined && { heldNames: cluster.heldNames }),
  }
  const sockets = [...server.descriptors(), ...(cluster?.descriptors() ?? [])]
  const { command, env } = restart
  const successor = await Successor.start({ command, env, sockets, state, timeoutMs, signal })
  try {
    // Kept-alive visitors connect again after their next answer; this process still serves them.
    server.discourageKeepAlive(true)
    await delay(delayMs, undefined, { signal })
    store.handOver()
    await successor.takeOver()
  } catch (error) {
    await successor.kill()
    takeBack(parts)
    // A server that is stopping ends the connections of its visitors itself.
    if (!signal.aborted) server.discourageKeepAlive(false)
    throw error
  }
  return successor
}

function takeBack({ store, operatorKey, logger }: UpgradeParts): void {
  try {
    store.takeBack()
    operatorKey?.renew()
  } catch (error) {
    if (!isStoreError(error)) throw error
    logger.error({ err: error }, 'the data directory has another owner: nothing is stored any more')
  }
}

/** Writes the outcome for the command `upgrade`. */
export function noteOutcome(directory: string | undefined, outcome: UpgradeOutcome): void {
  if (directory === undefined) return
  try {
    writeFileSync(join(directory, OUTCOME_FILE), `${JSON.stringify(outcome)}\n`, { mode: 0o600 })
  } catch {
    // The command `upgrade` reads it; the log has the outcome too.
  }
}

/** Reads what the process that this one replaces has sent. */
export function handedState({ state }: { readonly state: unknown }): {
  readonly expected: ExpectedEndpoints
  readonly ticketKeys: TicketKeys
  readonly heldNames: readonly HeldName[] | undefined
} {
  const { expected, ticketKeys, heldNames } = state as HandedState // of the same version of the messages
  return {
    expected,
    heldNames,
    ticketKeys: Object.fromEntries(
      Object.entries(ticketKeys).map(([name, keys]) => [name, Buffer.from(keys, 'base64')]),
    ),
  }
}
