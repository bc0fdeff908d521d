/** One line of a log: data in fields, a constant phrase as message. */
export type LogLine = (fields: Readonly<Record<string, unknown>>, message: string) => void

/** What this package needs of a logger; pino fits as it is. */
export interface Logger {
  /** Events of single streams. */
  debug: LogLine
  /** Events of sessions. */
  info: LogLine
  /** What was rejected, or is tried again. */
  warn: LogLine
  /** A fault of this program. */
  error: LogLine
}

/** Logs nothing; the default everywhere. */
export const silentLogger: Logger = { debug() {}, info() {}, warn() {}, error() {} }
