import { formatOrigin, type ResolvedValue } from '@proj/config'

import { formatTable } from './format-table.ts'

/** Widest column; a long value does not push everything else off the screen. */
const MAX_WIDTH = 40

/** Options of {@link formatValues}. */
export interface ValuesOptions {
  /** Whether each value is followed by where it comes from. @default false */
  readonly origins?: boolean
}

/**
 * Writes resolved values as text, one per line, in the order of their definition; secrets are
 * masked already. What has no value is shown as `-`.
 */
export function formatValues(
  values: readonly ResolvedValue[],
  options: ValuesOptions = {},
): string {
  const rows = values.map(({ key, text = '-', origin }) => [
    key,
    text === '' ? '""' : text,
    ...(options.origins ? [formatOrigin(origin)] : []),
  ])
  return formatTable(rows, { maxWidth: MAX_WIDTH })
}
