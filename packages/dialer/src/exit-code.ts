import type { FailureKind } from './errors.ts'
import { isDialError } from './is-dial-error.ts'

const EXIT_CODES: Readonly<Record<FailureKind, number>> = {
  config: 2,
  network: 3,
  proxy: 4,
  tls: 5,
  server: 6,
}

/**
 * Returns the exit code a command line ends with: 2 for a mistake in the configuration, 3 network,
 * 4 proxy, 5 TLS, 6 refused by the server, 1 for anything else. A proxy that cannot be reached is 4.
 */
export function exitCodeFor(error: unknown): number {
  if (error instanceof TypeError || error instanceof RangeError) return EXIT_CODES.config
  if (!isDialError(error)) return 1
  const atProxy = error.kind === 'network' && error.leg === 'proxy'
  return EXIT_CODES[atProxy ? 'proxy' : error.kind]
}
