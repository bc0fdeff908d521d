import { encode } from 'uqr'
import { expect, test } from 'vitest'

import { formatLiveView } from '../../src/status/format-live-view.ts'
import { qrCode } from '../../src/status/qr-code.ts'
import { SAMPLE } from './status-sample.ts'

const URL_TEXT = 'https://web.example.com'
const ROOM = { columns: 80, rows: 20 }

/** The modules that lines show; true is where something is drawn. */
function drawn(lines: readonly string[]): boolean[][] {
  return lines.flatMap((line) => [
    line.split('').map((half) => '█▀'.includes(half)),
    line.split('').map((half) => '█▄'.includes(half)),
  ])
}

test('dark modules are drawn black on white, or without colours the light ones', () => {
  const { data, size } = encode(URL_TEXT, { ecc: 'L', border: 2 })
  expect(size).toBe(29)
  // oxlint-disable-next-line no-control-regex -- control sequences are what is looked for
  const sequences = /\u001b\[[0-9;]*m/g
  const coloured = qrCode(URL_TEXT, { ...ROOM, colour: true }) ?? []
  for (const line of coloured) expect(line.startsWith('\u001b[30m\u001b[107m')).toBe(true)
  const plain = coloured.map((line) => line.replaceAll(sequences, ''))
  expect(drawn(plain).slice(0, size)).toEqual(data)
  const inverted = qrCode(URL_TEXT, { ...ROOM, colour: false }) ?? []
  expect(inverted.join('')).not.toMatch(sequences)
  const light = data.map((row) => row.map((isDark) => !isDark))
  expect(drawn(inverted).slice(0, size)).toEqual(light)
})

test('a code that has no room is not drawn', () => {
  expect(qrCode(URL_TEXT, { columns: 28, rows: 20, colour: false })).toBeUndefined()
  expect(qrCode(URL_TEXT, { columns: 29, rows: 14, colour: false })).toBeUndefined()
  expect(qrCode(URL_TEXT, { columns: 29, rows: 15, colour: false })).toHaveLength(15)
  expect(qrCode('x'.repeat(10_000), { columns: 1e6, rows: 1e6, colour: false })).toBeUndefined()
})

test('the view shows one URL after the other, within its lines and columns', () => {
  const draw = (code: number, maxLines = 22, columns = 80): string[] =>
    formatLiveView(SAMPLE, { columns, maxLines, colour: false, rates: [], hasKeys: true, code })
  expect(draw(0).slice(-2)).toEqual(['https://web.example.com', 'q: the next one'])
  expect(draw(1).slice(-2)).toEqual(['https://www.example.com', 'q: back'])
  expect(draw(0).length).toBeLessThanOrEqual(22)
  expect(draw(0, 5)).toEqual([
    'https://web.example.com',
    'q: the next one, no room for its QR code',
  ])
  expect(draw(0, 22, 10)).toEqual(['https://w…', 'q: the ne…'])
  expect(draw(9)).toEqual(['no public URL yet (q: back)'])
})
