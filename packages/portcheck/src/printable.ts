// Names of processes and users are chosen by others. Written raw to a terminal they could move the
// cursor, recolour or reverse the line; so everything that is not plainly visible is escaped.

/** Longest name shown, in characters after escaping. */
const MAX_CHARACTERS = 64

/** Escapes control, format (bidi marks included), separator and private characters; cuts the end. */
export function printable(text: string, maxCharacters: number = MAX_CHARACTERS): string {
  const escaped = text
    .replaceAll('\\', '\\\\')
    .replaceAll(/[\p{C}\p{Zl}\p{Zp}]|(?! )\p{Zs}/gu, (character) => escapeOf(character))
  // By code point: half a surrogate pair would be one of the characters escaped above.
  const characters = Array.from(escaped)
  return characters.length <= maxCharacters
    ? escaped
    : `${characters.slice(0, maxCharacters - 1).join('')}…`
}

function escapeOf(character: string): string {
  return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`
}
