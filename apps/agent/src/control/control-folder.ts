import { lstatSync, mkdirSync, readdirSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'

import { EXIT, UserError } from '@proj/program-kit'

/** Windows has no such folder: all pipes are in one place. */
const PIPES = '\\\\.\\pipe\\'

/** Most running agents that are queried. */
const MAX_SOCKETS = 256

/** Where the control sockets of this user's agents are. */
export interface ControlFolder {
  /** Path of the socket with a name. */
  path(name: string): string
  /** Path of a file with a name; undefined on Windows, where pipes are in no folder of files. */
  file(name: string): string | undefined
  /** Paths of the sockets there, at most MAX_SOCKETS. */
  sockets(): readonly string[]
}

/**
 * Finds, or makes, the folder that only this user can enter: `adit` in XDG_RUNTIME_DIR, else
 * `adit-<user id>` among the temporary files.
 *
 * @throws {UserError} when something else lies there, or others may enter it.
 */
export function controlFolder(
  env: Readonly<Record<string, string | undefined>>,
  platform: NodeJS.Platform = process.platform,
): ControlFolder {
  if (platform === 'win32') {
    const prefix = `adit-${userInfo().username}-`
    return {
      path: (name) => `${PIPES}${prefix}${name}`,
      file: () => undefined,
      sockets: () => pathsOf(PIPES, (file) => file.startsWith(prefix)),
    }
  }
  const runtime = env['XDG_RUNTIME_DIR']
  const uid = process.getuid?.() ?? 0
  const isSet = runtime?.startsWith('/') === true
  const folder = isSet ? join(runtime, 'adit') : join(env['TMPDIR'] ?? tmpdir(), `adit-${uid}`)
  makePrivate(folder, uid)
  return {
    path: (name) => join(folder, `${name}.sock`),
    file: (name) => join(folder, name),
    sockets: () => pathsOf(`${folder}/`, (file) => file.endsWith('.sock')),
  }
}

function makePrivate(folder: string, uid: number): void {
  try {
    mkdirSync(folder, { mode: 0o700 })
  } catch (error) {
    const exists = error instanceof Error && 'code' in error && error.code === 'EEXIST'
    if (!exists) throw refusal(folder, error instanceof Error ? error.message : String(error))
  }
  const found = lstatSync(folder)
  if (!found.isDirectory()) throw refusal(folder, 'it is no folder')
  if (found.uid !== uid) throw refusal(folder, `it belongs to user ${found.uid}`)
  if ((found.mode & 0o077) !== 0) throw refusal(folder, 'others may enter it')
}

function refusal(folder: string, why: string): UserError {
  return new UserError(`the folder ${folder} is not used: ${why}`, {
    exitCode: EXIT.failed,
    hint: 'remove it, or name another with XDG_RUNTIME_DIR',
  })
}

function pathsOf(prefix: string, isOurs: (file: string) => boolean): string[] {
  return readdirSync(prefix)
    .filter(isOurs)
    .slice(0, MAX_SOCKETS)
    .map((file) => prefix + file)
}
