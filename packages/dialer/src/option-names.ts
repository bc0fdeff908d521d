// A misspelt option would be ignored without a word: a proxy that is not used, a certificate that is
// not checked. So every function that takes options refuses a name that it does not know.

import { nearest } from '@proj/config/nearest'

/** The names of the options of a function; the compiler compares them with its type. */
export type OptionNames<T> = Readonly<Record<keyof T, true>>

/**
 * Refuses options with a name that is not known. A name with the value undefined is like a missing one.
 * @param prefix - of the names in the message, such as `tls.`
 * @throws {TypeError} with the nearest known name, without the value
 */
export function checkOptionNames<T>(prefix: string, given: object, known: OptionNames<T>): void {
  for (const [name, value] of Object.entries(given)) {
    if (Object.hasOwn(known, name) || value === undefined) continue
    const meant = nearest(name, Object.keys(known))
    const hint = meant === undefined ? '' : `; did you mean ${prefix}${meant}?`
    throw new TypeError(`there is no option ${prefix}${name}${hint}`)
  }
}
