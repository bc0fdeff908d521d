/** A set of bytes as a table, for looking each byte up once. */

/** Tells whether every character from start to end is in the class. */
export function isAllOf(table: Uint8Array, text: string, start: number, end: number): boolean {
  for (let at = start; at < end; at++) {
    if ((table[text.charCodeAt(at)] ?? 0) === 0) return false
  }
  return true
}

/** Makes the class of letters, digits and these marks: 1 for each, 0 for the others. */
export function classOf(marks: string): Uint8Array {
  const table = new Uint8Array(256)
  const letters = 'abcdefghijklmnopqrstuvwxyz'
  for (const character of `${marks}${letters}${letters.toUpperCase()}0123456789`) {
    table[character.charCodeAt(0)] = 1
  }
  return table
}
