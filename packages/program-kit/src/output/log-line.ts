import { styleText } from 'node:util'

/** Fields every line has; they stand before the others. */
const HIDDEN = new Set(['level', 'time', 'msg'])

const STYLES: ReadonlyMap<string, Parameters<typeof styleText>[0]> = new Map([
  ['debug', 'gray'],
  ['info', 'green'],
  ['warn', 'yellow'],
  ['error', 'red'],
])

/**
 * Turns one JSON log line into one for people: time (UTC), level, message, then the fields. Control
 * bytes are escaped, for a line may quote a stranger.
 *
 * @param colour - whether to colour the level.
 * @returns the line with its end; a line that is not JSON comes back as it is.
 */
export function formatLogLine(json: string, colour: boolean): string {
  let line: Record<string, unknown>
  try {
    line = JSON.parse(json)
  } catch {
    return json
  }
  const level = String(line['level'])
  const time = String(line['time']).slice(11, 19)
  const name = level.padEnd(5)
  const style = STYLES.get(level)
  const shown = colour && style ? styleText(style, name, { validateStream: false }) : name
  const fields = Object.entries(line)
    .filter(([key, value]) => !HIDDEN.has(key) && value !== undefined && value !== null)
    .map(([key, value]) => `${key}=${formatField(value)}`)
  return `${[time, shown, escape(String(line['msg'])), ...fields].join(' ')}\n`
}

function formatField(value: unknown): string {
  if (typeof value === 'object' && value !== null) {
    const { message, code, hint } = value as Readonly<Record<string, unknown>>
    if (typeof message !== 'string') return escape(JSON.stringify(value))
    const parts = [JSON.stringify(message)]
    if (typeof code === 'string') parts.push(`(${code})`)
    if (typeof hint === 'string') parts.push(`hint=${JSON.stringify(hint)}`)
    return escape(parts.join(' '))
  }
  const text = String(value)
  return escape(/[\s"]/.test(text) ? JSON.stringify(text) : text)
}

function escape(text: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what is escaped here
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, (character) => {
    return `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`
  })
}
