import { array, assert, integer, property, string } from 'fast-check'
import { describe, expect, it } from 'vitest'

import { parseStat } from '../../src/holders/linux-process.ts'
import { parseSocketTable } from '../../src/holders/linux-socket-table.ts'
import { inRanges } from '../../src/probe/port-advice.ts'
import { printable } from '../../src/holders/printable.ts'

const HEADER =
  '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode'

function row(local: string, state: string, uid = '1000', inode = '4711'): string {
  const remote = local.includes('0000000000000000') ? `${'0'.repeat(32)}:0000` : '00000000:0000'
  return `   0: ${local} ${remote} ${state} 00000000:00000000 00:00000000 00000000  ${uid}        0 ${inode} 1 0000000000000000 100 0 0 10 0`
}

describe('parseSocketTable', () => {
  it.each([
    // the address as hex words in host byte order, the port as hex
    ['0100007F:0BB8', '127.0.0.1'],
    ['00000000:0BB8', '0.0.0.0'],
    ['00000000000000000000000000000000:0BB8', '::'],
    ['00000000000000000000000001000000:0BB8', '::1'],
    ['0000000000000000FFFF00000100007F:0BB8', '127.0.0.1'], // mapped
    ['B80D0120000000000000000005000000:0BB8', '2001:db8::5'],
    ['000080FE00000000FF00FC000100FE00:0BB8', 'fe80::fc:ff:fe:1'],
    ['B80D012000000000000001000000010:0BB8', undefined], // one digit short
  ])('reads %s', (local, address) => {
    const rows = parseSocketTable(`${HEADER}\n${row(local, '0A')}\n`, 3000, true)
    expect(rows.map((one) => one.address)).toEqual(address === undefined ? [] : [address])
  })

  it('reads words of a big-endian machine', () => {
    expect(parseSocketTable(row('7F000001:0BB8', '0A'), 3000, false)).toMatchObject([
      { address: '127.0.0.1' },
    ])
  })

  it.each([
    ['0A', 'listening'],
    ['01', 'connected'],
    ['06', 'time-wait'],
    ['08', 'closing'],
  ])('reads state %s as %s', (state, expected) => {
    expect(parseSocketTable(row('0100007F:0BB8', state, '33', '0'), 3000, true)).toEqual([
      { address: '127.0.0.1', port: 3000, state: expected, uid: 33, inode: 0 },
    ])
  })

  it('keeps only the given port: 80 is not 8080 or 180', () => {
    const table = ['0050', '1F90', '00B4', '5000'].map((port) => row(`0100007F:${port}`, '0A'))
    expect(parseSocketTable(table.join('\n'), 80, true)).toHaveLength(1)
  })

  it('never throws, for any table', () => {
    assert(
      property(string(), integer({ min: 1, max: 65_535 }), (table, port) => {
        expect(Array.isArray(parseSocketTable(table, port))).toBe(true)
      }),
    )
  })
})

describe('parseStat', () => {
  const rest = ` S 1 ${'0 '.repeat(17)}98765 0 0`
  it.each(['12 (node)', '12 (a) b)', '12 (a (b) c\n)', '12 ()'])(
    'reads past the name of %j',
    (head) => {
      expect(parseStat(head + rest)).toEqual({ parent: 1, startTicks: 98_765 })
    },
  )

  it('is undefined for a line that is cut', () => {
    expect([parseStat(''), parseStat('12 (node) S 1')]).toEqual([undefined, undefined])
  })
})

describe('printable', () => {
  it('does not change plain names', () => {
    expect(printable('Web Server-2 (größer)')).toBe('Web Server-2 (größer)')
  })

  it('escapes control characters, bidi marks and its own escape character', () => {
    expect(printable('a\u0000\u001b\u007f\u0085\u200f\u2066\u2028\\')).toBe(
      'a\\u{0}\\u{1b}\\u{7f}\\u{85}\\u{200f}\\u{2066}\\u{2028}\\\\',
    )
  })

  it('cuts at 64 characters', () => {
    expect([printable('x'.repeat(64)).length, printable('x'.repeat(65))]).toEqual([
      64,
      `${'x'.repeat(63)}…`,
    ])
  })

  it('does not cut a character', () => {
    expect(printable('\u{1f600}'.repeat(65))).toBe(`${'\u{1f600}'.repeat(63)}…`)
  })

  it('has no character that moves the cursor, for any input', () => {
    assert(
      property(array(integer({ min: 0, max: 0x10ffff })), (points) => {
        const name = String.fromCodePoint(...points)
        expect(printable(name)).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u)
      }),
    )
  })
})

describe('inRanges', () => {
  it.each([
    [3000, '', false],
    [3000, '3000', true],
    [3000, '80,2999-3000', true],
    [3001, '80,2999-3000', false],
  ])('of %d in %j is %s', (port, ranges, inside) => {
    expect(inRanges(port, ranges)).toBe(inside)
  })
})
