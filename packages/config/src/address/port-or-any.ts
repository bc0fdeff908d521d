import { ConfigError } from '../errors.ts'
import { MAX_PORT, tryParsePort } from './port.ts'
import { quote } from '../sources/quote.ts'

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
