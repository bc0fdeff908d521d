/**
 * Byte classes of RFC 9110 section 5.6. Parsers look every byte up once and use no regular
 * expressions: the cost is linear whatever the peer sends. Codes outside a table (NaN past the end
 * of a text, wide characters) read as undefined, which is in no class.
 */

import { classOf, isAllOf } from './byte-class.ts'

/** The mark of the underscore in {@link TOKEN}. */
export const UNDERSCORE = 2

/**
 * Not 0 for each byte that may stand in a token: header names, methods, extension names. 1, but for
 * the underscore, so that a loop over a name sees in passing whether there is one.
 */
export const TOKEN: Uint8Array = classOf("!#$%&'*+-.^`|~").fill(UNDERSCORE, 0x5f, 0x60)

/** Tells whether the text from start to end is a token of at least one character. */
export function isToken(text: string, start = 0, end: number = text.length): boolean {
  return start < end && isAllOf(TOKEN, text, start, end)
}

/** Tells whether start to end is visible ASCII of at least one character: no blank, no byte above 126. */
export function isVisible(text: string, start = 0, end: number = text.length): boolean {
  for (let at = start; at < end; at++) {
    const code = text.charCodeAt(at)
    if (code < 0x21 || code > 0x7e) return false
  }
  return start < end
}

/**
 * Reads the digits from start to end as a number; undefined if anything else is there. Exact up to 15
 * digits, of 16 those up to 2^53, and 0 for none.
 */
export function decimalOf(text: string, start = 0, end: number = text.length): number | undefined {
  let number = 0
  for (let at = start; at < end; at++) {
    const digit = text.charCodeAt(at) - 0x30
    if (!(digit >= 0 && digit <= 9)) return undefined
    number = number * 10 + digit
  }
  return number
}
