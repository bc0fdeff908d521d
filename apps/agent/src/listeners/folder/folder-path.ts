/** Finds the file of a request, and nothing that is outside of the folder or hidden. */
import { constants } from 'node:fs'
import { type FileHandle, open, realpath, stat } from 'node:fs/promises'
import { join, relative, sep } from 'node:path'

/** What a path of a request leads to. */
export type FolderEntry =
  | {
      readonly kind: 'file' | 'folder'
      /** Path below the folder, links resolved. */ readonly path: string
    }
  | { readonly kind: 'none' }
  | { readonly kind: 'malformed' }

const NONE: FolderEntry = { kind: 'none' }

/**
 * @param root - of the folder, links resolved.
 * @param path - of the request, as sent, without the query.
 */
export async function findEntry(root: string, path: string): Promise<FolderEntry> {
  let decoded: string
  try {
    decoded = decodeURIComponent(path)
  } catch {
    return { kind: 'malformed' }
  }
  if (decoded.includes('\0')) return { kind: 'malformed' }
  if (isHidden(decoded)) return NONE
  try {
    const real = await realpath(join(root, decoded))
    const below = relative(root, real)
    // A link may lead outside, and to a hidden file.
    if (below.startsWith('..') || isHidden(below)) return NONE
    const found = await stat(real)
    if (found.isDirectory()) return { kind: 'folder', path: below }
    return found.isFile() && !decoded.endsWith('/') ? { kind: 'file', path: below } : NONE
  } catch {
    return NONE // not there, no right to read it, a loop of links, a name that is too long
  }
}

/** No link is followed, and a FIFO that took the place of the file does not hold the call up. */
const READ_FLAGS = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0)

/**
 * Opens a file that was found. The folder may have changed in the meantime: what is open is compared with what is
 * at the path now, without links.
 *
 * @param below - path of the file below the root, links resolved.
 * @returns undefined when it is not that file any more.
 */
export async function openFound(root: string, below: string): Promise<FileHandle | undefined> {
  const path = join(root, below)
  let file: FileHandle | undefined
  try {
    file = await open(path, READ_FLAGS)
    const opened = await file.stat()
    const isStill = opened.isFile() && (await realpath(path)) === path
    const now = isStill ? await stat(path) : undefined
    if (now?.ino === opened.ino && now.dev === opened.dev) return file
  } catch {
    // gone, or a link, or without the right to read it
  }
  await file?.close()
  return undefined
}

/** Whether a part of the path begins with a dot, `.` and `..` included; a backslash separates parts somewhere. */
function isHidden(path: string): boolean {
  return (
    path.split(/[/\\]/).some((part) => part.startsWith('.')) || (sep === '/' && path.includes('\\'))
  )
}
