import { setTimeout as delay } from 'node:timers/promises'

import {
  isPortcheckError,
  listenUnix,
  type ListenUnixOptions,
  type PortcheckError,
  type UnixListener,
} from '@proj/portcheck'

/** How a unix socket is opened. */
export interface OpenUnixOptions extends ListenUnixOptions {
  /** How long to wait while another program listens on it, ms. */
  readonly waitMs: number
  /** Called once when the wait begins. */
  readonly onWait: (error: PortcheckError) => void
  /** Ends the wait; the call then rejects with its reason. */
  readonly signal: AbortSignal
}

/** Pause between two attempts, ms; each looks for the holder, which reads much of /proc. */
const PAUSE_MS = 500

/**
 * Listens on a unix socket, waiting for it as the policy says.
 *
 * @throws {PortcheckError} when it is not free in time, or `signal.reason`.
 */
export async function openUnixBind(path: string, options: OpenUnixOptions): Promise<UnixListener> {
  const { waitMs, onWait, signal } = options
  const deadline = performance.now() + waitMs
  for (let told = false; ; told = true) {
    signal.throwIfAborted()
    try {
      return await listenUnix(path, options)
    } catch (error) {
      const left = deadline - performance.now()
      if (!isPortcheckError(error, 'PORTCHECK_PORT_BUSY') || left <= 0) throw error
      if (!told) onWait(error)
      await delay(Math.min(PAUSE_MS, left), undefined, { signal }).catch(() => {})
    }
  }
}
