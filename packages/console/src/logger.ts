import pino from 'pino'

import { formatLogLine } from './log-line.ts'

/** Levels from silent to chatty. */
export const LOG_LEVELS: readonly ['silent', 'error', 'warn', 'info', 'debug'] = [
  'silent',
  'error',
  'warn',
  'info',
  'debug',
]

/** How a program logs. */
export interface LoggerOptions {
  /** Least important level that is written. */
  readonly level: (typeof LOG_LEVELS)[number]
  /** `json`: one object per line; `text`: for people. */
  readonly format: 'json' | 'text'
  /** Where lines go: standard error, so that standard output stays the program's answer. */
  readonly stream: NodeJS.WritableStream
  /** Whether a terminal shows colours. Text format only. */
  readonly colour: boolean
}

/** Makes the logger of a program; every package of ours takes it as it is. */
export function createLogger(options: LoggerOptions): pino.Logger {
  const { level, format, stream, colour } = options
  const destination = {
    write: (line: string) => stream.write(format === 'json' ? line : formatLogLine(line, colour)),
  }
  return pino(
    {
      level,
      // Process and host are said by whoever collects the lines; here they would be noise.
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: describeError },
    },
    destination,
  )
}

/** Of an error its words and code; stacks only where we are at fault, and those the program prints. */
function describeError(error: unknown): unknown {
  if (!(error instanceof Error)) return undefined
  const code = 'code' in error ? String(error.code) : undefined
  const hint = 'hint' in error && error.hint !== undefined ? { hint: String(error.hint) } : {}
  return { message: error.message, ...(code !== undefined && { code }), ...hint }
}
