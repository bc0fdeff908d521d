/**
 * Headers that concern one connection only (RFC 9110 section 7.6.1): a fixed list, and whatever
 * Connection names. A visitor writes Connection, so it may not name what the next hop needs to read
 * the message or to know who sent it: such names are ignored, the header stays. Refusing them would
 * only make more work of the same outcome.
 *
 * Transfer-Encoding and Trailer are not in the list. Bodies are spliced with their framing, so what
 * describes the framing goes with them.
 */

import { KIND, kindNamed } from './header-kinds.ts'
import type { HeaderLines } from './header-lines.ts'
import { listItems } from './header-list.ts'
import { isUsualOption } from './connection-options.ts'

/** Kinds that never go on to the next hop. TE and Upgrade come back where they are meant. */
export const HOP_HEADERS: number =
  KIND.connection |
  KIND.keepAlive |
  KIND.proxyAuthenticate |
  KIND.proxyAuthorization |
  KIND.proxyConnection |
  KIND.te |
  KIND.upgrade

const NEVER_NAMED: ReadonlySet<string> = new Set([
  'authorization',
  'content-encoding',
  'content-length',
  'content-type',
  'cookie',
  'forwarded',
  'host',
  'set-cookie',
  'trailer',
  'transfer-encoding',
])

/** Returns the further names, in lower case, that the Connection headers take off; undefined for none. */
export function namesInConnection(lines: HeaderLines): ReadonlySet<string> | undefined {
  const value = lines.joined(KIND.connection)
  if (value === undefined || isUsualOption(value)) return undefined
  const names = listItems(value.toLowerCase()).filter(
    (item) => !isOption(item) && !isProtected(item),
  )
  return names.length === 0 ? undefined : new Set(names)
}

function isOption(item: string): boolean {
  return item === 'close' || ((kindNamed(item) ?? 0) & HOP_HEADERS) !== 0
}

function isProtected(name: string): boolean {
  return NEVER_NAMED.has(name) || name.startsWith('x-forwarded-') || name.startsWith('x-piko-')
}
