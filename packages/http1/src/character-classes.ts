/**
 * Byte classes of RFC 9110 section 5.6. Parsers look every byte up once and use no regular
 * expressions: the cost is linear whatever the peer sends. Codes outside a table (NaN past the end
 * of a text, wide characters) read as undefined, which is in no class.
 */

/** 1 for each byte that may stand in a token: header names, methods, extension names. */
export const TOKEN: Uint8Array = classOf("!#$%&'*+-.^_`|~")

const HOST_NAME: Uint8Array = classOf('-._')

/** Tells whether the text from start to end is a token of at least one character. */
export function isToken(text: string, start = 0, end: number = text.length): boolean {
  return start < end && isAllOf(TOKEN, text, start, end)
}

/** Tells whether every character before end may stand in the name or IPv4 form of a host. */
export function isHostName(text: string, end: number): boolean {
  return isAllOf(HOST_NAME, text, 0, end)
}

/** Tells whether start to end is visible ASCII of at least one character: no blank, no byte above 126. */
export function isVisible(text: string, start = 0, end: number = text.length): boolean {
  for (let at = start; at < end; at++) {
    const code = text.charCodeAt(at)
    if (code < 0x21 || code > 0x7e) return false
  }
  return start < end
}

/** Tells whether the text from start on is decimal digits and nothing else; true for an empty rest. */
export function isDecimal(text: string, start = 0): boolean {
  for (let at = start; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code < 0x30 || code > 0x39) return false
  }
  return true
}

function isAllOf(table: Uint8Array, text: string, start: number, end: number): boolean {
  for (let at = start; at < end; at++) {
    if (table[text.charCodeAt(at)] !== 1) return false
  }
  return true
}

function classOf(marks: string): Uint8Array {
  const table = new Uint8Array(256)
  const letters = 'abcdefghijklmnopqrstuvwxyz'
  for (const character of `${marks}${letters}${letters.toUpperCase()}0123456789`) {
    table[character.charCodeAt(0)] = 1
  }
  return table
}
