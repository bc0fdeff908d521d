/** The token of the inspector's API: of this user, so that a page that is open outlives a restart of the agent. */
import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'

import { controlFolder } from '../control/control-folder.ts'

const FORM = /^[\w-]{22}$/

/**
 * Reads the token of this user, or makes it. Without the folder of the control sockets, which only this user can
 * enter, it is a new one for this run; so it is on Windows, where that folder has no files.
 */
export function inspectToken(env: Readonly<Record<string, string | undefined>>): string {
  const made = randomBytes(16).toString('base64url')
  try {
    const path = controlFolder(env).file('inspect-token')
    if (path === undefined) return made
    try {
      writeFileSync(path, made, { mode: 0o600, flag: 'wx' })
      return made
    } catch {
      const read = readFileSync(path, 'utf8') // it is there
      return FORM.test(read) ? read : made
    }
  } catch {
    return made
  }
}
