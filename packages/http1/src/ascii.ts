/**
 * Characters and comparisons of RFC 9110 section 5.6. Parsers look up each byte once and use no
 * regular expressions, so the cost is linear for any input. A code outside a table (NaN past the end
 * of a text, a wide character) reads as undefined, which is in no class.
 */

const HTAB = 0x09
const SPACE = 0x20

/** The mark of the underscore in {@link TOKEN}. */
export const UNDERSCORE = 2

/**
 * Not 0 for each byte that a token may contain: header names, methods, extension names. The value
 * is 1, except for the underscore, so a loop over a name also learns whether it has an underscore.
 */
export const TOKEN: Uint8Array = tableOf("!#$%&'*+-.^`|~").fill(UNDERSCORE, 0x5f, 0x60)

/** Makes a table with 1 for each letter, digit and given mark, and 0 for every other byte. */
export function tableOf(marks: string): Uint8Array {
  const table = new Uint8Array(256)
  const letters = 'abcdefghijklmnopqrstuvwxyz'
  for (const character of `${marks}${letters}${letters.toUpperCase()}0123456789`) {
    table[character.charCodeAt(0)] = 1
  }
  return table
}

/** Tells whether the text from start to end is a token of at least one character. */
export function isToken(text: string, start = 0, end: number = text.length): boolean {
  for (let at = start; at < end; at++) {
    if ((TOKEN[text.charCodeAt(at)] ?? 0) === 0) return false
  }
  return start < end
}

/** Tells whether start to end is visible ASCII of at least one character: no blank, no byte above 126. */
export function isVisible(text: string, start = 0, end: number = text.length): boolean {
  for (let at = start; at < end; at++) {
    const code = text.charCodeAt(at)
    if (code < 0x21 || code > 0x7e) return false
  }
  return start < end
}

/** Tells whether the character code is optional whitespace: a space or HTAB. */
export function isBlank(code: number): boolean {
  return code === SPACE || code === HTAB
}

/**
 * Returns the text from start to end without the blanks around it. String.trim would also remove
 * 0xA0, which is part of a value here.
 */
export function trimBlanks(text: string, start = 0, end: number = text.length): string {
  let first = start
  let last = end
  while (first < last && isBlank(text.charCodeAt(first))) first++
  while (last > first && isBlank(text.charCodeAt(last - 1))) last--
  return text.slice(first, last)
}

/**
 * Reads the decimal digits from start to end as a number; undefined if there is any other character.
 * Exact up to 15 digits, and up to 2^53 with 16 digits. No digits at all give 0.
 */
export function parseDecimal(
  text: string,
  start = 0,
  end: number = text.length,
): number | undefined {
  let number = 0
  for (let at = start; at < end; at++) {
    const digit = text.charCodeAt(at) - 0x30
    if (!(digit >= 0 && digit <= 9)) return undefined
    number = number * 10 + digit
  }
  return number
}

/**
 * Tells whether the text equals a text in lower case when the case of ASCII letters is ignored. Does
 * not make a copy in lower case.
 */
export function equalsIgnoreCase(text: string, lower: string): boolean {
  if (text.length !== lower.length) return false
  for (let at = 0; at < lower.length; at++) {
    const code = text.charCodeAt(at)
    const folded = code >= 0x41 && code <= 0x5a ? code | 0x20 : code
    if (folded !== lower.charCodeAt(at)) return false
  }
  return true
}
