/** One line of a log: data in fields, a constant phrase as message. */
export type LogLine = (fields: Readonly<Record<string, unknown>>, message: string) => void

/** What this package needs of a logger; pino fits as it is. */
export interface Logger {
  /** Per stream. */
  debug: LogLine
  /** Per session. */
  info: LogLine
  /** Rejected or retried. */
  warn: LogLine
  /** A fault of this program. */
  error: LogLine
}

/** Logs nothing; the default everywhere. */
export const silentLogger: Logger = { debug() {}, info() {}, warn() {}, error() {} }
