/** What can go wrong with the stored data of the server. */
export type StoreErrorCode =
  | 'STORE_BUSY'
  | 'STORE_CLOSED'
  | 'STORE_CORRUPT'
  | 'STORE_DIRECTORY_UNSAFE'
  | 'STORE_EMPTIED'
  | 'STORE_FULL'
  | 'STORE_HANDED_OVER'
  | 'STORE_IN_USE'
  | 'STORE_LOST'
  | 'STORE_NEWER'
  | 'STORE_NOT_EMPTY'
  | 'STORE_READ_ONLY'
  | 'STORE_REFUSED'
  | 'STORE_TOO_OLD'
  | 'STORE_UNAVAILABLE'
  | 'STORE_UNUSABLE'

/** Table: what to do about each code. */
export const STORE_HINTS: Readonly<Record<StoreErrorCode, string>> = Object.freeze({
  STORE_BUSY: 'another program holds the file locked: end it, or try again',
  STORE_CLOSED: 'the server is ending',
  STORE_CORRUPT: 'put a backup in its place (docs/names.md), or name another data_dir',
  STORE_DIRECTORY_UNSAFE:
    'run as the owner of the directory, and let no other user write to it: chmod 700',
  STORE_EMPTIED:
    'the server makes its tables again; restore a backup if names and tokens are missing',
  STORE_FULL: 'make room on the disk; what was acknowledged before is safe',
  STORE_HANDED_OVER: 'ask again: the process that has taken over answers then',
  STORE_IN_USE: 'stop that server, or name another data_dir',
  STORE_LOST:
    'put a backup in its place (docs/names.md); to begin anew without its names and tokens remove adit.stamp',
  STORE_NEWER: 'run the version that wrote it, or a newer one',
  STORE_NOT_EMPTY: 'name an empty database: nothing in it is overwritten',
  STORE_READ_ONLY:
    'let cluster.database_url name the primary: a standby, or a database that is set to read only, takes no changes',
  STORE_REFUSED:
    'check user, password, name and TLS of the database in cluster.database_url, and the rights of the user',
  STORE_TOO_OLD: 'use PostgreSQL 13 or newer',
  STORE_UNAVAILABLE:
    'check that the database in cluster.database_url runs and can be reached from here, then try again',
  STORE_UNUSABLE: 'make it a directory the server may write to, or name another data_dir',
})

/** The one error class of the store. */
export class StoreError extends Error {
  override readonly name = 'StoreError'
  readonly code: StoreErrorCode
  /** What to do, one sentence. */
  readonly hint: string

  constructor(code: StoreErrorCode, message: string, options: { readonly cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.hint = STORE_HINTS[code]
  }
}

/** Tells a StoreError, optionally of one code. */
export function isStoreError(error: unknown, code?: StoreErrorCode): error is StoreError {
  return error instanceof StoreError && (code === undefined || error.code === code)
}
