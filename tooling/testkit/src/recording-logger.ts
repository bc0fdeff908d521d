// A logger that keeps what it is told. It has the five methods and `child` our packages ask of a
// logger, so a test can assert on fields, and that no secret is anywhere in the records.

/** One call of a log method, with the fields of its logger and of all its parents. */
export interface LogRecord {
  /** The method called. */
  readonly level: 'trace' | 'debug' | 'info' | 'warn' | 'error'
  /** Fields of the call over those of the child loggers. */
  readonly fields: Readonly<Record<string, unknown>>
  /** The constant phrase. */
  readonly message: string
}

/** A logger that appends to `records`, which its children share. */
export class RecordingLogger {
  /** Every call so far, oldest first. */
  readonly records: LogRecord[]
  readonly #fields: Readonly<Record<string, unknown>>

  constructor(records: LogRecord[] = [], fields: Readonly<Record<string, unknown>> = {}) {
    this.records = records
    this.#fields = fields
  }

  /** Records at level trace. */
  trace(fields: object, message: string): void {
    this.#record('trace', fields, message)
  }

  /** Records at level debug. */
  debug(fields: object, message: string): void {
    this.#record('debug', fields, message)
  }

  /** Records at level info. */
  info(fields: object, message: string): void {
    this.#record('info', fields, message)
  }

  /** Records at level warn. */
  warn(fields: object, message: string): void {
    this.#record('warn', fields, message)
  }

  /** Records at level error. */
  error(fields: object, message: string): void {
    this.#record('error', fields, message)
  }

  /** Returns a logger that adds `fields` to each of its records. */
  child(fields: object): RecordingLogger {
    return new RecordingLogger(this.records, { ...this.#fields, ...fields })
  }

  /** Records with this message. */
  find(message: string): LogRecord[] {
    return this.records.filter((record) => record.message === message)
  }

  #record(level: LogRecord['level'], fields: object, message: string): void {
    this.records.push({ level, fields: { ...this.#fields, ...fields }, message })
  }
}
