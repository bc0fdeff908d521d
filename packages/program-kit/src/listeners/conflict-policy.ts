import type { ListenerSettings } from './listener-settings.ts'

/** What a log line about a listener goes to. */
interface BindLogger {
  warn(fields: Readonly<Record<string, unknown>>, message: string): void
}

/** What becomes of a taken port, as portcheck takes it. */
export interface ConflictPolicy {
  /** Every address, or none. */
  readonly require: 'all'
  /** What is done about a taken port. */
  readonly conflict: ListenerSettings['onConflict']
  /** How long `wait` waits, ms. */
  readonly waitMs: number
  /** Says in the log who is waited for. */
  readonly onWait: (error: Error) => void
}

/**
 * What becomes of a taken port.
 *
 * @param listener - name of the listener in the log.
 */
export function conflictPolicy(
  { onConflict, waitMs }: Pick<ListenerSettings, 'onConflict' | 'waitMs'>,
  { listener, logger }: { readonly listener: string; readonly logger: BindLogger },
): ConflictPolicy {
  return {
    require: 'all',
    conflict: onConflict,
    waitMs,
    onWait: ({ message }) => logger.warn({ listener, why: message, waitMs }, 'waiting for a port'),
  }
}
