// NO_PROXY means something else in every tool. The rules here are about the union of what people
// who know curl and people who know Go expect:
//   *            everything, as any entry of the list
//   host .host   the host and everything below it (Go excludes the host itself from ".host")
//   *.host       everything below the host, not the host
//   address      by value, so 0:0:0:0:0:0:0:1 is ::1; brackets are optional
//   a.b.c.d/n    addresses in the range; only for targets given as addresses, nothing is looked up
//   :port        behind any of these, for that port only; IPv6 then needs its brackets
// Entries are parted by commas or white space. Letter case and one dot at the end do not count.

import { BlockList, isIP } from 'node:net'

/** A list of targets that are dialled without the proxy. */
export interface NoProxyRules {
  /** Entries that have no effect, in words. */
  readonly warnings: readonly string[]
  /** Returns the entry that a target matches, or undefined. */
  match(host: string, port: number): string | undefined
}

/** Reads a list in the form of NO_PROXY. Never throws: what makes no sense becomes a warning. */
export function parseNoProxy(text: string): NoProxyRules {
  const warnings: string[] = []
  if (/[;|]/.test(text)) warnings.push('NO_PROXY is parted by commas; ";" and "|" part nothing')
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

/** True for this host itself: such targets never go to a proxy found in the environment. */
export function isLoopback(host: string): boolean {
  const name = normalise(host)
  if (name === 'localhost' || name.endsWith('.localhost')) return true
  const family = isIP(name)
  return family !== 0 && LOOPBACK.check(name, family === 4 ? 'ipv4' : 'ipv6')
}

const LOOPBACK = new BlockList()
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4')
LOOPBACK.addAddress('::1', 'ipv6')

type Matches = (host: string, port: number) => boolean

function parseEntry(entry: string, warnings: string[]): Matches {
  if (entry === '*') return () => true
  const [, inBrackets, afterBrackets = ''] = /^\[([^\]]+)\](.*)$/.exec(entry) ?? []
  const bare = inBrackets === undefined ? entry : inBrackets + afterBrackets.replace(/:\d+$/, '')
  const colons = entry.split(':').length - 1
  const portText = inBrackets === undefined && colons !== 1 ? undefined : /:(\d+)$/.exec(entry)?.[1]
  const hostText =
    inBrackets === undefined && portText !== undefined ? bare.replace(/:\d+$/, '') : bare
  const matchesHost = parseHost(normalise(hostText))
  if (matchesHost === undefined) {
    warnings.push(`NO_PROXY entry ${JSON.stringify(entry)} matches nothing`)
    return () => false
  }
  if (portText === undefined) return matchesHost
  return (host, port) => port === Number(portText) && matchesHost(host, port)
}

function parseHost(text: string): Matches | undefined {
  const [address = '', prefix] = text.split('/')
  const family = isIP(address)
  if (family !== 0) return inRange(address, family, prefix)
  if (prefix !== undefined || /[:[\]]/.test(text)) return undefined
  // An address has no subdomains: "2.3" must not match 10.1.2.3.
  if (text.startsWith('*.')) return (host) => isIP(host) === 0 && host.endsWith(text.slice(1))
  const name = text.startsWith('.') ? text.slice(1) : text
  if (name === '' || name.includes('*')) return undefined
  return (host) => isIP(host) === 0 && (host === name || host.endsWith(`.${name}`))
}

function inRange(address: string, family: number, prefix: string | undefined): Matches | undefined {
  const type = family === 4 ? 'ipv4' : 'ipv6'
  const bits = prefix === undefined ? undefined : Number(prefix)
  if (
    bits !== undefined &&
    !(Number.isInteger(bits) && bits >= 0 && bits <= (family === 4 ? 32 : 128))
  ) {
    return undefined
  }
  const list = new BlockList()
  if (bits === undefined) list.addAddress(address, type)
  else list.addSubnet(address, bits, type)
  return (host) => {
    const hostFamily = isIP(host)
    // BlockList compares by value and sees an IPv4 address in its IPv6 form, too.
    return hostFamily !== 0 && list.check(host, hostFamily === 4 ? 'ipv4' : 'ipv6')
  }
}

function normalise(host: string): string {
  const bare = host.replace(/^\[(.*)\]$/, '$1').toLowerCase()
  return isIP(bare) === 0 ? bare.replace(/\.$/, '') : (bare.split('%')[0] ?? bare)
}
