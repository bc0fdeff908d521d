/** Finds the file of a request, and nothing that is outside of the folder or hidden. */
import { realpath, stat } from 'node:fs/promises'
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

/** Whether a part of the path begins with a dot, `.` and `..` included; a backslash separates parts somewhere. */
function isHidden(path: string): boolean {
  return (
    path.split(/[/\\]/).some((part) => part.startsWith('.')) || (sep === '/' && path.includes('\\'))
  )
}
