import { setMaxListeners } from 'node:events'
import { setImmediate as turn } from 'node:timers/promises'

import { escapeLines } from '@proj/config'

import { EXIT, UserError } from './exit-code.ts'

type Signal = 'SIGHUP' | 'SIGINT' | 'SIGTERM' | 'SIGUSR1' | 'SIGUSR2'

/** Where a program writes; a terminal says so and tells its width. */
export type TextOutput = NodeJS.WritableStream & {
  readonly isTTY?: boolean
  readonly columns?: number
}

/** The parts of a process a program needs; `process` is one. */
export interface ProgramHost {
  /** Where its answer goes. */
  readonly stdout: NodeJS.WritableStream
  /** Where its last words go. */
  readonly stderr: NodeJS.WritableStream
  /** Begins to listen for a signal. */
  on(event: Signal, listener: (signal?: unknown) => void): unknown
  /** Stops to listen for a signal. */
  off(event: Signal, listener: (signal?: unknown) => void): unknown
}

/** Signals that a running program reacts to. */
export interface ProgramSignals {
  /** Aborted by the first SIGINT or SIGTERM: finish what runs. */
  readonly stop: AbortSignal
  /** Whether SIGINT stopped it: at a terminal the end is waited for. */
  readonly isInterrupted: () => boolean
  /** Aborted by the second: end now. */
  readonly kill: AbortSignal
  /**
   * Calls back on every SIGHUP until the program ends. A program that does not ask is ended by SIGHUP,
   * as a program in a closed terminal should be.
   */
  readonly onReload: (listener: () => void) => void
  /**
   * Calls back on every SIGUSR2 until the program ends; never on Windows. A program that does not ask is
   * ended by SIGUSR2.
   */
  readonly onUpgrade: (listener: () => void) => void
  /**
   * Calls back on every SIGUSR1 until the program ends; never on Windows. In a program that does not ask, Node opens
   * its debugger.
   */
  readonly onReopen: (listener: () => void) => void
}

/** Resolves once a signal has aborted. */
export async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  await new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

/**
 * Runs a program's body to its exit code. A UserError is printed as sentence and hint; anything else
 * that escapes is a defect and is printed with its stack.
 *
 * When the reader of standard output is gone (`| head`), the program stops and prints nothing more. When
 * standard output cannot be written for another reason, such as a full disk, it ends with EXIT.failed.
 */
export async function runProgram(
  name: string,
  host: ProgramHost,
  body: (signals: ProgramSignals) => Promise<number>,
): Promise<number> {
  const stop = new AbortController()
  const kill = new AbortController()
  // Each listener and access of a program waits on them; the configuration bounds their number.
  setMaxListeners(0, stop.signal, kill.signal)
  let isInterrupted = false
  const onSignal = (signal: unknown): void => {
    if (stop.signal.aborted) kill.abort()
    else {
      isInterrupted = signal === 'SIGINT'
      stop.abort()
    }
  }
  const onReload = new Set<() => void>()
  const onUpgrade = new Set<() => void>()
  const onReopen = new Set<() => void>()
  let outputError: NodeJS.ErrnoException | undefined
  // Both stay until the process ends: an error may come behind the last write.
  host.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (outputError !== undefined) return
    outputError = error
    stop.abort()
  })
  host.stderr.on('error', () => {}) // without its log a program goes on
  host.on('SIGINT', onSignal)
  host.on('SIGTERM', onSignal)
  try {
    const code = await body({
      stop: stop.signal,
      isInterrupted: () => isInterrupted,
      kill: kill.signal,
      onReload: (listener) => {
        onReload.add(listener)
        host.on('SIGHUP', listener)
      },
      onUpgrade: (listener) => {
        if (process.platform === 'win32') return // it has no such signal
        onUpgrade.add(listener)
        host.on('SIGUSR2', listener)
      },
      onReopen: (listener) => {
        if (process.platform === 'win32') return
        onReopen.add(listener)
        host.on('SIGUSR1', listener)
      },
    })
    await turn() // the error of the last write comes after it
    if (isBroken(outputError)) {
      host.stderr.write(`${name}: standard output: ${escapeLines(outputError.message)}\n`)
      return code === EXIT.ok ? EXIT.failed : code
    }
    return code
  } catch (error) {
    if (error instanceof UserError) {
      host.stderr.write(`${name}: ${escapeLines(error.message)}\n`)
      if (error.hint !== undefined) host.stderr.write(`  ${escapeLines(error.hint)}\n`)
      return error.exitCode
    }
    const stack = error instanceof Error ? (error.stack ?? error.message) : String(error)
    host.stderr.write(`${name}: a defect of ours, please report it\n${escapeLines(stack)}\n`)
    return EXIT.internal
  } finally {
    host.off('SIGINT', onSignal)
    host.off('SIGTERM', onSignal)
    for (const listener of onReload) host.off('SIGHUP', listener)
    for (const listener of onUpgrade) host.off('SIGUSR2', listener)
    for (const listener of onReopen) host.off('SIGUSR1', listener)
  }
}

/** Whether output was lost that its reader still expects. */
function isBroken(error: NodeJS.ErrnoException | undefined): error is NodeJS.ErrnoException {
  return error !== undefined && error.code !== 'EPIPE'
}
