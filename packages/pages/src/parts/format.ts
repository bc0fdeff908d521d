/** Numbers and times as people read them. */

const NARROW = '\u202f'

/** `< 1 ms`, `9 ms`, `1.24 s`, `1 m 12 s`, `3 h 05 m`. */
export function formatMs(ms: number): string {
  if (ms < 1) return `<${NARROW}1${NARROW}ms`
  if (ms < 999.5) return `${Math.round(ms)}${NARROW}ms`
  if (ms < 59_995) return `${(ms / 1000).toFixed(2)}${NARROW}s`
  const seconds = Math.round(ms / 1000)
  const two = (number: number): string => String(number).padStart(2, '0')
  if (seconds < 3600) return `${Math.floor(seconds / 60)}${NARROW}m ${two(seconds % 60)}${NARROW}s`
  const minutes = Math.floor(seconds / 60)
  return `${Math.floor(minutes / 60)}${NARROW}h ${two(minutes % 60)}${NARROW}m`
}

/** `0 B`, `612 B`, `2.1 KB`, `3.4 MB`; decimal. */
export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${bytes}${NARROW}B`
  const units = ['KB', 'MB', 'GB', 'TB']
  let value = bytes / 1000
  let unit = 0
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000
    unit += 1
  }
  return `${value < 99.5 ? value.toFixed(1) : Math.round(value)}${NARROW}${units[unit]}`
}

/** A limit as the settings have it: `64 MiB`. */
export function formatLimit(bytes: number): string {
  const mib = 1024 * 1024
  return bytes % mib === 0 ? `${bytes / mib}${NARROW}MiB` : formatBytes(bytes)
}

/** `14:43:27`, local. */
export function formatClock(iso: string): string {
  return new Date(iso).toLocaleTimeString(undefined, { hourCycle: 'h23' })
}

/** Date, time with ms and zone, local. */
export function formatMoment(iso: string): string {
  const date = new Date(iso)
  const text = date.toLocaleString(undefined, {
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    fractionalSecondDigits: 3,
    hourCycle: 'h23',
    timeZoneName: 'short',
  })
  return text
}

/** Characters that are not drawn, or that change the order in which others are drawn. */
export const UNSEEN =
  // oxlint-disable-next-line no-control-regex -- control characters are what is shown
  /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]/

/** Name of a character, `U+202E`. */
export function nameOfCharacter(character: string): string {
  return `U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}`
}

/** Lines of a hex view: offset, 16 bytes, the same as ASCII. */
export function hexLines(bytes: Uint8Array, limit: number): string[] {
  const lines: string[] = []
  for (let at = 0; at < Math.min(bytes.length, limit); at += 16) {
    const part = bytes.subarray(at, at + 16)
    const hex = [...part].map((byte) => byte.toString(16).padStart(2, '0')).join(' ')
    const text = [...part].map((byte) =>
      byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.',
    )
    lines.push(`${at.toString(16).padStart(8, '0')}  ${hex.padEnd(47)}  ${text.join('')}`)
  }
  return lines
}
