import { opendir } from 'node:fs/promises'
import { join } from 'node:path'

import { findEntry } from './folder-path.ts'

/** Most entries of a folder that a listing shows. */
const MAX_ENTRIES = 10_000

/**
 * The page that lists a folder: its files and folders by name, without those that are not served.
 *
 * @param root - of all that is served, links resolved.
 * @param below - the folder to list, below the root.
 * @param maxEntries - most that are listed; the page says when there are more.
 */
export async function folderListing(
  root: string,
  below: string,
  maxEntries: number = MAX_ENTRIES,
): Promise<string> {
  const names: string[] = []
  let isCut = false
  for await (const { name } of await opendir(join(root, below))) {
    const { kind } = await findEntry(root, `/${[below, name].map(encodePath).join('/')}`)
    if (kind !== 'file' && kind !== 'folder') continue
    if (names.length === maxEntries) {
      isCut = true
      break
    }
    names.push(kind === 'folder' ? `${name}/` : name)
  }
  const title = escapeHtml(`/${below}`)
  const up = below === '' ? '' : '<li><a href="../">../</a></li>\n'
  const items = names
    .toSorted((one, other) => (one < other ? -1 : 1))
    .map((name) => `<li><a href="./${escapeHtml(encodePath(name))}">${escapeHtml(name)}</a></li>\n`)
  const cut = isCut ? `<p>Only ${maxEntries} entries are listed. The folder has more.</p>\n` : ''
  return `<!doctype html>\n<meta charset="utf-8">\n<title>${title}</title>\n<h1>${title}</h1>\n<ul>\n${up}${items.join('')}</ul>\n${cut}`
}

/** A path in a URL; its slashes stay. */
export function encodePath(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/')
}

function escapeHtml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
}
