/** What needs no quotes: everything else may hold what a terminal obeys. */
const PLAIN = /^[\p{L}\p{N}_.:@/*+~%-]+$/u

/**
 * A text that others chose, such as the name of an endpoint, as it can be shown on a terminal: in
 * quotes and with escapes where it is more than letters, digits and a few signs.
 */
export function printable(text: string): string {
  if (PLAIN.test(text)) return text
  // JSON leaves some as they are that a terminal takes for commands, or for another direction.
  return JSON.stringify(text).replaceAll(
    /[\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g,
    (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
