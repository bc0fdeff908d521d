/**
 * How a program of ours ends, the same everywhere. Programs that start others read these, so a number
 * never changes its meaning.
 */
export const EXIT: Readonly<{
  ok: 0
  /** It could not be done; trying again may help. */
  failed: 1
  /** The command line or the configuration is wrong. */
  usage: 2
  /** An address to listen on is not available. */
  addressTaken: 3
  /** The server rejected us: credentials, permissions or the name of an endpoint. */
  refused: 4
  /** A defect of ours (EX_SOFTWARE of sysexits.h). */
  internal: 70
}> = Object.freeze({ ok: 0, failed: 1, usage: 2, addressTaken: 3, refused: 4, internal: 70 })

/** What each exit code means, as docs/exit-codes.md says it. */
export const EXIT_MEANINGS: Readonly<Record<keyof typeof EXIT, string>> = Object.freeze({
  ok: 'Done, or ended because it was told to',
  failed: 'It could not be done; trying again may help',
  usage: 'The command line or the configuration is wrong',
  addressTaken:
    'An address to listen on cannot be bound; the message names the program that holds it',
  refused:
    'The server refused the credentials, the permissions, the name or the port of an endpoint',
  internal: 'A defect of the program, printed with its stack',
})

/** A mistake of the person at the keyboard, or of the world: said in words, never with a stack. */
export class UserError extends Error {
  override readonly name = 'UserError'
  /** Exit code of the program. */
  readonly exitCode: number
  /** Stable code of what is wrong; undefined: it has none. */
  readonly code: string | undefined
  /** What to do about it, one sentence. */
  readonly hint: string | undefined

  constructor(
    message: string,
    options: {
      readonly code?: string | undefined
      readonly exitCode: number
      readonly hint?: string | undefined
      readonly cause?: unknown
    },
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = options.code
    this.exitCode = options.exitCode
    this.hint = options.hint
  }
}
