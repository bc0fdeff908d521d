import { escapeUnprintable } from '@proj/config'

/** Longest name of a person, characters: it stands in the audit log and in lists. */
const MAX_NAME = 200

/**
 * Whether a value can name a person in one line of a log or list: no control characters, none that are invisible or
 * change the direction of text, so that no name looks like another one or like more than a name.
 */
export function isPersonName(value: unknown): value is string {
  return (
    typeof value === 'string' &&
    value.length <= MAX_NAME &&
    value.trim() === value &&
    value !== '' &&
    isPrintable(value)
  )
}

/** Whether a text has nothing that a terminal would interpret, and nothing invisible. */
export function isPrintable(text: string): boolean {
  return escapeUnprintable(text) === text
}
