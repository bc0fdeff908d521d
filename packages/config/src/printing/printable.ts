/**
 * Texts that others chose, such as the name of an endpoint or the message of a peer, as they can be
 * written to a terminal. Written as they are, they could move the cursor, change colours, reverse the
 * order of a line, or look like another line.
 */

/**
 * Control characters (C0, DEL, C1), zero-width characters, marks that change the direction of text
 * (Unicode UAX #9), line and paragraph separators, halves of surrogate pairs.
 */
const UNPRINTABLE = /[\p{Cc}\p{Cs}\u061c\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]/gu

/** What needs no quotes around it. */
const PLAIN = /^[\p{L}\p{N}_.:@/*+~%-]+$/u

/** Longest part of an offending text that a message repeats, in characters. */
const MAX_QUOTED_CHARACTERS = 80

/** Escapes in a text, as `\u001b`, what a terminal would interpret and what is invisible. */
export function escapeUnprintable(text: string): string {
  return text.replaceAll(
    UNPRINTABLE,
    (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

/** Escapes lines, and keeps their ends. */
export function escapeLines(text: string): string {
  return text.split('\n').map(escapeUnprintable).join('\n')
}

/**
 * Writes a name inside a sentence or a list: as it is when it is letters, digits and a few signs, else
 * in double quotes and escaped.
 */
export function printable(text: string): string {
  return PLAIN.test(text) ? text : escapeUnprintable(JSON.stringify(text))
}

/** Writes an offending text in double quotes and escaped, cut after 80 characters. */
export function quote(text: string): string {
  const shown =
    text.length > MAX_QUOTED_CHARACTERS ? `${text.slice(0, MAX_QUOTED_CHARACTERS)}…` : text
  return escapeUnprintable(JSON.stringify(shown))
}
