/** Comparing without regard to the letter case of ASCII, and without making a copy in lower case. */

/** Tells whether the text is the one in lower case, in any letter case. */
export function equalsFolded(text: string, lower: string): boolean {
  if (text.length !== lower.length) return false
  for (let at = 0; at < lower.length; at++) {
    const code = text.charCodeAt(at)
    const folded = code >= 0x41 && code <= 0x5a ? code | 0x20 : code
    if (folded !== lower.charCodeAt(at)) return false
  }
  return true
}
