/**
 * The host part of an address: an IP literal, `localhost`, or a name. No DNS is asked.
 *
 * The URL parser of the platform is deliberately not used: it reads `0` and `127.1` as IPv4
 * addresses, writes mapped addresses in hexadecimal and refuses zones. Here an address has exactly
 * one spelling, so that a log can be searched for it: RFC 5952 for IPv6, dotted decimal for IPv4.
 */
import { isIPv4, isIPv6, SocketAddress } from 'node:net'

import { quote } from '../printing/printable.ts'
import { isLinkLocal } from './ip-address.ts'

/** Longest DNS name in characters (RFC 1035 section 2.3.4, without the root's empty label). */
const MAX_NAME_CHARACTERS = 253

/** Interface names of every platform we know are shorter; Linux stops at 15 (IFNAMSIZ). */
const ZONE = /^[0-9A-Za-z._~:-]{1,63}$/

/** One label of a name. The underscore is no host name by RFC 1123, yet container names have it. */
const LABEL = /^(?!-)[0-9a-z_-]{1,63}(?<!-)$/

/** What kind of host an address names. */
export type HostKind = 'ipv4' | 'ipv6' | 'localhost' | 'name'

/** A host in its canonical spelling. */
export interface Host {
  /** Canonical IP literal without brackets (zone kept), or the name in lower case. */
  readonly host: string
  readonly hostKind: HostKind
}

/** Says what is wrong and what would be right, as a sentence or as the text to write; always throws. */
export type Refuse = (reason: string, advice?: string | { readonly write: string }) => never

/**
 * Reads a host that stood inside brackets or alone.
 *
 * @param text - without brackets
 * @param bracketed - whether brackets stood around it: then only IPv6 is allowed
 * @param refuse - called with the reason and the right form when the text is no host
 * @param rest - what stands behind the host, for the right form: `:8080`, or nothing
 */
export function parseHost(text: string, bracketed: boolean, refuse: Refuse, rest = ''): Host {
  if (text.includes(':') || text.includes('%')) return parseIPv6(text, refuse, rest)
  if (bracketed) {
    if (text === '') refuse('the brackets are empty', { write: `[::]${rest}` })
    if (isIPv4(text)) refuse('an IPv4 address takes no brackets', { write: `${text}${rest}` })
    refuse(`${quote(text)} in brackets is not an IPv6 address`)
  }
  if (isIPv4(text)) return { host: text, hostKind: 'ipv4' }
  return parseName(text, refuse)
}

/**
 * Writes an IPv6 literal as RFC 5952 has it.
 *
 * @param refuse - called when the text is no IPv6 address, or an IPv4 address in disguise
 */
export function canonicalIPv6(literal: string, refuse: Refuse, rest = ''): string {
  if (!isIPv6(literal)) refuse(`${quote(literal)} is not an IPv6 address`)
  const address = new SocketAddress({ address: literal, family: 'ipv6' }).address
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(address)?.[1]
  if (mapped !== undefined) {
    refuse('it is an IPv4 address mapped into IPv6', { write: `${mapped}${rest}` })
  }
  return address
}

function parseIPv6(text: string, refuse: Refuse, rest: string): Host {
  const percent = text.indexOf('%')
  const literal = percent === -1 ? text : text.slice(0, percent)
  const host = canonicalIPv6(literal, refuse, rest)
  // fe80::/10 means nothing without the link it belongs to; any other address has no link.
  const linkLocal = isLinkLocal(host)
  if (percent === -1) {
    if (linkLocal) {
      refuse(
        'a link-local address needs its interface',
        `write [${host}%eth0]${rest} with yours for eth0`,
      )
    }
    return { host, hostKind: 'ipv6' }
  }
  // %25 is the spelling inside URLs (RFC 6874).
  const zone = text.slice(percent + 1).replace(/^25(?=.)/, '')
  if (!ZONE.test(zone)) refuse(`${quote(zone)} is not an interface name`)
  if (!linkLocal) {
    refuse('only a link-local address has an interface', { write: `[${host}]${rest}` })
  }
  return { host: `${host}%${zone}`, hostKind: 'ipv6' }
}

function parseName(text: string, refuse: Refuse): Host {
  const name = text.toLowerCase()
  if (name === 'localhost') return { host: name, hostKind: 'localhost' }
  const labels = name.replace(/\.$/, '').split('.')
  // A name whose last label is a number is an IPv4 address to inet_aton and to browsers, each
  // reading 010.0.0.1 and 127.1 in its own way.
  if (/^(\d+|0x[0-9a-f]*)$/.test(labels.at(-1) ?? '')) {
    refuse(
      `${quote(text)} is neither a name nor an IPv4 address in its usual form`,
      'write all four numbers without leading zeros, such as 127.0.0.1',
    )
  }
  if (name.length > MAX_NAME_CHARACTERS || !labels.every((label) => LABEL.test(label))) {
    refuse(`${quote(text)} is not a host name`)
  }
  return { host: name, hostKind: 'name' }
}
