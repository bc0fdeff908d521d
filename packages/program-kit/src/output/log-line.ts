import { styleText } from 'node:util'

import { escapeUnprintable } from '@proj/config'

/** Fields of every line; they are printed before the others. */
const HIDDEN = new Set(['level', 'time', 'msg'])

const STYLES: ReadonlyMap<string, Parameters<typeof styleText>[0]> = new Map([
  ['debug', 'gray'],
  ['info', 'green'],
  ['warn', 'yellow'],
  ['error', 'red'],
])

/**
 * Turns one JSON log line into a line of text: time (UTC), level, message, then the fields. What
 * a terminal would interpret is escaped: a line may repeat the words of a peer.
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
  // Of two hints the one of the line is meant for its reader; that of an error may contradict it.
  const hasHint = typeof line['hint'] === 'string'
  const fields = Object.entries(line)
    .filter(([key, value]) => !HIDDEN.has(key) && value !== undefined && value !== null)
    .map(([key, value]) => `${escapeUnprintable(key)}=${formatField(value, hasHint)}`)
  return `${[time, shown, escapeUnprintable(String(line['msg'])), ...fields].join(' ')}\n`
}

function formatField(value: unknown, hasHint: boolean): string {
  if (typeof value === 'object' && value !== null) {
    const { message, code, hint } = value as Readonly<Record<string, unknown>>
    if (typeof message !== 'string') return escapeUnprintable(JSON.stringify(value))
    const parts = [JSON.stringify(message)]
    if (typeof code === 'string') parts.push(`(${code})`)
    if (typeof hint === 'string' && !hasHint) parts.push(`hint=${JSON.stringify(hint)}`)
    return escapeUnprintable(parts.join(' '))
  }
  const text = String(value)
  return escapeUnprintable(/[\s"]/.test(text) ? JSON.stringify(text) : text)
}
