/** Who is signed in, and what the page does when the server asks for credentials. */
import { signal } from '@preact/signals'

import type { NewSession, Session } from '../console-contract.ts'
import { ApiError } from '../parts/api-error.ts'
import { call, change, keepProof, read } from './api.ts'

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

/** Finds out who asks. */
export async function enter(): Promise<void> {
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
  const { proof, ...own } = (await response.json()) as NewSession
  keepProof(proof)
  session.value = own
  wantsSignIn.value = false
  denial.value = ''
  notice.value = `Signed in as ${own.identity}`
  access.value = 'open'
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
