/**
 * The header Forwarded (RFC 7239): what each proxy on the way has seen of the request, one element per proxy, the
 * newest last. Parameters other than `for`, `host` and `proto` are not used.
 */

import { isIPv4, isIPv6 } from 'node:net'

/** One element, as its proxy wrote it. */
export interface ForwardedElement {
  /** Who connected: an address, one with a port, `unknown` or `_name`; undefined: not written. */
  readonly for: string | undefined
  /** The Host that the proxy got. */
  readonly host: string | undefined
  /** The scheme that the proxy was asked by. */
  readonly proto: string | undefined
}

/** RFC 9110 section 5.6.2 and 5.6.4: a token, or a quoted string. */
const VALUE = String.raw`[!#$%&'*+\-.^_\x60|~\w]+|"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*"`
const PAIR = new RegExp(String.raw`[ \t]*([!#$%&'*+\-.^_\x60|~\w]+)=(${VALUE})[ \t]*`, 'y')

/**
 * Reads the value of Forwarded, several lines joined by commas.
 *
 * @returns undefined when any element breaks the grammar: of such a value it is not known which proxy wrote what.
 */
export function forwardedElements(value: string): ForwardedElement[] | undefined {
  const elements: ForwardedElement[] = []
  let element: Record<string, string> = {}
  let isEmpty = true
  let at = 0
  for (;;) {
    PAIR.lastIndex = at
    const [whole, name = '', text = ''] = PAIR.exec(value) ?? []
    if (whole !== undefined) {
      const key = name.toLowerCase()
      if (Object.hasOwn(element, key)) return undefined // section 4: once per element
      element[key] = unquoted(text)
      isEmpty = false
      at += whole.length
    } else {
      // Empty elements and pairs, as lists may have them (RFC 9110 section 5.6.1).
      while (value[at] === ' ' || value[at] === '\t') at += 1
    }
    const next = value[at]
    if (next === ';') {
      at += 1
      continue
    }
    if (next !== undefined && next !== ',') return undefined
    if (!isEmpty) {
      elements.push({ for: element['for'], host: element['host'], proto: element['proto'] })
    }
    if (next === undefined) return elements
    element = {}
    isEmpty = true
    at += 1
  }
}

/**
 * Writes one element.
 *
 * @param node - an address without port and brackets; any other text becomes `unknown`.
 * @param host - a valid Host; empty: none.
 */
export function formatForwarded(node: string, host: string, proto?: string): string {
  let text = `for=${formatNode(node)}`
  if (host !== '') text += /[:[\]]/.test(host) ? `;host="${host}"` : `;host=${host}`
  return proto === undefined ? text : `${text};proto=${proto}`
}

function formatNode(node: string): string {
  if (isIPv4(node)) return node
  // Section 6: IPv6 is in brackets, which no token can have. A zone is not known elsewhere.
  return isIPv6(node) && !node.includes('%') ? `"[${node}]"` : 'unknown'
}

function unquoted(text: string): string {
  return text.startsWith('"') ? text.slice(1, -1).replaceAll(/\\(.)/g, '$1') : text
}
