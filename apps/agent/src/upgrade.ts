/**
 * The upgrade in place: this process starts its successor from the installed files and hands it the listening
 * sockets of the local addresses and of the admin port. The successor connects to the server as the same
 * agent and serves the same endpoints; what runs here ends here.
 */
import { HandOverError, type Restart, Successor } from '@proj/program-kit'
import type { Logger } from '@proj/tunnel'

import type { ListenerRequest } from './listeners/added-listener.ts'
import type { HandedAgentSocket } from './access/handed-unix-sockets.ts'

/** What an agent sends its successor besides the sockets. */
export interface HandedState {
  /** Id of the agent at the server. */
  readonly peer: string
  /** Endpoints that were served: the successor is ready when it serves them. */
  readonly online: readonly string[]
  /** At how many servers. */
  readonly servers: number
  /** Listeners that commands have added; absent from an earlier version. */
  readonly added?: readonly ListenerRequest[]
  /** Endpoints of the configuration that commands have removed; absent from an earlier version. */
  readonly removed?: readonly string[]
  /** Whether the accesses had a connection to the server. */
  readonly isConsumerUp: boolean
}

/** What an upgrade works with. */
export interface UpgradeParts {
  readonly restart: Restart
  readonly logger: Logger
  /** How long the successor may take for each of its two steps, ms. */
  readonly timeoutMs: number
  /** How long a successor that fails may serve what it has begun, ms. */
  readonly gracePeriodMs: number
  /** A unix socket that listens and cannot be handed over. */
  readonly findUnhandable: () => string | undefined
  /** What the successor gets. */
  readonly collect: () => {
    readonly sockets: readonly HandedAgentSocket[]
    readonly state: HandedState
  }
  /** Ends the upgrade: this process is told to stop. */
  readonly signal: AbortSignal
}

/** Result of an upgrade. */
export type UpgradeOutcome =
  | { readonly successor: number; readonly why?: undefined }
  /** The running process was not replaced. */
  | { readonly successor?: undefined; readonly why: string }

/** A running agent's replacement, once at a time. */
export class Upgrade {
  /** The process that has taken over. */
  successor: Successor | undefined
  readonly #parts: UpgradeParts
  readonly #onDone: () => void
  #isRunning = false

  /** @param onDone - called when a successor has taken over. */
  constructor(parts: UpgradeParts, onDone: () => void) {
    this.#parts = parts
    this.#onDone = onDone
  }

  /** Whether a successor is being started. */
  get isRunning(): boolean {
    return this.#isRunning
  }

  /** Replaces this process. Never rejects; the reason of a failure is in the log too. */
  async begin(): Promise<UpgradeOutcome> {
    const { logger, signal } = this.#parts
    if (this.#isRunning || signal.aborted) {
      const why = 'an upgrade is running, or the agent is stopping'
      logger.warn({ why }, 'upgrade not begun')
      return { why }
    }
    this.#isRunning = true
    logger.info({}, 'upgrade: starting the successor')
    try {
      const successor = await this.#replace()
      logger.info({ successor: successor.pid }, 'upgrade: the successor has taken over')
      this.successor = successor
      this.#onDone()
      return { successor: successor.pid }
    } catch (error) {
      if (signal.aborted) {
        logger.info({}, 'upgrade ended: the agent is stopping')
        return { why: 'the agent is stopping' }
      }
      const why = error instanceof Error ? error.message : String(error)
      logger.error({ why }, 'upgrade failed: this process continues to run')
      return { why }
    } finally {
      this.#isRunning = false
    }
  }

  async #replace(): Promise<Successor> {
    const {
      restart,
      timeoutMs,
      gracePeriodMs: endMs,
      signal,
      collect,
      findUnhandable,
    } = this.#parts
    const { command, env, obstacle } = restart
    if (obstacle !== undefined) throw new HandOverError(obstacle)
    const unix = findUnhandable()
    if (unix !== undefined) {
      throw new HandOverError(
        `${unix} cannot be handed over; restart the agent with on_conflict=wait`,
      )
    }
    const how = { command, env, timeoutMs, endMs, signal, ...collect() }
    const successor = await Successor.start(how)
    await successor.takeOver()
    return successor
  }
}
