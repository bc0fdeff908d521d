/**
 * The grammar of chunk extensions (RFC 9112 section 7.1.1), without the optional blanks that the RFC
 * itself calls bad: `;name`, `;name=token` or `;name="quoted"`, any number of times.
 */

import { TOKEN } from './character-classes.ts'

const QUOTE = 0x22
const SEMICOLON = 0x3b
const EQUALS = 0x3d
const BACKSLASH = 0x5c

/** Tells whether the text, from the first semicolon on, is well-formed. Control bytes were refused before. */
export function isChunkExtension(text: string): boolean {
  let at = 0
  while (at < text.length) {
    if (text.charCodeAt(at) !== SEMICOLON) return false
    const nameEnd = endOfToken(text, at + 1)
    if (nameEnd === at + 1) return false
    at = nameEnd
    if (text.charCodeAt(at) !== EQUALS) continue
    const valueEnd = endOfValue(text, at + 1)
    if (valueEnd === at + 1) return false
    at = valueEnd
  }
  return true
}

function endOfToken(text: string, start: number): number {
  let at = start
  while ((TOKEN[text.charCodeAt(at)] ?? 0) !== 0) at++
  return at
}

/** Returns where a token or quoted string ends, or start if there is none. */
function endOfValue(text: string, start: number): number {
  if (text.charCodeAt(start) !== QUOTE) return endOfToken(text, start)
  for (let at = start + 1; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) return at + 1
    if (code === BACKSLASH) at++
  }
  return start
}
