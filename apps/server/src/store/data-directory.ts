import { mkdirSync, statSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

import { StoreError } from './store-error.ts'

/** Where the server keeps what lasts. */
export interface DataDirectory {
  /** Absolute path. */
  readonly path: string
  /** Whether it is configured: then the server does not start without it. */
  readonly isConfigured: boolean
}

/** What the default is made of. */
export interface DataDirectoryHost {
  readonly env: Readonly<Record<string, string | undefined>>
  /** User the program runs as; undefined where there are none. */
  readonly uid: number | undefined
}

/** Write permission of group and others. */
const OTHERS_WRITE = 0o022

/**
 * The directory in use: the configured one, else that of systemd (STATE_DIRECTORY), else the user's
 * (XDG_STATE_HOME), else /var/lib/adit for root and ~/.local/state/adit for other users.
 */
export function dataDirectory(
  configured: string | undefined,
  { env, uid }: DataDirectoryHost,
): DataDirectory {
  if (configured !== undefined) return { path: configured, isConfigured: true }
  // systemd gives several, separated by colons, when a unit asks for several.
  const [ofService = ''] = (env['STATE_DIRECTORY'] ?? '').split(':')
  const ofUser = env['XDG_STATE_HOME'] ?? ''
  const path =
    ofService !== ''
      ? ofService
      : ofUser !== ''
        ? join(ofUser, 'adit')
        : uid === 0
          ? '/var/lib/adit'
          : join(env['HOME'] ?? homedir(), '.local', 'state', 'adit')
  return { path, isConfigured: false }
}

/**
 * Makes the directory if it is missing, with access for its owner only, and refuses one that other users
 * can write to: they could replace the file of the store.
 *
 * @param uid - user the program runs as; undefined where there are none, and nothing is checked then.
 * @throws {StoreError} STORE_UNUSABLE when it cannot be made, STORE_DIRECTORY_UNSAFE.
 */
export function prepareDataDirectory(path: string, uid: number | undefined): void {
  let found: ReturnType<typeof statSync>
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 })
    found = statSync(path)
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new StoreError('STORE_UNUSABLE', `data directory ${path}: ${why}`, { cause })
  }
  if (uid === undefined) return
  if (found.uid !== uid) {
    const message = `data directory ${path} belongs to user ${found.uid}, the server is user ${uid}`
    throw new StoreError('STORE_DIRECTORY_UNSAFE', message)
  }
  if ((found.mode & OTHERS_WRITE) !== 0) {
    const mode = (found.mode & 0o777).toString(8)
    const message = `data directory ${path} has mode ${mode}: others can write to it`
    throw new StoreError('STORE_DIRECTORY_UNSAFE', message)
  }
}
