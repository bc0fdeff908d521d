/**
 * Looks into flat header lists (name, value, name, value). Names and list items compare without
 * regard to letter case; comparing lengths first spares nearly all of the lower-casing.
 */

import { trimBlanks } from './blanks.ts'

/**
 * Returns the value of the first header of that name, or undefined.
 * @param lowerName - the name in lower case
 */
export function getHeader(headers: readonly string[], lowerName: string): string | undefined {
  for (let at = 0; at < headers.length; at += 2) {
    const name = headers[at] ?? ''
    if (name.length === lowerName.length && name.toLowerCase() === lowerName) return headers[at + 1]
  }
  return undefined
}

/** Splits a comma-separated value into its items: trimmed, in their letter case, without empty ones. */
export function listItems(value: string): string[] {
  const items: string[] = []
  for (const item of value.split(',')) {
    const trimmed = trimBlanks(item)
    if (trimmed !== '') items.push(trimmed)
  }
  return items
}

/** Joins the value of a repeated header to what was there before: RFC 9110 section 5.3. */
export function joined(previous: string | undefined, value: string): string {
  return previous === undefined ? value : `${previous}, ${value}`
}
