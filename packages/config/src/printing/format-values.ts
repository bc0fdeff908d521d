import { formatOrigin } from '../sources/origin.ts'
import type { ResolvedValue } from '../sources/resolve-settings.ts'

/** Options of {@link formatValues}. */
export interface ValuesOptions {
  /** Whether each value is followed by where it comes from. @default false */
  readonly origins?: boolean
}

/**
 * Writes resolved values for a person, one per line, in the order of their definition; secrets are
 * masked already. What has no value is shown as `-`.
 */
export function formatValues(
  values: readonly ResolvedValue[],
  options: ValuesOptions = {},
): string {
  const keyWidth = width(values.map(({ key }) => key))
  const textWidth = width(values.map(({ text }) => text ?? '-'))
  return values
    .map(({ key, text = '-', origin }) => {
      const value = text === '' ? '""' : text
      const line = `${key.padEnd(keyWidth)}  ${value}`
      if (!options.origins) return `${line}\n`
      return `${line.padEnd(keyWidth + 2 + textWidth)}  ${formatOrigin(origin)}\n`
    })
    .join('')
}

/** Width of a column; a long value does not push everything else off the screen. */
function width(texts: readonly string[]): number {
  return Math.min(40, Math.max(0, ...texts.map((text) => text.length)))
}
