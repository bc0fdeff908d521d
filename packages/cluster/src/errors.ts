/** Code of a {@link ClusterError}; each is explained in {@link CLUSTER_ERRORS} and the README. */
export type ClusterErrorCode =
  | 'CLUSTER_CLOSED'
  | 'CLUSTER_DATABASE_BUSY'
  | 'CLUSTER_DATABASE_FAILED'
  | 'CLUSTER_DATABASE_READ_ONLY'
  | 'CLUSTER_DATABASE_REFUSED'
  | 'CLUSTER_DATABASE_TOO_OLD'
  | 'CLUSTER_DATABASE_UNREACHABLE'
  | 'CLUSTER_NODE_ID_TAKEN'
  | 'CLUSTER_NODE_REPLACED'
  | 'CLUSTER_OPTION_INVALID'
  | 'CLUSTER_ROUTE_INVALID'
  | 'CLUSTER_ROW_INVALID'
  | 'CLUSTER_SCHEMA_NEWER'

/** What a code means. */
export interface ClusterErrorInfo {
  /** The failure in one sentence. */
  readonly what: string
  /** Whether the same call may succeed later without a change of options. */
  readonly retryable: boolean
  /** What a programmer can do about it. */
  readonly hint: string
}

/** Table: every code with its meaning and what to do; the README prints it, a test compares them. */
export const CLUSTER_ERRORS: Readonly<Record<ClusterErrorCode, ClusterErrorInfo>> = Object.freeze({
  CLUSTER_CLOSED: {
    what: 'the membership or the engine is closed',
    retryable: false,
    hint: 'make a new one',
  },
  CLUSTER_DATABASE_BUSY: {
    what: 'too many calls wait for the database',
    retryable: true,
    hint: 'call again later; find out why the database answers slowly',
  },
  CLUSTER_DATABASE_FAILED: {
    what: 'the database answered with an error',
    retryable: true,
    hint: '`sqlState` is its code; see the appendix on error codes of the PostgreSQL manual',
  },
  CLUSTER_DATABASE_READ_ONLY: {
    what: 'the database takes no writes: it is a standby, or set to read only',
    retryable: true,
    hint: 'give `url` the address of the primary',
  },
  CLUSTER_DATABASE_REFUSED: {
    what: 'the database refused the user, the password, the database name or a right',
    retryable: true,
    hint: 'check `url`; the user has to own the schema or be allowed to create tables in it',
  },
  CLUSTER_DATABASE_TOO_OLD: {
    what: 'the database is older than PostgreSQL 13',
    retryable: false,
    hint: 'give `url` a newer server',
  },
  CLUSTER_DATABASE_UNREACHABLE: {
    what: 'the database did not answer in time, or the connection failed',
    retryable: true,
    hint: 'check the host and port of `url`, and `timeoutMs`',
  },
  CLUSTER_NODE_ID_TAKEN: {
    what: 'the row of this node belongs to another run of it, whose lease is not over',
    retryable: true,
    hint: 'wait until that lease is over; if another process uses the same `id`, give each its own',
  },
  CLUSTER_NODE_REPLACED: {
    what: 'another process joined with the same node id',
    retryable: false,
    hint: 'give each process its own `id`',
  },
  CLUSTER_OPTION_INVALID: {
    what: 'an option has a value out of its range',
    retryable: false,
    hint: 'the message names the option and its range',
  },
  CLUSTER_ROUTE_INVALID: {
    what: 'a name, identity or rule that the database cannot store',
    retryable: false,
    hint: 'leave out NUL and unpaired surrogates, and keep to the limits',
  },
  CLUSTER_ROW_INVALID: {
    what: 'a row of the database has values that no node writes: it is left out',
    retryable: true,
    hint: 'find out which other client writes to the tables; the node that the row is of writes it again',
  },
  CLUSTER_SCHEMA_NEWER: {
    what: 'the tables were made by a newer version of the program',
    retryable: false,
    hint: 'run that version, or use another database',
  },
})

/** What else an error knows. */
export interface ClusterErrorDetails {
  /** The option that is wrong, where one is. */
  readonly option?: string
  /** Code of the database, five characters, where it answered. */
  readonly sqlState?: string
}

/** The error class of this package. Holds no part of a database URL, and no `cause`, which could. */
export class ClusterError extends Error {
  override readonly name = 'ClusterError'
  /** Stable code: a key of {@link CLUSTER_ERRORS}. */
  readonly code: ClusterErrorCode
  /** The option that is wrong; undefined where none is. */
  readonly option: string | undefined
  /** Code of the database, five characters; undefined where it did not answer. */
  readonly sqlState: string | undefined
  /** What the message says behind the meaning of the code; undefined where that is all. */
  readonly detail: string | undefined

  /**
   * @param detail - never a part of a password or a database URL.
   */
  constructor(
    code: ClusterErrorCode,
    detail?: string,
    { option, sqlState }: ClusterErrorDetails = {},
  ) {
    const { what } = CLUSTER_ERRORS[code]
    super([what, option, detail].filter((part) => part !== undefined).join(': '))
    this.code = code
    this.option = option
    this.sqlState = sqlState
    this.detail = detail
  }

  /** Whether the same call may succeed later without a change of options. */
  get retryable(): boolean {
    return CLUSTER_ERRORS[this.code].retryable
  }
}

/** Tells whether a value is a {@link ClusterError}, of the given code if one is given. */
export function isClusterError(value: unknown, code?: ClusterErrorCode): value is ClusterError {
  if (!(value instanceof Error) || value.name !== 'ClusterError' || !('code' in value)) return false
  return code === undefined
    ? Object.hasOwn(CLUSTER_ERRORS, String(value.code))
    : value.code === code
}
