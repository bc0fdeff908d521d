/** Optional whitespace (RFC 9110 section 5.6.3) is space and HTAB. String.trim would take off 0xA0 too, which is part of a value here. */

const HTAB = 0x09
const SPACE = 0x20

/** Tells whether the character code is a space or HTAB. */
export function isBlank(code: number): boolean {
  return code === SPACE || code === HTAB
}

/** Returns the text from start to end without the blanks around it. */
export function trimBlanks(text: string, start = 0, end: number = text.length): string {
  let first = start
  let last = end
  while (first < last && isBlank(text.charCodeAt(first))) first++
  while (last > first && isBlank(text.charCodeAt(last - 1))) last--
  return text.slice(first, last)
}
