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
  | 'STORE_OUTDATED'
  | 'STORE_READ_ONLY'
  | 'STORE_REFUSED'
  | 'STORE_TOO_OLD'
  | 'STORE_UNAVAILABLE'
  | 'STORE_UNUSABLE'

/** What a code means. */
interface StoreErrorInfo {
  /** The failure in one sentence. */
  readonly what: string
  /** What the operator can do. */
  readonly hint: string
}

/** Table: every code with its meaning and what to do. */
export const STORE_ERRORS: Readonly<Record<StoreErrorCode, StoreErrorInfo>> = Object.freeze({
  STORE_BUSY: {
    what: 'another program holds the file locked, or the process that writes it does not answer in time',
    hint: 'try again; if it lasts, end the program that has the file open, or restart the server',
  },
  STORE_CLOSED: {
    what: 'the store was closed',
    hint: 'the server is ending',
  },
  STORE_CORRUPT: {
    what: 'the file is damaged, or belongs to another program',
    hint: 'put a backup in its place (docs/names.md), or name another data_dir',
  },
  STORE_DIRECTORY_UNSAFE: {
    what: 'the data directory belongs to another user, or others may write to it',
    hint: 'run as the owner of the directory, and let no other user write to it: chmod 700',
  },
  STORE_EMPTIED: {
    what: 'the tables in the database have gone',
    hint: 'the server makes its tables again; restore a backup if names and tokens are missing',
  },
  STORE_FULL: {
    what: 'the disk is full',
    hint: 'make room on the disk; what was acknowledged before is safe',
  },
  STORE_HANDED_OVER: {
    what: 'the data directory belongs to the process that has taken over',
    hint: 'ask again: the process that has taken over answers then',
  },
  STORE_IN_USE: {
    what: 'another server uses the data directory',
    hint: 'stop that server, or name another data_dir',
  },
  STORE_LOST: {
    what: 'the file that was there at the last start is missing or empty',
    hint: 'put a backup in its place (docs/names.md); to begin anew without its names and tokens remove adit.stamp',
  },
  STORE_NEWER: {
    what: 'a newer version wrote the stored data',
    hint: 'run the version that wrote it, or a newer one',
  },
  STORE_NOT_EMPTY: {
    what: 'the database that is to be filled has rows',
    hint: 'name an empty database: nothing in it is overwritten',
  },
  STORE_OUTDATED: {
    what: 'a worker is of a newer version than its parent, which has not brought the file up to date',
    hint: 'restart the server: its parent process is of an older version than its workers',
  },
  STORE_READ_ONLY: {
    what: 'the database takes no writes',
    hint: 'let cluster.database_url name the primary: a standby, or a database that is set to read only, takes no changes',
  },
  STORE_REFUSED: {
    what: 'the database refused the connection or a right',
    hint: 'check user, password, name and TLS of the database in cluster.database_url, and the rights of the user',
  },
  STORE_TOO_OLD: {
    what: 'the database is older than PostgreSQL 13',
    hint: 'use PostgreSQL 13 or newer',
  },
  STORE_UNAVAILABLE: {
    what: 'the database cannot be reached',
    hint: 'check that the database in cluster.database_url runs and can be reached from here, then try again',
  },
  STORE_UNUSABLE: {
    what: 'the data directory or its file cannot be opened, read or written',
    hint: 'make it a directory the server may write to, or name another data_dir',
  },
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
    this.hint = STORE_ERRORS[code].hint
  }
}

/** Tells a StoreError, optionally of one code. */
export function isStoreError(error: unknown, code?: StoreErrorCode): error is StoreError {
  return error instanceof StoreError && (code === undefined || error.code === code)
}
