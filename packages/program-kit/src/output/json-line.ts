import { escapeUnprintable } from '@proj/config'

/**
 * Writes a value as one line of JSON that a terminal shows as it is. JSON itself leaves DEL, C1 and the marks
 * that change the direction of text; here they are escaped, so that a parser still reads the same value.
 */
export function jsonLine(value: unknown): string {
  return `${escapeUnprintable(JSON.stringify(value))}\n`
}
