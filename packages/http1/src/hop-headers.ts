/**
 * Headers that concern one connection only (RFC 9110 section 7.6.1): a fixed list, and whatever
 * Connection names. A visitor writes Connection, so it may not name what the next hop needs to read
 * the message or to know who sent it: such names are ignored, the header stays. Refusing them would
 * only make more work of the same outcome.
 *
 * Transfer-Encoding and Trailer are not in the list. Bodies are spliced with their framing, so what
 * describes the framing goes with them.
 */

import { listItems } from './header-list.ts'

/** Names, in lower case, that never go on to the next hop. TE and Upgrade come back where they are meant. */
export const HOP_HEADERS: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'upgrade',
])

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

const NONE: ReadonlySet<string> = new Set()

/**
 * Returns the further names, in lower case, that the Connection headers take off.
 * @param headers - name, value, name, value
 */
export function namesInConnection(headers: readonly string[]): ReadonlySet<string> {
  let names: Set<string> | undefined
  for (let at = 0; at < headers.length; at += 2) {
    const name = headers[at] ?? ''
    if (name.length !== 10 || name.toLowerCase() !== 'connection') continue
    for (const item of listItems((headers[at + 1] ?? '').toLowerCase())) {
      if (isOption(item) || isProtected(item)) continue
      names ??= new Set()
      names.add(item)
    }
  }
  return names ?? NONE
}

function isOption(item: string): boolean {
  return item === 'close' || HOP_HEADERS.has(item)
}

function isProtected(name: string): boolean {
  return NEVER_NAMED.has(name) || name.startsWith('x-forwarded-') || name.startsWith('x-piko-')
}
