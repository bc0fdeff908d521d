// Every tool has its own rules for NO_PROXY. The rules here are mostly those of curl and Go together:
//   *            every target, at any place of the list
//   host .host   the host and all names below it (in Go ".host" does not include the host)
//   *.host       all names below the host, not the host
//   address      compared by value, so 0:0:0:0:0:0:0:1 is ::1; brackets are optional
//   a.b.c.d/n    addresses in the range; only for targets that are addresses, names are not looked up
//   :port        after any of these, for this port only; IPv6 addresses then need brackets
// Entries are separated by commas or white space. Letter case and a final dot are ignored.

import { isIP } from 'node:net'

import { AddressSet, isConfigError, isLoopback, unmapIPv4 } from '@proj/config/address'

import { withoutBrackets, withoutZone } from '../endpoint.ts'

/** A list of targets that do not use the proxy. */
export interface NoProxyRules {
  /** One sentence for each entry that has no effect. */
  readonly warnings: readonly string[]
  /** Returns the entry that a target matches, or undefined. */
  match(host: string, port: number): string | undefined
}

/** Reads a list in the form of NO_PROXY. Never throws: a wrong entry becomes a warning. */
export function parseNoProxy(text: string): NoProxyRules {
  const warnings: string[] = []
  if (/[;|]/.test(text)) {
    warnings.push('entries of NO_PROXY are separated by commas, not by ";" or "|"')
  }
  const rules = text
    .split(/[\s,]+/)
    .filter((entry) => entry !== '')
    .map((entry) => ({ entry, matches: parseEntry(entry, warnings) }))
  return {
    warnings,
    match: (host, port) => {
      const name = normalise(host)
      return rules.find(({ matches }) => matches(name, port))?.entry
    },
  }
}

/** Tells whether a host is this host itself: it never uses a proxy from the environment. */
export function isThisHost(host: string): boolean {
  const name = normalise(host)
  return name.endsWith('.localhost') || isLoopback(name)
}

type Matches = (host: string, port: number) => boolean

function parseEntry(entry: string, warnings: string[]): Matches {
  if (entry === '*') return () => true
  const [, inBrackets, afterBrackets = ''] = /^\[([^\]]+)\](.*)$/.exec(entry) ?? []
  const bare = inBrackets === undefined ? entry : inBrackets + afterBrackets.replace(/:\d+$/, '')
  const colons = entry.split(':').length - 1
  const portText = inBrackets === undefined && colons !== 1 ? undefined : /:(\d+)$/.exec(entry)?.[1]
  const hostText =
    inBrackets === undefined && portText !== undefined ? bare.replace(/:\d+$/, '') : bare
  const matchesHost = parseHostEntry(normalise(hostText))
  if (matchesHost === undefined) {
    warnings.push(`NO_PROXY entry ${JSON.stringify(entry)} matches nothing`)
    return () => false
  }
  if (portText === undefined) return matchesHost
  return (host, port) => port === Number(portText) && matchesHost(host, port)
}

function parseHostEntry(text: string): Matches | undefined {
  const [address = '', prefix] = text.split('/')
  const family = isIP(address)
  if (family !== 0) return inBlock(address, prefix)
  if (prefix !== undefined || /[:[\]]/.test(text)) return undefined
  // An address has no names below it: "2.3" must not match 10.1.2.3.
  if (text.startsWith('*.')) return (host) => isIP(host) === 0 && host.endsWith(text.slice(1))
  const name = text.startsWith('.') ? text.slice(1) : text
  if (name === '' || name.includes('*')) return undefined
  return (host) => isIP(host) === 0 && (host === name || host.endsWith(`.${name}`))
}

function inBlock(address: string, prefix: string | undefined): Matches | undefined {
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

function normalise(host: string): string {
  const bare = withoutBrackets(host).toLowerCase()
  return isIP(bare) === 0 ? bare.replace(/\.$/, '') : withoutZone(bare)
}
