import type { ListType, ScalarType } from './value-type.ts'

/** Options of {@link list}. */
export interface ListOptions {
  /** Most elements, at least 1. @default 256 */
  readonly maxItems?: number
}

/**
 * A list of values: a sequence in a file; in flags and variables separated by commas, with an element
 * that has a comma in double quotes (`a,"b,c"`), or a JSON array. A flag may also be repeated.
 */
export function list<T>(item: ScalarType<T>, options: ListOptions = {}): ListType<readonly T[]> {
  if (item.secret) throw new TypeError('a list of secrets is not supported')
  return {
    kind: 'list',
    item,
    maxItems: options.maxItems ?? 256,
    collect: (items) => Object.freeze(items as readonly T[]),
    formatItems: (values) => values.map((value) => item.format(value)),
  }
}
