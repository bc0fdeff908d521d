/** Follows the changes of the server: what is shown of them is read again. */
import { effect } from '@preact/signals'

import { ApiError } from '../parts/api-error.ts'
import { followEvents } from '../parts/event-stream.ts'
import { call } from './api.ts'
import { reloadShown } from './resource.ts'
import { access, failed } from './session.ts'

/** Follows until the page is closed. */
export async function followChanges(): Promise<never> {
  await signedIn()
  return await followEvents({
    open: async (headers, signal) => await call('GET', 'events', { headers, signal }),
    onOpen: () => {
      if (access.peek() === 'lost') access.value = 'open'
    },
    onEvent: (event, data) => {
      if (event !== 'changed') return
      const { topics } = JSON.parse(data) as { readonly topics: readonly string[] }
      void reloadShown(topics)
    },
    onFailure: async (error) => {
      // A stream ends after a while, and there may be too many: neither is the end of the server.
      if (error !== undefined && !(error instanceof ApiError && error.status === 409)) failed(error)
      if (access.peek() !== 'sign-in') return 'later'
      await signedIn()
      return 'again'
    },
  })
}

async function signedIn(): Promise<void> {
  await new Promise<void>((resolve) => {
    let stop: (() => void) | undefined
    let isDone = false
    stop = effect(() => {
      if (access.value !== 'open') return
      isDone = true
      stop?.()
      resolve()
    })
    if (isDone) stop()
  })
}
