/** Name of the program's connections, as the views of PostgreSQL show it. */
export const APPLICATION_NAME = 'adit-server'

/**
 * What an answer of PostgreSQL means: it takes no writes; it refuses the user, the password, the database or a right;
 * its tables are gone; its disk is full; the connection or the server is ending, starting or full; it may succeed when
 * it is tried again.
 */
export type SqlFailure = 'readOnly' | 'refused' | 'emptied' | 'full' | 'unreachable' | 'passing'

/** Table: by the codes of PostgreSQL (appendix A of its manual), or each class of them; the first that fits. */
const FAILURES: readonly (readonly [prefix: string, failure: SqlFailure])[] = [
  ['25006', 'readOnly'],
  ['28', 'refused'], // invalid authorization
  ['3D', 'refused'], // no such database
  ['42501', 'refused'], // insufficient privilege
  ['42P01', 'emptied'], // no such table
  ['3F000', 'emptied'], // no such schema
  ['53100', 'full'],
  ['53300', 'unreachable'], // too many connections
  ['08', 'unreachable'], // connection
  ['57P0', 'unreachable'], // shut down, starting
  ['53', 'passing'], // insufficient resources
  ['55P03', 'passing'], // lock timeout
  ['57', 'passing'], // cancelled
  ['58', 'passing'], // error of its system
  ['25P03', 'passing'], // idle in a transaction for too long
  ['40', 'passing'], // rolled back, for example a deadlock
  ['XX', 'passing'], // internal error
]

/** How PostgreSQL names what is wrong; errors of the network and of pg have other codes or none. */
const SQL_STATE = /^(?=.*\d)[0-9A-Z]{5}$/

/** The code of PostgreSQL in an error of pg; undefined: it did not answer. */
export function sqlStateOf(error: unknown): string | undefined {
  const { code } = (error ?? {}) as { readonly code?: unknown }
  return typeof code === 'string' && SQL_STATE.test(code) ? code : undefined
}

/** What a code means; undefined: a statement is wrong. */
export function sqlFailureOf(sqlState: string): SqlFailure | undefined {
  return FAILURES.find(([prefix]) => sqlState.startsWith(prefix))?.[1]
}
