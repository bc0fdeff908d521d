import { isAuthError } from '@proj/auth'
import type * as OAuth from 'oauth4webapi'

/** Why a sign-in failed. */
export type SignInFailure =
  /** It was not begun here, or too long ago. */
  | 'invalid'
  /** The provider did not sign in, or the person may not use the console. */
  | 'refused'
  /** The provider cannot be reached, or its answer cannot be used. */
  | 'unavailable'
  /** Too many at once. */
  | 'busy'

/** Ends a sign-in. */
export class SignInError extends Error {
  override readonly name = 'SignInError'
  readonly failure: SignInFailure

  /** @param why - for the log: no secret, and nothing that the provider says of a person. */
  constructor(failure: SignInFailure, why: string) {
    super(why)
    this.failure = failure
  }
}

/** What ends a sign-in when asking the provider has failed. */
export function signInError(oauth: typeof OAuth, error: unknown): SignInError {
  if (error instanceof SignInError) return error
  if (error instanceof oauth.ResponseBodyError) {
    // The code is used up, too old, or of another sign-in; everything else is how the client is set up.
    const failure = error.error === 'invalid_grant' ? 'refused' : 'unavailable'
    return new SignInError(failure, `the provider answered ${wordOf(error.error)}`)
  }
  if (isAuthError(error)) {
    return new SignInError(error.retryable ? 'unavailable' : 'refused', error.message)
  }
  return new SignInError('unavailable', messageOf(error))
}

/** A word of the provider for the log. */
export function wordOf(word: string): string {
  return JSON.stringify(word.slice(0, 100))
}

/** The reason in one sentence. */
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  // The message of fetch is always "fetch failed"; its cause has the reason.
  const { cause } = error
  return cause instanceof Error && error instanceof TypeError ? cause.message : error.message
}
