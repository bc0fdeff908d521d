/** Who is signed in, and what the page does when the server asks for credentials. */
import { signal } from '@preact/signals'

import type { BegunSignIn, NewSession, Session, SignInWays } from '../console-contract.ts'
import { ApiError } from '../parts/api-error.ts'
import { call, change, keepProof, read } from './api.ts'

/** Where the tab keeps a sign-in that has begun. */
const PENDING = 'adit-console-sign-in'

/** Whether the server answers, and whether it wants credentials first. */
export type Access = 'unknown' | 'open' | 'sign-in' | 'lost'

export const access = signal<Access>('unknown')
export const session = signal<Session | undefined>(undefined)
/** Whether the form is shown although the server lets read. */
export const wantsSignIn = signal(false)
/** The result of the last act; read out. */
export const notice = signal('')
/** Why the server denies this page; empty where it does not. */
export const denial = signal('')

/** Why the last sign-in failed; empty where it did not. */
export const signInProblem = signal('')

/** Finds out who asks. */
export async function enter(): Promise<void> {
  await endSignIn()
  try {
    session.value = (await read<Session>('session', ''))?.value
    access.value = 'open'
  } catch (error) {
    failed(error)
  }
}

/** Notes what an error of any call says of the access. */
export function failed(error: unknown): void {
  if (!(error instanceof ApiError)) {
    access.value = access.peek() === 'sign-in' ? 'sign-in' : 'lost'
  } else if (error.code === 'key-required') wantsSignIn.value = true
  else if (
    error.status === 401 ||
    error.code === 'proxy-refused' ||
    error.code === 'loopback-only'
  ) {
    access.value = 'sign-in'
    denial.value = error.status === 401 ? '' : error.message
  } else if (error.status === 403 || error.status === 429) {
    access.value = 'sign-in'
    denial.value = error.message
  }
}

/** Signs in with a token. @throws {ApiError} */
export async function signIn(token: string): Promise<void> {
  const response = await call('POST', 'session', { headers: { authorization: `Bearer ${token}` } })
  signedIn((await response.json()) as NewSession)
}

function signedIn({ proof, ...own }: NewSession): void {
  keepProof(proof)
  session.value = own
  wantsSignIn.value = false
  denial.value = ''
  signInProblem.value = ''
  notice.value = `Signed in as ${own.identity}`
  access.value = 'open'
}

/** How people sign in besides with a token. */
export async function signInWays(): Promise<SignInWays> {
  return (await read<SignInWays>('sign-in', ''))?.value ?? { provider: null }
}

/** Goes to the provider, which comes back to this page. @throws {ApiError} */
export async function beginSignIn(): Promise<void> {
  const redirect = location.origin + location.pathname
  const { url, pending } = await change<BegunSignIn>('POST', 'sign-in/oidc', { redirect })
  // Of this tab and this origin with its port: no other page can end the sign-in.
  sessionStorage.setItem(PENDING, JSON.stringify({ pending, view: location.hash }))
  location.assign(url)
}

/** Ends the sign-in that the provider has come back from, if there is one. */
export async function endSignIn(): Promise<void> {
  const answer = location.search.slice(1)
  const kept = sessionStorage.getItem(PENDING)
  if (!/(?:^|&)state=/.test(answer)) return
  sessionStorage.removeItem(PENDING)
  // The code is no part of the address any more, and not of the way back.
  history.replaceState(null, '', location.pathname)
  if (kept === null) {
    // Any page can lead here: it must not cost the failures that an address may have, nor hide the console.
    signInProblem.value = 'The sign-in was not begun in this browser. Press Sign in again.'
    return
  }
  const { pending, view } = JSON.parse(kept) as { pending: string; view: string }
  if (view !== '') location.hash = view
  try {
    signedIn(await change<NewSession>('POST', 'sign-in', { pending, answer }))
  } catch (error) {
    wantsSignIn.value = true
    signInProblem.value = error instanceof Error ? error.message : String(error)
  }
}

/** Signs out. */
export async function signOut(): Promise<void> {
  try {
    await change('DELETE', 'session')
  } catch {
    // it has ended by itself
  }
  keepProof(undefined)
  session.value = undefined
  notice.value = ''
  access.value = 'unknown'
  await enter()
}
