import { ConfigError } from '../errors.ts'
import { quote } from '../printing/printable.ts'

export const MAX_PORT = 65_535

/** Ports from `first` to `last`, both included. */
export interface PortRange {
  /** Lowest port, 1 to 65535. */
  readonly first: number
  /** Highest port, `first` to 65535. */
  readonly last: number
}

/**
 * Reads a port: decimal digits without sign, exponent, space or leading zero.
 *
 * @returns the port, or undefined when the text is none
 */
export function tryParsePort(text: string): number | undefined {
  if (!/^(0|[1-9][0-9]{0,4})$/.test(text)) return undefined
  const port = Number(text)
  return port > MAX_PORT ? undefined : port
}

/**
 * Reads a port to ask for, `9901`, or `any`.
 *
 * @returns the port, 0 for any
 * @throws {ConfigError} CONFIG_PORT_INVALID when it is neither
 */
export function parsePort(text: string): number {
  if (text === 'any') return 0
  const port = tryParsePort(text)
  if (port !== undefined && port !== 0) return port
  throw new ConfigError(
    'CONFIG_PORT_INVALID',
    `${quote(text)} is not a port from 1 to ${MAX_PORT}`,
    { hint: port === 0 ? 'write any' : 'write 9901, or any' },
  )
}

/** Writes a port as {@link parsePort} reads it. */
export function formatPort(port: number): string {
  return port === 0 ? 'any' : `${port}`
}

/**
 * Reads one port or a range, `9901` or `9900-9999`.
 *
 * @throws {ConfigError} CONFIG_PORT_INVALID when it is neither, or the range runs backwards
 */
export function parsePortRange(text: string): PortRange {
  const [firstText = '', lastText = firstText, ...more] = text.split('-')
  const first = tryParsePort(firstText)
  const last = tryParsePort(lastText)
  if (more.length > 0 || !first || !last) {
    throw new ConfigError(
      'CONFIG_PORT_INVALID',
      `${quote(text)} is not a port or a range of ports from 1 to ${MAX_PORT}`,
      { hint: 'write 9901 or 9900-9999' },
    )
  }
  if (last < first) {
    throw new ConfigError('CONFIG_PORT_INVALID', `range ${quote(text)} runs backwards`, {
      hint: `write ${last}-${first}`,
    })
  }
  return { first, last }
}

/** Writes a range as {@link parsePortRange} reads it. */
export function formatPortRange(range: PortRange): string {
  return range.first === range.last ? `${range.first}` : `${range.first}-${range.last}`
}
