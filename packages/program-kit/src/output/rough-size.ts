const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB']

/** A size as text: a whole number of the largest unit it fills, rounded down. */
export function roughSize(bytes: number): string {
  let [size, unit] = [bytes, 0]
  for (; size >= 1024 && unit < UNITS.length - 1; unit += 1) size /= 1024
  return `${Math.floor(size)}${UNITS[unit] ?? ''}`
}
