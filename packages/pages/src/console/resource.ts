/** What the page has read of the server, kept up to date while it is shown. */
import { effect, signal, type Signal } from '@preact/signals'
import { useEffect } from 'preact/hooks'

import { ApiError } from '../parts/api-error.ts'
import { LatestRead } from '../parts/latest-read.ts'
import { type Read, read, readList, type WholeList } from './api.ts'
import { access, failed } from './session.ts'

/** Time between two looks at what is shown, ms. */
const LOOK_MS = 5_000

/** Most items of a list that is read every few seconds. */
const MAX_POLLED = 1_000

/** Something of the server. */
export interface Resource<Value> {
  /** Undefined before it was read. */
  readonly value: Signal<Value | undefined>
  /** Why it could not be read; empty where it could. */
  readonly problem: Signal<string>
  /** Reads it again, from now on: what was being read may be older. */
  reload(): Promise<void>
}

interface Kept extends Resource<unknown> {
  /** Views that show it. */
  users: number
  /** Reads it again, unless it is being read. */
  poll(): void
  /** Drops what was read, and its version: the next answer has to have the whole. */
  forget(): void
  /** Whether it is so long that it is read when it has changed, and not every few seconds. */
  readonly isLong: () => boolean
}

const resources = new Map<string, Kept>()

/** Resources that are kept when nothing shows them: a way back shows at once what was there. */
const MAX_RESOURCES = 50

function resourceOf(key: string, load: (etag: string) => Promise<Read<unknown> | undefined>): Kept {
  const known = resources.get(key)
  if (known !== undefined) return known
  const value = signal<unknown>(undefined)
  const problem = signal('')
  let etag = ''
  const forgetRead = (): void => {
    value.value = undefined
    etag = ''
  }
  const latest = new LatestRead(async () => {
    try {
      const found = await load(etag)
      if (found !== undefined) {
        etag = found.etag
        value.value = found.value
      }
      problem.value = ''
      if (access.peek() === 'lost') access.value = 'open'
    } catch (error) {
      problem.value = error instanceof Error ? error.message : String(error)
      // What is not there any more must not be shown as if it were.
      if (error instanceof ApiError && error.status === 404) forgetRead()
      failed(error)
    }
  })
  const made: Kept = {
    value,
    problem,
    users: 0,
    isLong: () => {
      const known = value.peek() as Partial<WholeList<unknown>> | undefined
      return (known?.items?.length ?? 0) > MAX_POLLED
    },
    reload: async () => await latest.again(),
    poll: () => {
      if (!latest.isRunning) void latest.again()
    },
    forget: forgetRead,
  }
  for (const [name, one] of resources) {
    if (resources.size < MAX_RESOURCES) break
    if (one.users === 0) resources.delete(name)
  }
  resources.set(key, made)
  return made
}

/** Shows a value of the server, and keeps it up to date. */
export function useValue<Value>(path: string): Resource<Value> {
  return useResource(path, async (etag) => await read<Value>(path, etag)) as Resource<Value>
}

/** Shows a list of the server, and keeps it up to date. */
export function useList<Item>(path: string): Resource<WholeList<Item>> {
  return useResource(`list ${path}`, async (etag) => await readList<Item>(path, etag)) as Resource<
    WholeList<Item>
  >
}

function useResource(
  key: string,
  load: (etag: string) => Promise<Read<unknown> | undefined>,
): Kept {
  const resource = resourceOf(key, load)
  useEffect(() => {
    resource.users += 1
    void resource.reload()
    return () => {
      resource.users -= 1
    }
  }, [resource])
  return resource
}

/**
 * Reads what is shown again.
 *
 * @param topics - paths of lists: only these, and what is below them. Default: all.
 */
export async function reloadShown(topics?: readonly string[]): Promise<void> {
  const shown = [...resources].filter(
    ([key, { users }]) =>
      users > 0 &&
      (topics === undefined || topics.includes(/^(?:list )?([a-z]+)/.exec(key)?.[1] ?? '')),
  )
  await Promise.all(shown.map(async ([, one]) => await one.reload()))
}

/** Forgets everything: someone else may have signed in. */
function forget(): void {
  for (const one of resources.values()) one.forget()
}

effect(() => {
  if (access.value === 'sign-in') forget()
})
setInterval(() => {
  if (document.visibilityState !== 'visible' || access.peek() === 'sign-in') return
  for (const one of resources.values()) {
    if (one.users > 0 && !one.isLong()) one.poll()
  }
}, LOOK_MS)
