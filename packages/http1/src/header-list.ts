/** Flat header lists (name, value, name, value) and the comma-separated lists in their values. */

import { trimBlanks } from './ascii.ts'

/**
 * Returns the value of the first header of a name, or undefined. The case of names is ignored.
 * @param lowerName - the name in lower case
 */
export function getHeader(headers: readonly string[], lowerName: string): string | undefined {
  for (let at = 0; at < headers.length; at += 2) {
    const name = headers[at] ?? ''
    // Most names differ in length, and then no copy in lower case is made.
    if (name.length === lowerName.length && name.toLowerCase() === lowerName) return headers[at + 1]
  }
  return undefined
}

/** Splits a comma-separated value into its items: trimmed, case unchanged, without empty items. */
export function listItems(value: string): string[] {
  const items: string[] = []
  for (const item of value.split(',')) {
    const trimmed = trimBlanks(item)
    if (trimmed !== '') items.push(trimmed)
  }
  return items
}

/** Joins the values of a repeated header to one list (RFC 9110 section 5.3). */
export function joined(previous: string | undefined, value: string): string {
  return previous === undefined ? value : `${previous}, ${value}`
}
