/** The names of a setting, all derived from its property path. */

/** Writes `bindAddr` as `bind_addr`, the form of keys in files. */
export function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}

/** Writes the key `connect.bind_addr` as the flag `connect.bind-addr`, without leading dashes. */
export function flagName(key: string): string {
  return key.replaceAll('_', '-')
}

/** Writes the key `connect.bind_addr` as the variable `ADIT_CONNECT_BIND_ADDR`. */
export function variableName(prefix: string, key: string): string {
  return `${prefix}_${key.replaceAll('.', '_')}`.toUpperCase()
}
