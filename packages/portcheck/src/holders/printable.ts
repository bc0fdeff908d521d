// Names of processes and users come from other people. In a terminal they could move the cursor, change
// colours or reverse the line, so all characters that are not visible are escaped.

/** Longest name, in characters after escaping. */
const MAX_CHARACTERS = 64

/** Escapes control, format (with bidi marks), separator and private characters, and cuts a long text. */
export function printable(text: string, maxCharacters: number = MAX_CHARACTERS): string {
  const escaped = text
    .replaceAll('\\', '\\\\')
    .replaceAll(/[\p{C}\p{Zl}\p{Zp}]|(?! )\p{Zs}/gu, (character) => escapeOf(character))
  // By code point: half of a surrogate pair is one of the characters that are escaped.
  const characters = Array.from(escaped)
  return characters.length <= maxCharacters
    ? escaped
    : `${characters.slice(0, maxCharacters - 1).join('')}…`
}

function escapeOf(character: string): string {
  return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`
}
