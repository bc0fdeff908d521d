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

/** Tells whether the text is decimal digits and nothing else; true for an empty one. */
export function isDecimal(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code < 0x30 || code > 0x39) return false
  }
  return true
}
