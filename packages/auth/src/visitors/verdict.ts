import type { RefusalCode } from './refusals.ts'

/** What is known of a request, or of a connection, when it is judged. */
export interface VisitorRequest {
  /** Header fields as sent: name, value, name, value. Hold credentials: never log them. */
  readonly headers: readonly string[]
  /** Address of whoever asks; undefined where it is not known, which no address rule admits. */
  readonly address: string | undefined
  /** Endpoint it is for, named in the challenge. */
  readonly endpoint: string
}

/** The request may pass. */
export interface Admission {
  /** Tells the two verdicts apart. */
  readonly admitted: true
  /** Whether its Authorization was meant for us, so that nobody behind us may see it. */
  readonly consumed: boolean
}

/** The request may not pass: what to answer. */
export interface Refusal {
  /** Tells the two verdicts apart. */
  readonly admitted: false
  /** HTTP status. */
  readonly status: number
  /** Text for people. */
  readonly error: string
  /** Stable code for programs, of {@link REFUSAL_CODES}. */
  readonly code: RefusalCode
  /** Further headers of the answer: name, value, name, value. */
  readonly headers: readonly string[]
}

/** What was decided. */
export type Verdict = Admission | Refusal
