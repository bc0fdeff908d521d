import { refuser } from './split-address.ts'
import { parseHost } from './host.ts'

/**
 * Reads a host to listen on whose port is not known yet: `*`, an IP address with or without brackets,
 * `localhost`, or a name.
 *
 * @returns the canonical host without brackets
 * @throws {ConfigError} CONFIG_ADDRESS_INVALID
 */
export function parseBindHost(text: string): string {
  if (text === '*') return text
  const refuse = refuser(text)
  if (text === '') refuse('it is empty', 'write * for every address')
  if (/[\s\p{Cc}]/u.test(text)) refuse('it contains a space or a control character')
  const [, host = text, port] = /^(\[[^\]]*\]|[^:]*):([0-9]+)$/.exec(text) ?? []
  if (port !== undefined) {
    refuse('a port is not expected here', host === '' ? 'write *' : `write ${host}`)
  }
  const inside = /^\[(.*)\]$/.exec(text)?.[1]
  return parseHost(inside ?? text, inside !== undefined, refuse).host
}
