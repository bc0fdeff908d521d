/** Longest part of an offending text that is repeated in a message, in characters. */
const MAX_QUOTED_CHARACTERS = 80

/**
 * Writes a text as a message shows it: in double quotes, control characters escaped so that a
 * terminal obeys none of them, cut after 80 characters.
 */
export function quote(text: string): string {
  const shown =
    text.length > MAX_QUOTED_CHARACTERS ? `${text.slice(0, MAX_QUOTED_CHARACTERS)}…` : text
  return JSON.stringify(shown).replace(
    /[\u007F-\u009F\u2028\u2029\u202A-\u202E\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
