// Every tool has its own rules for NO_PROXY. The rules here are mostly those of curl and Go together,
// and the forms that browsers, Java and Python take:
//   *            every target, at any place of the list
//   host .host   the host and all names below it (in Go ".host" does not include the host)
//   *.host       all names below the host, not the host
//   *host a*b    names with any text at the place of each "*"
//   address      compared by value, so 0:0:0:0:0:0:0:1 is ::1; brackets are optional
//   a.b.c.d/n    addresses in the range; only for targets that are addresses, names are not looked up
//   a.b.c.d/m    the same with a mask, such as 255.255.0.0
//   a.b.* a.b.   IPv4 addresses that begin with these numbers
//   a-b          addresses from a to b
//   <local>      names without a dot
//   :port        after any of these, for this port only; IPv6 addresses then need brackets
// Entries are separated by commas, white space, ";" or "|". Letter case and a final dot are ignored.

import { BlockList, isIP } from 'node:net'
import { domainToASCII } from 'node:url'

import { AddressSet, isConfigError, isLoopback, unmapIPv4 } from '@proj/config/address'

import { withoutBrackets, withoutZone } from '../endpoint.ts'

/** A list of targets that do not use the proxy. */
export interface NoProxyRules {
  /** Entries that have none of the forms. */
  readonly wrong: readonly string[]
  /** Returns the entry that a target matches, or undefined. */
  match(host: string, port: number): string | undefined
}

/** Reads a list in the form of NO_PROXY. Never throws: it collects the wrong entries. */
export function parseNoProxy(text: string): NoProxyRules {
  const wrong: string[] = []
  const rules: { readonly entry: string; readonly matches: Matches }[] = []
  for (const entry of text.split(/[\s,;|]+/)) {
    if (entry === '') continue
    const matches = parseEntry(entry)
    if (matches === undefined) wrong.push(entry)
    else rules.push({ entry, matches })
  }
  return {
    wrong,
    match: (host, port) => {
      const name = normalise(host)
      return rules.find(({ matches }) => matches(name, port))?.entry
    },
  }
}

/** The forms of an entry that are most used, for messages. */
export const NO_PROXY_FORMS =
  'example.com, *.example.com, 192.0.2.1, 192.0.2.0/24, 192.0.2.*, <local> or *, each with or without a port'

/** Returns the entries of a list in the form of NO_PROXY that have no known form, which a dial refuses. */
export function wrongNoProxyEntries(text: string): readonly string[] {
  return parseNoProxy(text).wrong
}

/** Tells whether a host is this host itself: it never uses a proxy from the environment. */
export function isThisHost(host: string): boolean {
  const name = normalise(host)
  return name.endsWith('.localhost') || isLoopback(name)
}

type Matches = (host: string, port: number) => boolean

function parseEntry(entry: string): Matches | undefined {
  if (entry === '*') return () => true
  const [, inBrackets, afterBrackets = ''] = /^\[([^\]]+)\](.*)$/.exec(entry) ?? []
  const bare = inBrackets === undefined ? entry : inBrackets + afterBrackets.replace(/:\d+$/, '')
  const colons = entry.split(':').length - 1
  const portText = inBrackets === undefined && colons !== 1 ? undefined : /:(\d+)$/.exec(entry)?.[1]
  const hostText =
    inBrackets === undefined && portText !== undefined ? bare.replace(/:\d+$/, '') : bare
  const matchesHost = parseHostEntry(hostText.toLowerCase())
  if (matchesHost === undefined || portText === undefined) return matchesHost
  if (Number(portText) < 1 || Number(portText) > 65_535) return undefined
  return (host, port) => port === Number(portText) && matchesHost(host, port)
}

// The first numbers of an IPv4 address, with a dot or ".*" for the others.
const START_OF_ADDRESS = /^(?:\d{1,3}\.){1,3}(?:\*(?:\.\*){0,2})?$/
// Labels, and "*" at any place of them. The underscore is in no standard, but in names of Windows.
const NAME = /^[\p{L}\p{N}_*-]+(?:\.[\p{L}\p{N}_*-]+)*$/u

