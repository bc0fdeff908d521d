import { escapeLines } from '@proj/config'
import pino from 'pino'

import { LogRate } from './log-rate.ts'
import { formatLogLine } from './log-line.ts'

/** Levels from silent to chatty. */
export const LOG_LEVELS: readonly ['silent', 'error', 'warn', 'info', 'debug'] = [
  'silent',
  'error',
  'warn',
  'info',
  'debug',
]

/** Pino's number of the level `info`; below it are lines that an operator asked for. */
const INFO = 30

/** Message of the lines that count what was left out. */
const LEFT_OUT = 'log lines left out, there were too many of this event'

/** Where log lines go; a stream is one. */
export interface LogOutput {
  /** Takes a whole line with its end. */
  write(line: string): unknown
  /** Whether it is a terminal. */
  readonly isTTY?: boolean
}

/** How a program logs. */
export interface LoggerOptions {
  /** Least important level that is written. */
  readonly level: (typeof LOG_LEVELS)[number]
  /** `json`: one object per line; `text`: lines of text; `auto`: text on a terminal, JSON elsewhere. */
  readonly format: 'auto' | 'json' | 'text'
  /** Where lines go: standard error, so that standard output stays the program's answer. */
  readonly stream: LogOutput
  /** Whether colours are wanted. They are shown on a terminal, in text format. */
  readonly colour: boolean
  /** What to do about an error, in the words of the program's settings. Default: the error's own hint. */
  readonly hintOf?: (error: Error) => string | undefined
  /** Bounds lines from `info` on. Default: one of its own, with its default. */
  readonly rate?: LogRate
}

/** Makes the logger of a program; every package of ours takes it as it is. */
export function createLogger(options: LoggerOptions): pino.Logger {
  const { level, stream, hintOf, rate = new LogRate() } = options
  const terminal = stream.isTTY === true
  const text = options.format === 'text' || (options.format === 'auto' && terminal)
  const colour = options.colour && terminal
  const destination = {
    write: (line: string) => stream.write(text ? formatLogLine(line, colour) : escapeLines(line)),
  }
  const logger = pino(
    {
      level,
      // The log collector knows process and host; in each line they would be noise.
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: (error: unknown) => describeError(error, hintOf) },
      hooks: {
        logMethod(args: unknown[], method, severity) {
          const message = typeof args[0] === 'string' ? args[0] : args[1]
          const isBounded = severity >= INFO && typeof message === 'string'
          if (isBounded && message !== LEFT_OUT && !rate.admits(kindOf(message, args[0]))) return
          Reflect.apply(method, this, args)
        },
      },
    },
    destination,
  )
  rate.onReport((fields) => logger.warn(fields, LEFT_OUT))
  return logger
}

/** Of an error its words and code; stacks only where we are at fault, and those the program prints. */
function describeError(error: unknown, hintOf: LoggerOptions['hintOf']): unknown {
  if (!(error instanceof Error)) return undefined
  const { code, hint: own } = error as { code?: unknown; hint?: unknown }
  const hint = hintOf?.(error) ?? own
  return {
    message: error.message,
    ...(typeof code === 'string' && { code }),
    ...(typeof hint === 'string' && { hint }),
  }
}

/** Lines of one message can be of several events, as those of the audit log are: each has its own rate. */
function kindOf(message: string, fields: unknown): string {
  const event = typeof fields === 'object' && fields !== null && 'event' in fields && fields.event
  return typeof event === 'string' ? `${message} ${event}` : message
}
