/**
 * Byte classes of RFC 9110 section 5.6 as lookup tables. Parsers look every byte up once and never
 * use regular expressions: the cost is linear whatever the peer sends. Codes outside the table
 * (NaN past the end of a text, wide characters) read as undefined, which is in no class.
 */

/** 1 for each byte that may stand in a token: header names, methods, extension names. */
export const TOKEN: Uint8Array = classOf("!#$%&'*+-.^_`|~")

/** 1 for each byte that may stand in the name or IPv4 form of a host. */
export const HOST_NAME: Uint8Array = classOf('-._')

/** Tells whether the text from start to end is a token of at least one character. */
export function isToken(text: string, start = 0, end: number = text.length): boolean {
  return start < end && isAllOf(TOKEN, text, start, end)
}

/** Tells whether every character from start to end is in the class; true for an empty range. */
export function isAllOf(table: Uint8Array, text: string, start: number, end: number): boolean {
  for (let at = start; at < end; at++) {
    if (table[text.charCodeAt(at)] !== 1) return false
  }
  return true
}

/** Tells whether every character from start to end is visible ASCII: no blank, no control, no byte above 126. */
export function isVisible(text: string, start: number, end: number): boolean {
  for (let at = start; at < end; at++) {
    const code = text.charCodeAt(at)
    if (code < 0x21 || code > 0x7e) return false
  }
  return start < end
}

/** Tells whether the text from start on is decimal digits and nothing else; true for an empty rest. */
export function isDecimal(text: string, start = 0): boolean {
  for (let at = start; at < text.length; at++) {
    if (!isDigit(text.charCodeAt(at))) return false
  }
  return true
}

/** Tells whether the character code is a decimal digit. */
export function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39
}

function classOf(marks: string): Uint8Array {
  const table = new Uint8Array(256)
  const letters = 'abcdefghijklmnopqrstuvwxyz'
  for (const character of marks + letters + letters.toUpperCase() + '0123456789') {
    table[character.charCodeAt(0)] = 1
  }
  return table
}
