/**
 * What becomes of the keys of a file of Piko v0.9. Each program has a table of the keys it takes over;
 * a key that is not in the table is no key of Piko. Targets are keys of the program's settings; one
 * that the program lacks is refused by name. `[]` stands for every element of a list.
 */

/** What becomes of one key of Piko. */
export type PikoRule =
  /** It has a counterpart; `note` says how the meaning differs, `convert` how the value does. */
  | { readonly to: string; readonly note?: string; readonly convert?: PikoConversion }
  /** It has none, and running without it would be another configuration than the one asked for. */
  | { readonly refuse: string }
  /**
   * It has none, and nothing is lost without it. A flag with `isBoolean` takes no word after it as its value.
   */
  | { readonly ignore: string; readonly isBoolean?: true }

/** How a value of Piko is written here. */
export type PikoConversion = 'zero-is-unlimited' | 'bytes' | 'port-of-localhost'

/** The keys of one program of Piko. */
export type PikoTable = Readonly<Record<string, PikoRule>>

/** Keys that are called the same here. */
export function sameKeys(keys: readonly string[]): PikoTable {
  return Object.fromEntries(keys.map((key) => [key, { to: key }]))
}

/** The log of every program of Piko. */
export const PIKO_LOG_KEYS: PikoTable = Object.freeze({
  'log.level': { to: 'log.level' },
  'log.subsystems': { ignore: 'lines are not chosen by subsystem here, log.level is for all' },
})

/** The access log of a listener, whose group is `prefix`. */
export function accessLogKeys(prefix: string): PikoTable {
  const lines = { ignore: 'requests are logged with the other lines here, at debug' }
  const headers = { ignore: 'headers are not logged here, neither allowed nor blocked ones' }
  const lists = ['request_headers', 'response_headers'].flatMap((kind) =>
    ['allow_list', 'block_list'].map((list) => [`${prefix}.${kind}.${list}`, headers] as const),
  )
  return {
    [`${prefix}.level`]: lines,
    [`${prefix}.disable`]: { ...lines, isBoolean: true },
    ...Object.fromEntries(lists),
  }
}