function parseHostEntry(text: string): Matches | undefined {
  if (text === '<local>') return (host) => isIP(host) === 0 && !host.includes('.')
  if (START_OF_ADDRESS.test(text)) return startOfAddress(text)
  const entry = normalise(text)
  const [first = '', last, ...more] = entry.split('-')
  if (isIP(first) !== 0 && last !== undefined) {
    return more.length === 0 ? between(first, last) : undefined
  }
  const [address = '', prefix] = entry.split('/')
  if (isIP(address) !== 0) return inBlock(address, prefix)
  const name = entry.startsWith('.') ? entry.slice(1) : entry
  // Numbers only are no name: a wrong address, such as 10.0.0.256.
  if (!NAME.test(name) || /^[\d.]+$/.test(name)) return undefined
  // An address has no names below it: "2.3" must not match 10.1.2.3.
  if (!name.includes('*')) {
    // Hosts are in ASCII, see checkEndpoint.
    const ascii = domainToASCII(name)
    if (ascii === '') return undefined
    return (host) => isIP(host) === 0 && (host === ascii || host.endsWith(`.${ascii}`))
  }
  return (host) => isIP(host) === 0 && matchesStars(host, name)
}

/** Matches the numbers before the first "*"; a range of complete numbers. */
function startOfAddress(text: string): Matches | undefined {
  const numbers = text
    .replaceAll('*', '')
    .split('.')
    .filter((part) => part !== '')
  const whole = [...numbers, '0', '0', '0'].slice(0, 4).join('.')
  return isIP(whole) === 4 ? inBlock(whole, String(numbers.length * 8)) : undefined
}

/** Compares texts with any text at the place of each "*"; in a time that grows with their lengths. */
function matchesStars(host: string, pattern: string): boolean {
  const parts = pattern.split('*')
  const [start = ''] = parts
  const end = parts.at(-1) ?? ''
  if (host.length < start.length + end.length) return false
  if (!host.startsWith(start) || !host.endsWith(end)) return false
  let at = start.length
  for (const part of parts.slice(1, -1)) {
    const found = host.indexOf(part, at)
    if (found < 0) return false
    at = found + part.length
  }
  return at <= host.length - end.length
}

function between(first: string, last: string): Matches | undefined {
  const family = isIP(first)
  if (family !== isIP(last)) return undefined
  try {
    const list = new BlockList()
    list.addRange(first, last, family === 4 ? 'ipv4' : 'ipv6')
    return (host) => {
      const plain = unmapIPv4(host)
      return isIP(plain) === family && list.check(plain, family === 4 ? 'ipv4' : 'ipv6')
    }
  } catch {
    // The last address is below the first.
    return undefined
  }
}

function inBlock(address: string, size: string | undefined): Matches | undefined {
  const prefix = size !== undefined && isIP(size) === 4 ? prefixOfMask(size) : size
  if (prefix !== undefined && !/^\d+$/.test(prefix)) return undefined
  const plain = unmapIPv4(address)
  // An IPv4 address in IPv6 form has 96 bits more.
  const bits = plain === address || prefix === undefined ? prefix : `${Number(prefix) - 96}`
  try {
    const block = new AddressSet([bits === undefined ? plain : `${plain}/${bits}`])
    return (host) => block.has(host)
  } catch (error) {
    if (!isConfigError(error)) throw error
    return undefined
  }
}

/** Returns the length of the prefix that an IPv4 mask stands for, or text that is no length. */
function prefixOfMask(mask: string): string {
  const bits = mask
    .split('.')
    .map((part) => Number(part).toString(2).padStart(8, '0'))
    .join('')
  return /^1*0*$/.test(bits) ? String(bits.replaceAll('0', '').length) : mask
}

function normalise(host: string): string {
  const bare = withoutBrackets(host).toLowerCase()
  return isIP(bare) === 0 ? bare.replace(/\.$/, '') : withoutZone(bare)
}
